"""What a process says while it runs: lines for people, or JSON for machines, each with what it is about.

What a line is about (a request's id, its study and trial) is set where the request comes in, and goes along with the
work, also into the thread that does it.
"""

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType

context: ContextVar[Mapping[str, str]] = ContextVar("context", default=MappingProxyType({}))
"""What is being done: names and values that each line carries."""

NOISY = ("alembic", "httpx")
"""Libraries whose news are nobody's."""


def log_to_stderr(level: str, form: str) -> None:
    """Write what is logged from ``level`` on to stderr, as ``text`` or as ``json``, one line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


class TextLines(logging.Formatter):
    """A line that people read."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s (%(process)d): %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the standard library's name)
        """The line, and what it is about at its end."""
        about = " ".join(f"{name}={value}" for name, value in context.get().items())
        return super().formatMessage(record) + (f"  [{about}]" if about else "")


class JsonLines(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, with what it is about as fields of its own."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **context.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
