"""Trials that always crash their worker: given up after three lost leases, to nobody else's harm."""

from pathlib import Path
from typing import Any

from tests.faults.records import all_trials
from tests.faults.service import serving
from tests.worker.running import definition, eventually, fixed, study_of
from tuner.objectives import load_module
from tuner.service import studies, trials
from tuner.storage.database import Database
from tuner.trial import TrialState

DEADLY = str(Path(__file__).parent / "deadly.py")
load_module(DEADLY)

RATE_OF_DEATH = 2.0


def bowl(database: Database, name: str, log: Path, **changes: Any) -> None:
    settings = {"log": str(log)}
    studies.create(database, definition(name, "deadly_bowl", settings=settings, **changes))


def deaths(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_a_trial_that_crashes_its_worker_is_quarantined_after_exactly_3(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """Alone in its study, and beside it a study of the same objective whose trials are harmless."""
    log, harmless = tmp_path / "deaths", tmp_path / "none"
    bowl(database, "deadly", log, search_space=fixed(RATE_OF_DEATH, 10), budget={"trials": 1})
    bowl(database, "harmless", harmless, search_space=fixed(0.1, 10), budget={"trials": 20})
    with serving(database_url, tmp_path, "--workers", "1", "--objectives", DEADLY) as service:
        for name in ("deadly", "harmless"):
            eventually(lambda name=name: study_of(database, name).state == "completed", within=60)  # type: ignore[misc]
        # Any further life of the deadly trial would cost another worker.
        assert deaths(log) == 3
        assert service.is_ready()

    [trial] = all_trials(database, "deadly")
    assert (trial.state, trial.quarantined, trial.attempt) == (TrialState.FAILED, True, 3)
    assert trial.reason == "quarantined: it lost its lease 3 times"
    assert study_of(database, "deadly").spent.trials == 1
    others = all_trials(database, "harmless")
    assert {(other.state, other.attempt) for other in others} == {(TrialState.COMPLETE, 1)}
    assert len(others) == 20
    assert deaths(harmless) == 0


def test_trials_in_one_pass_with_a_deadly_one_do_not_die_with_it(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """A worker descends several trials in one pass: whoever shares it with the deadly one is lost with it, once."""
    log = tmp_path / "deaths"
    space = {**fixed(0.1, 10), "learning_rate": {"type": "float", "low": 0.01, "high": 4.0, "scale": "log"}}
    sampler = {"name": "random", "batch_size": 4}
    bowl(database, "mixed", log, search_space=space, sampler=sampler, budget={"trials": 8})
    for rate in (0.1, RATE_OF_DEATH, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        trials.enqueue(database, "mixed", {"learning_rate": rate, "steps": 10})
    with serving(database_url, tmp_path, "--workers", "1", "--objectives", DEADLY):
        eventually(lambda: study_of(database, "mixed").state == "completed", within=60)
    found = all_trials(database, "mixed")

    assert [trial.quarantined for trial in found] == [False, True, *[False] * 6]
    assert {trial.state for trial in found if not trial.quarantined} == {TrialState.COMPLETE}
    assert found[1].attempt == 3
    assert deaths(log) == 3
