"""The floors of the house (design, section 3): a room imports only from floors below it, and nothing runs back up."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = [
    ["tuner.__main__"],
    ["tuner.cli"],
    ["api"],
    ["tuner.worker"],
    ["tuner.service"],
    ["tuner.search"],
    ["tuner.analysis"],
    ["tuner.storage", "migrations"],
    ["tuner.descent"],
    ["tuner.objectives"],
    ["tuner.definition"],
    ["tuner.goal", "tuner.space"],
    ["tuner.strict"],
    ["tuner.trial"],
    ["tuner.client"],
    ["tuner.errors", "tuner.settings", "tuner.logs", "tuner"],
    ["tuner.limits"],
]

# What only some rooms may import from outside.
RESERVED = {
    "sqlalchemy": {"tuner.storage", "migrations"},
    "alembic": {"tuner.storage", "migrations"},
    "optuna": {"tuner.storage", "tuner.search"},
    "fastapi": {"api", "tuner.cli"},
    "starlette": {"api"},
    "uvicorn": {"tuner.cli", "api"},
    "click": {"tuner.cli"},
    "rich": {"tuner.cli"},
    "matplotlib": {"tuner.cli"},
    "httpx": {"tuner.client"},
    "keras": {"tuner.client"},
}

WITHOUT_A_CLOCK = ["tuner.objectives", "tuner.descent", "tuner.analysis"]


def modules() -> list[Path]:
    return sorted(path for room in ("tuner", "api", "migrations") for path in (ROOT / room).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    rooms = [room for floor in FLOORS for room in floor]
    room = max((room for room in rooms if module == room or module.startswith(room + ".")), key=len)
    return "tuner.storage" if room == "migrations" else room


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            for alias in node.names:
                submodule = ROOT.joinpath(*node.module.split("."), alias.name)
                is_module = submodule.is_dir() or submodule.with_suffix(".py").exists()
                yield f"{node.module}.{alias.name}" if is_module else node.module


def floor_of(room: str) -> int:
    return next(level for level, floor in enumerate(FLOORS) if room in floor)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_from_floors_below(path: Path) -> None:
    room = room_of(name_of(path))
    for imported in imports_of(path):
        if imported.split(".")[0] not in {"tuner", "api", "migrations"}:
            continue
        target = room_of(imported)
        # The command's `serve` starts the HTTP door; the rest of the house never looks at it.
        assert target == room or floor_of(target) > floor_of(room), f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_outside_libraries_stay_in_their_rooms(path: Path) -> None:
    room = room_of(name_of(path))
    for imported in imports_of(path):
        package = imported.split(".")[0]
        assert room in RESERVED.get(package, {room}), f"{name_of(path)} imports {imported}"
        if room in WITHOUT_A_CLOCK:
            assert package not in {"time", "datetime", "random"}, f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_begins_by_saying_why_it_exists(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{name_of(path)} has no docstring"
