"""What a study's sampler is told of it: the same by every process, and no more in a long study than in a short one."""

from contextlib import closing
from typing import Any

import pytest

from tests.service.definitions import complete, registered
from tuner.search.learners import GeneticAlgorithm, TreeParzen
from tuner.service import studies
from tuner.service.ask import ask
from tuner.service.history import history
from tuner.service.open_study import open_study
from tuner.service.tell import tell
from tuner.storage import studies as rows
from tuner.storage import trials
from tuner.storage.database import Connection, Database

SAMPLERS: list[dict[str, Any]] = [
    {"name": "tpe", "seed": 3, "settings": {"n_startup_trials": 4}},
    {"name": "cmaes", "seed": 3, "settings": {"popsize": 4}},
    {"name": "nsga2", "seed": 3, "settings": {"population_size": 4}},
]


@pytest.fixture
def short_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short study is a long one."""
    for name, size in {"best": 5, "latest": 4, "spread": 16}.items():
        monkeypatch.setattr(TreeParzen, name, size)


def go_on(database: Database, name: str, count: int) -> list[dict[str, Any]]:
    """Ask and tell so many trials; their points."""
    points = []
    for _ in range(count):
        [lease] = ask(database, name).trials
        points.append(dict(lease.parameters))
        tell(database, name, [complete(lease, loss=abs(float(str(lease.parameters["learning_rate"])) - 0.1))])
    return points


@pytest.mark.usefixtures("short_sight")
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler["name"])
def test_points_are_the_same_whether_one_process_asks_or_each_time_another(
    database: Database, database_url: str, sampler: dict[str, Any]
) -> None:
    for name in ("one", "many"):
        studies.create(database, registered(name, sampler=sampler, budget={"trials": None, "seconds": 1e6}))
    theirs = []
    for _ in range(30):
        with closing(Database(database_url)) as another:
            theirs += go_on(another, "many", 2)
    assert go_on(database, "one", 60) == theirs


@pytest.mark.usefixtures("short_sight")
def test_an_excluded_trial_is_no_longer_learned_from(database: Database) -> None:
    studies.create(database, registered("s", sampler=SAMPLERS[0]))
    go_on(database, "s", 20)
    seen = look(database, "s")
    best = min(seen, key=lambda number: seen[number])

    def exclude(connection: Connection) -> None:
        study = rows.get(connection, "s", lock=True)
        trials.change(connection, trials.get(connection, study.id, best).id, excluded=True)
        rows.increase(connection, study.id, version=1)

    database.write(exclude)
    assert best not in look(database, "s")


def test_what_nsga2_notes_on_the_study_does_not_grow(database: Database) -> None:
    settings = {"population_size": 4}
    studies.create(database, registered("s", sampler={"name": "nsga2", "settings": settings}, budget={"trials": 1000}))
    for _ in range(15):
        leases = ask(database, "s", count=4).trials
        tell(database, "s", [complete(lease, loss=lease.number) for lease in leases])
    noted = database.read(lambda connection: rows.get(connection, "s")).system_attrs
    assert sorted(noted) == [f"NSGAIISampler:parent:{generation}" for generation in (12, 13, 14)]
    assert all(len(parents) == GeneticAlgorithm(**settings).population_size for parents in noted.values())


def look(database: Database, name: str) -> dict[int, float]:
    """The complete trials that the sampler would be shown now: number → value."""

    def known(connection: Connection) -> dict[int, float]:
        with open_study(connection, name) as study:
            columns = history(study).columns
            assert columns is not None
            return dict(zip(columns.numbers.tolist(), columns.values.tolist(), strict=True))

    return database.write(known)
