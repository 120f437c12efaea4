"""What templates are compiled to is kept beside them, is taken again, and is never that of another text."""

import sys
from pathlib import Path

import jinja2
import pytest

from api.dashboard.compiled import Beside


@pytest.fixture(autouse=True)
def written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)


def rendered(folder: Path) -> str:
    """As a process that has just started renders it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), bytecode_cache=Beside(folder), optimized=False, autoescape=True
    )
    return environment.get_template("greeting.html").render(name="<you>")


def kept(folder: Path) -> list[Path]:
    return list(folder.glob("__pycache__/*"))


def test_a_template_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = tmp_path / "greeting.html"
    template.write_text("Hello {{ name }}")
    assert rendered(tmp_path) == "Hello &lt;you&gt;"
    assert len(kept(tmp_path)) == 1

    def compiled(*_: object, **__: object) -> str:
        raise AssertionError("it is compiled already")

    with monkeypatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", compiled)
        assert rendered(tmp_path) == "Hello &lt;you&gt;"
    template.write_text("Good day {{ name }}")
    assert rendered(tmp_path) == "Good day &lt;you&gt;"
    kept(tmp_path)[0].write_bytes(b"half a file")
    assert rendered(tmp_path) == "Good day &lt;you&gt;"


def test_nothing_is_kept_where_nothing_may_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "greeting.html").write_text("Hello {{ name }}")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        assert rendered(tmp_path) == "Hello &lt;you&gt;"
    assert kept(tmp_path) == []
    (tmp_path / "__pycache__").write_text("no folder")
    assert rendered(tmp_path) == "Hello &lt;you&gt;"
