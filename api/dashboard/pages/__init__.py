"""Pages for people, one module each: it reads the address, calls use cases, and renders what they answer."""

from typing import Annotated

from fastapi import Query

PageToken = Annotated[str | None, Query(max_length=20)]
"""Where a list goes on: what the page before says."""
