"""The program that the README and the client's guide begin with runs as it stands, against a real service."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def first_program(page: str) -> str:
    """The first block of a page that uses the client."""
    blocks: list[str] = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    return next(block for block in blocks if "tuner.client" in block)


class Model:
    """f(x) = x², and where x is."""

    def __init__(self) -> None:
        self.x = 1.0


def train_step(model: Model, learning_rate: float) -> float:
    model.x -= learning_rate * 2 * model.x
    return model.x**2


def validate(model: Model) -> float:
    return model.x**2


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("page", ["README.md", "docs/client.md"])
def test_the_first_program_runs(page: str, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = first_program(page)
    assert "http://127.0.0.1:8000" in program
    names: dict[str, Any] = {"build": Model, "train_step": train_step, "validate": validate}
    exec(compile(program.replace("http://127.0.0.1:8000", url), page, "exec"), names)
    trials = names["study"].trials()
    names["client"].close()
    assert [trial.state for trial in trials] == ["complete"] * 50
    best = min(trials, key=lambda trial: (trial.values["loss"], trial.number))
    assert capsys.readouterr().out == f"{best.learning_rate} {best.steps}\n"
