"""The use cases, one transaction each: what the HTTP door, the command and the workers all call."""
