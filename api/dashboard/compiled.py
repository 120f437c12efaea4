"""What templates are compiled to, kept beside them as Python keeps modules: the first page takes a tenth of the time.

Where Python may not write, it is told not to, or somebody else's folder is full, each process compiles its own.
"""

import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket


class Beside(jinja2.FileSystemBytecodeCache):
    """The cache of a folder of templates. What was made of another text, or by another version, is not taken.

    Nothing of the environment but its options may go into what is compiled: it is not to be ``optimized``.
    """

    def __init__(self, templates: Path) -> None:
        self._folder = Path(cache_from_source(str(templates / "template.py"))).parent
        super().__init__(str(self._folder), f"%s.{sys.implementation.cache_tag}")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what is kept, if it is."""
        with suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled, if that may be."""
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                self._folder.mkdir(exist_ok=True)
                super().dump_bytecode(bucket)
