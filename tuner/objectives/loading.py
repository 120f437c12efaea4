"""Bringing in users' objectives: from installed packages, from a module, from a file.

Loading is importing; what registers itself on the way is in the registry afterwards.
"""

import hashlib
import importlib
import importlib.util
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from tuner.errors import InvalidInput
from tuner.objectives.registry import register, registered

ENTRY_POINT_GROUP = "tuner.objectives"

_loaded: dict[str, tuple[str, ...]] = {}


def load_entry_points() -> tuple[str, ...]:
    """Load what installed packages offer in the group ``tuner.objectives``; the names it brought.

    An entry point names a module that registers its objectives, or one objective, registered under the entry point's
    name. Loading twice is loading once.

    Raises:
        InvalidInput: an entry point cannot be imported, or takes a name that is taken; the field is ``objectives``.
    """
    before = set(registered())
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            found = entry.load()
        except InvalidInput:
            raise
        except (Exception, SystemExit) as error:
            reason = f"entry point {entry.name!r} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}"
            raise InvalidInput.at("objectives", reason) from error
        known = any(kind.factory is found for kind in registered().values())
        if not isinstance(found, ModuleType) and not known:
            register(entry.name)(found)
    return tuple(sorted(set(registered()) - before))


def load_module(spec: str) -> tuple[str, ...]:
    """Import a module that registers objectives; the names it brought. Loading twice is loading once.

    ``spec`` is a file path (``./my_valley.py``) or a module name (``my_package.valleys``), looked up in the working
    directory too.

    Raises:
        InvalidInput: it cannot be imported, or registers nothing; the field is ``objectives``.
    """
    is_file = spec.endswith(".py") or "/" in spec or "\\" in spec
    key = str(Path(spec).resolve()) if is_file else spec
    if key not in _loaded:
        before = set(registered())
        try:
            module = _import_file(Path(key)) if is_file else _import_name(spec)
        except InvalidInput:
            raise
        except (Exception, SystemExit) as error:
            reason = f"{spec} cannot be imported: {type(error).__name__}: {error}"
            raise InvalidInput.at("objectives", reason) from error
        # A module that was imported earlier, by an entry point say, brings nothing new but what is its own.
        own = {name for name, kind in registered().items() if kind.factory.__module__ == module.__name__}
        names = own | (set(registered()) - before)
        if not names:
            raise InvalidInput.at("objectives", f'{spec} registers no objective; decorate one with @register("name")')
        _loaded[key] = tuple(sorted(names))
    return _loaded[key]


def _import_name(name: str) -> ModuleType:
    # A console script does not have the working directory on its path; `python -m` does.
    directory = str(Path.cwd())
    if directory not in sys.path and "" not in sys.path:
        sys.path.insert(0, directory)
    return importlib.import_module(name)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InvalidInput.at("objectives", f"there is no file {path}")
    # The prefix keeps a user's random.py from becoming the random of everybody else.
    name = f"tuner_objectives_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidInput.at("objectives", f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
