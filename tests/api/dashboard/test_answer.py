"""The answer to carry away: what it says is read back, by Python and by a JSON reader."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from api.dashboard.answer import Answer, answer_of
from tests.service.definitions import external
from tuner.definition import Spent, Study, StudyDefinition
from tuner.trial import Trial, TrialState

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def best(parameters: dict[str, Any], value: float | None = 0.1) -> Trial:
    return Trial(
        number=3,
        state=TrialState.COMPLETE,
        attempt=1,
        parameters=parameters,
        values={"loss": 0.1},
        objective_value=value,
        created_at=MOMENT,
        updated_at=MOMENT,
    )


def study(definition: StudyDefinition | None, trial: Trial | None) -> Study:
    return Study(
        name="s",
        address="s",
        state="active",
        state_reason=None,
        definition=definition,
        created_at=MOMENT,
        started_at=None,
        finished_at=None,
        trials={},
        spent=Spent(trials=0, gradient_evaluations=0, seconds=0, failed_trials=0),
        best=trial,
    )


def answer(parameters: dict[str, Any]) -> Answer:
    found = answer_of(study(external(), best(parameters)))
    assert found is not None
    return found


@pytest.mark.parametrize(
    "parameters",
    [
        {"learning_rate": 0.1 + 0.2, "steps": 138},
        {"learning_rate": 5e-324, "kind": "a'b\"\\\n", "on": True, "none": None},
        {"learning_rate": 0.1},
    ],
)
def test_a_line_of_python_assigns_the_parameters_exactly(parameters: dict[str, Any]) -> None:
    line = answer(parameters).python
    assert "\n" not in line
    names: dict[str, Any] = {}
    exec(line, {}, names)
    assert names == parameters


@pytest.mark.parametrize("name", ["weight-decay", "lambda", "2nd", "a b", "def"])
def test_names_that_are_none_to_python_go_into_a_dictionary(name: str) -> None:
    parameters = {"learning_rate": 0.25, name: math.inf}
    names: dict[str, Any] = {}
    exec(answer(parameters).python, {}, names)
    assert names == {"parameters": parameters}


def test_json_is_strict() -> None:
    text = answer({"learning_rate": 0.1 + 0.2, "steps": 3, "worst": math.nan, "word": "ü</script>"}).json
    read = json.loads(text, parse_constant=pytest.fail)
    assert read == {"learning_rate": 0.1 + 0.2, "steps": 3, "worst": "NaN", "word": "ü</script>"}


def test_of_the_fewest_steps_the_answer_is_how_many_it_took() -> None:
    until = external(goal={"minimize": "steps", "until": {"loss": 0.01}})
    found = answer_of(study(until, best({"learning_rate": 0.1, "steps": 200}, value=37.0)))
    assert found is not None
    assert found.parameters == {"learning_rate": 0.1, "steps": 37}
    ordinary = answer_of(study(external(), best({"learning_rate": 0.1, "steps": 200}, value=37.0)))
    assert ordinary is not None
    assert ordinary.parameters["steps"] == 200


def test_there_may_be_none() -> None:
    assert answer_of(study(external(), None)) is None
    assert answer_of(study(None, best({}))) is None
