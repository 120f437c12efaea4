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
def test_the_program_of_the_goals_finds_the_fewest_steps(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = first_program("docs/goals.md")
    names: dict[str, Any] = {"build": Model, "train_step": train_step}
    exec(compile(program.replace("http://127.0.0.1:8000", url), "docs/goals.md", "exec"), names)
    trials = names["study"].trials()
    names["client"].close()
    # After k steps the loss is (1 - 2 · rate)^2k.
    rates = [(trial, abs(1 - 2 * trial.learning_rate)) for trial in trials]
    for trial, factor in rates:
        steps = next((k for k in range(1, 201) if factor ** (2 * k) <= 0.01), None)
        assert trial.objective_value == steps
        assert trial.steps_run == (200 if steps is None else steps)
    best = min((trial for trial in trials if trial.objective_value), key=lambda trial: trial.objective_value)
    assert capsys.readouterr().out == f"{best.learning_rate} {best.objective_value}\n"


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
