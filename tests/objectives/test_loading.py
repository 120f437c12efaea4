"""Users' own objectives, from a file, a module, an installed package."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import TUNER, strict_json
from tuner.errors import InvalidInput
from tuner.objectives import (
    Stochastic,
    create,
    evaluate,
    evaluate_sample,
    load_entry_points,
    load_module,
    loading,
    registered,
    registry,
)

VALLEY = '''
import numpy as np
from tuner.objectives import register

@register("{name}")
class Valley:
    """A valley."""
    dimension = 1
    def __init__(self, depth: float = 1.0):
        self.depth = depth
    def initial_parameters(self, seed):
        return np.ones(1)
    def value_and_gradient(self, parameters):
        return self.depth * parameters[:, 0] ** 2, 2 * self.depth * parameters
'''


@pytest.fixture(autouse=True)
def _registry_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    modules, path = set(sys.modules), list(sys.path)
    monkeypatch.setattr(registry, "_types", dict(registry._types))
    monkeypatch.setattr(loading, "_loaded", {})
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_file_brings_its_objectives_and_only_once(tmp_path: Path) -> None:
    file = tmp_path / "random.py"  # named like a module of everybody's
    file.write_text(VALLEY.format(name="valley_of_a_file"))
    assert load_module(str(file)) == ("valley_of_a_file",)
    assert load_module(str(file)) == ("valley_of_a_file",)
    assert create("valley_of_a_file", {"depth": 2.0}).dimension == 1
    import random

    assert random.__file__ != str(file)


def test_a_module_of_the_working_directory_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "valleys_here.py").write_text(VALLEY.format(name="valley_of_a_module"))
    monkeypatch.chdir(tmp_path)
    assert load_module("valleys_here") == ("valley_of_a_module",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no file"),
        ("x = 1", "registers no objective"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("def (", "cannot be imported: SyntaxError"),
        (VALLEY.format(name="line_fit"), "'line_fit' is taken"),
    ],
)
def test_a_file_that_brings_nothing_is_refused_with_the_reason(text: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    before = set(registered())
    with pytest.raises(InvalidInput, match=message) as refused:
        load_module(str(file))
    assert [error.field for error in refused.value.fields] == ["objectives"]
    assert set(registered()) == before


@pytest.mark.parametrize("name", ["no_such_module_anywhere", "", "..", "a b"])
def test_a_module_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="objectives: "):
        load_module(name)


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "tuner.objectives")


def test_entry_points_name_modules_or_objectives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package_one.py").write_text(VALLEY.format(name="valley_one"))
    (tmp_path / "package_two.py").write_text(VALLEY.format(name="x").replace('@register("x")', ""))
    monkeypatch.syspath_prepend(tmp_path)
    entries = [entry("one", "package_one"), entry("valley_two", "package_two:Valley")]
    monkeypatch.setattr(loading, "entry_points", lambda group: entries)
    assert load_entry_points() == ("valley_one", "valley_two")
    assert load_entry_points() == ()
    assert load_module("package_one") == ("valley_one",)
    assert create("valley_two", {"depth": 3.0}).dimension == 1


def test_a_broken_entry_point_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "entry_points", lambda group: [entry("broken", "no_such_package:Valley")])
    with pytest.raises(InvalidInput, match=r"entry point 'broken' \(no_such_package:Valley\) cannot be loaded"):
        load_entry_points()


@pytest.mark.parametrize("page", ["README.md", "docs/objectives.md"])
def test_the_file_of_a_guide_runs_as_the_guide_says(page: str, tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / page).read_text()
    [(program, name)] = re.findall(r"^```python\n(# (\w+\.py)\n.*?)^```$", guide, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / name).write_text(program)
    [command] = re.findall(rf"^(?:\.venv/bin/)?tuner (tune .* --objectives {name} .*)$", guide, flags=re.MULTILINE)
    ran = subprocess.run(
        [*TUNER, *shlex.split(command), "--json"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert strict_json(ran.stdout)["trials"] == 30

    [registered_name] = load_module(str(tmp_path / name))
    objective = create(registered_name, {})
    parameters = np.random.default_rng(0).normal(size=(3, objective.dimension))
    if isinstance(objective, Stochastic):
        sampled = evaluate_sample(objective, parameters, np.random.default_rng(0), 10_000)
        for part, whole in zip(sampled, evaluate(objective, parameters), strict=True):
            assert np.allclose(part, whole)
