"""Clients that all tell the same trial: one result of it is stored, and everybody is told which."""

from collections import defaultdict
from pathlib import Path

from tests.faults.clients import barrier, read, running
from tests.faults.records import all_trials, external
from tests.faults.scale import LONGEST, times
from tests.faults.service import api_processes, serving
from tests.faults.trainers import LEASE, tell_the_same
from tuner.service import studies
from tuner.service.ask import ask
from tuner.storage.database import Database
from tuner.trial import TrialState

CLIENTS = 8
TRIALS = times(200, 1_000)


def test_8_clients_tell_the_same_trial_200_times(
    database: Database, database_url: str, backend: str, tmp_path: Path
) -> None:
    """Through 1 API process on SQLite, 2 on PostgreSQL; in the long version 1,000 times."""
    external(database)
    leases = ask(database, "resnet", count=TRIALS, lease_seconds=LEASE).trials
    with (
        serving(database_url, tmp_path, "--workers", "0", *api_processes(backend)) as service,
        running(tmp_path, CLIENTS, tell_the_same, service.url, TRIALS, barrier(CLIENTS)) as crew,
    ):
        crew.finish(within=LONGEST)
    answers = defaultdict(list)
    for line in read(crew.logs):
        answers[line["number"]].append((line["status"], line["code"], line["loss"]))

    stored = all_trials(database)
    for trial in stored:
        answered = answers[trial.number]
        assert len(answered) == CLIENTS
        assert (trial.state, trial.attempt) == (TrialState.COMPLETE, 1)
        if trial.number % 2 == 0:
            assert set(answered) == {(200, None, 0.25)}
            assert trial.values == {"loss": 0.25}
        else:
            [(_, _, loss)] = [answer for answer in answered if answer[0] == 200]
            assert trial.values == {"loss": loss}
            assert {answer[:2] for answer in answered if answer[2] != loss} == {(409, "already_told")}
    # Settled once each: a second time would be spent a second time.
    study = studies.get(database, "resnet")[0]
    assert study.spent.trials == TRIALS
    assert study.spent.gradient_evaluations == sum(trial.gradient_evaluations for trial in stored)
    assert [trial.number for trial in stored] == [lease.number for lease in leases]
