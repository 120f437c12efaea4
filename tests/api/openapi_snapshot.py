"""The HTTP contract, as the guides have it: ``python -m tests.api.openapi_snapshot`` writes it, a test compares it.

A change of the contract is thereby a line in a diff, for somebody to agree with; and who makes a client finds the
contract without a running service.
"""

import json
from pathlib import Path
from typing import Any

from api.app import create_app
from tuner.settings import Settings

PATH = Path(__file__).parents[2] / "docs" / "openapi.json"


def current() -> dict[str, Any]:
    """The document of the application as it is. Making it opens no database."""
    return create_app(Settings(database_url="sqlite:///unused.db")).openapi()


def text(document: dict[str, Any]) -> str:
    """The document as it is stored."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(current()))
