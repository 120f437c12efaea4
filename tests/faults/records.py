"""What the database says in the end, to be held against what clients were told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.clients import read
from tuner.definition import StudyDefinition
from tuner.service import studies, trials
from tuner.storage.database import Database
from tuner.trial import Trial, TrialState


def document(name: str = "resnet", **changes: Any) -> dict[str, Any]:
    """The definition of a training clients' study, whose points are all distinct."""
    return {
        "name": name,
        "search_space": {
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
            "steps": {"type": "int", "low": 1, "high": 200},
        },
        "sampler": {"name": "random"},
        "budget": {"trials": None},
        **changes,
    }


def external(database: Database, name: str = "resnet", **changes: Any) -> None:
    """Create such a study."""
    studies.create(database, StudyDefinition.model_validate(document(name, **changes)))


def all_trials(database: Database, name: str = "resnet") -> list[Trial]:
    """Every trial of a study, by number."""
    found: list[Trial] = []
    token: str | None = None
    while True:
        page = trials.page(database, name, page_size=1000, page_token=token)
        found += page.trials
        token = page.next_page_token
        if token is None:
            return found


def acknowledged(logs: Sequence[Path]) -> int:
    """How many results clients know to be taken. Nothing is parsed: this is asked again and again while they work."""
    return sum(path.read_bytes().count(b'"status": 200') for path in logs if path.exists())


def hold_what_was_acknowledged(database: Database, logs: Sequence[Path]) -> None:
    """Every lease and every result that clients were told of is there, and nothing else is; the study's sums agree.

    The clients have come to their end, and have sent every write until it was answered.
    """
    stored = {trial.number: trial for trial in all_trials(database)}
    leases = [lease for line in read(logs) for lease in line.get("leased", ())]
    assert sorted(lease["number"] for lease in leases) == list(range(len(stored)))
    assert {lease["number"]: lease["parameters"] for lease in leases} == {
        number: trial.parameters for number, trial in stored.items()
    }
    told = [result for line in read(logs) for result in line.get("told", ())]
    assert {result["status"] for result in told} <= {200}, "nobody else ran these trials"
    for result in told:
        trial = stored[result["number"]]
        assert (trial.state, trial.attempt, trial.values) == (
            TrialState.COMPLETE,
            result["attempt"],
            {"loss": result["loss"]},
        )
    # Each trial was started once, and settled at most once.
    study = studies.get(database, "resnet")[0]
    assert study.trials["complete"] == len(told)
    assert study.spent.trials == len(stored)
    assert study.spent.gradient_evaluations == sum(trial.gradient_evaluations for trial in stored.values())
    assert {trial.attempt for trial in stored.values()} == {1}
