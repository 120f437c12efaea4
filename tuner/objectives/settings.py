"""Settings that several objectives share, so that one thing has one name, one type and one description."""

from typing import Annotated

from pydantic import Field

Seed = Annotated[int, Field(ge=0, le=2**32 - 1, description="Of the problem's own random numbers.")]
