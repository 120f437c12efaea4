"""What templates are compiled to, kept beside them as Python keeps modules: the first page takes a tenth of the time.

Where Python may not write, it is told not to, or somebody else's folder is full, each process compiles its own.
"""

import os
import sys
import tempfile
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket


class Beside(jinja2.BytecodeCache):
    """The cache of a folder of templates. What was made of another text, or by another version, is not taken.

    Nothing of the environment but its options may go into what is compiled: it is not to be ``optimized``.
    """

    def __init__(self, templates: Path) -> None:
        self._folder = Path(cache_from_source(str(templates / "template.py"))).parent

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what is kept, if it is."""
        with suppress(OSError), self._file(bucket).open("rb") as kept:
            bucket.load_bytecode(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it, whole or not at all: others may be reading."""
        if sys.dont_write_bytecode:
            return
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(handle, "wb") as written:
                bucket.write_bytecode(written)
            Path(name).replace(self._file(bucket))

    def _file(self, bucket: Bucket) -> Path:
        return self._folder / f"{bucket.key}.{sys.implementation.cache_tag}"
