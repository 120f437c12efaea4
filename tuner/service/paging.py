"""Page tokens: where the next page of a list begins."""

import base64
import json
import re
from collections.abc import Sequence
from typing import Any

from tuner.errors import InvalidInput

LONGEST_TOKEN = 1000
"""Characters of a token, at most."""


def page_number(page_token: str | None) -> int | None:
    """The number after which a page begins.

    Raises:
        InvalidInput: the token is none of ours.
    """
    if page_token is None:
        return None
    # Numbers are 32-bit integers in the database, and anything beyond is an error to PostgreSQL.
    if re.fullmatch("[0-9]{1,10}", page_token) is None or int(page_token) >= 2**31:
        raise _refused()
    return int(page_token)


def place_token(place: Sequence[int | float | str]) -> str:
    """A token for a place that takes several values to tell."""
    text = json.dumps(list(place), ensure_ascii=False, allow_nan=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place(page_token: str | None, types: Sequence[type]) -> list[Any] | None:
    """The place after which a page begins: values of these types.

    Raises:
        InvalidInput: the token is none of ours, or of another order of the list.
    """
    if page_token is None:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(page_token + "=" * (-len(page_token) % 4)))
        # What no database compares (NaN, half a character) is not written as a token either.
        ours = place_token(found) == page_token and [type(part) for part in found] == list(types)
    except (ValueError, TypeError, RecursionError):
        raise _refused() from None
    if not ours or not all(map(_storable, found)):
        raise _refused()
    return list(found)


def _storable(part: float | str) -> bool:
    """Whether the database can hold it: numbers of 64 bits, text without NUL."""
    if isinstance(part, str):
        return "\x00" not in part
    return isinstance(part, float) or abs(part) < 2**63


def _refused() -> InvalidInput:
    return InvalidInput.at("page_token", "is not a token that this list gave out")
