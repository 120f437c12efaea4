"""Pages for people, one module each: it reads the address, calls use cases, and renders what they answer."""
