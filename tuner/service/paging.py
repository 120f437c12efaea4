"""Page tokens: where the next page of a list begins."""

import re

from tuner.errors import InvalidInput


def page_number(page_token: str | None) -> int | None:
    """The number after which a page begins.

    Raises:
        InvalidInput: the token is none of ours.
    """
    if page_token is None:
        return None
    # Numbers are 32-bit integers in the database, and anything beyond is an error to PostgreSQL.
    if re.fullmatch("[0-9]{1,10}", page_token) is None or int(page_token) >= 2**31:
        raise InvalidInput.at("page_token", "is not a token that this list gave out")
    return int(page_token)
