"""A study's columns with what they mean: the best as the service says it, and the best so far."""

import math
from typing import Any

import numpy as np
import pytest

from tests.service.definitions import complete, external
from tuner.errors import StudyNotFound
from tuner.service import points, studies
from tuner.service.ask import ask
from tuner.service.exclusion import exclude
from tuner.service.report import NewPoints
from tuner.service.tell import Ending, tell
from tuner.storage.database import Database


def told(database: Database, losses: list[float], **goal: Any) -> None:
    studies.create(database, external(budget={"trials": None}, **goal))
    leases = ask(database, "resnet", count=len(losses)).trials
    tell(database, "resnet", [complete(lease, loss) for lease, loss in zip(leases, losses, strict=True)])


@pytest.mark.parametrize("goal", [{"minimize": "loss"}, {"maximize": "loss"}], ids=str)
def test_the_best_is_the_services(database: Database, goal: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    told(database, [*np.round(rng.normal(size=50), 1).tolist(), math.nan, math.inf, -math.inf], goal=goal)
    for _ in range(3):
        found, (study, _) = points.read(database, "resnet"), studies.get(database, "resnet")
        assert study.best is not None
        assert found.best is not None
        assert found.points.number[found.best] == study.best.number
        # Without it another one is.
        exclude(database, "resnet", study.best.number)


def test_of_the_fewest_steps_the_best_is_the_services(database: Database) -> None:
    studies.create(database, external(goal={"minimize": "steps", "until": {"loss": 0.1}}))
    leases = ask(database, "resnet", count=3).trials
    curves = [[1.0, 0.5, 0.05], [1.0, 0.05, 0.01], [1.0, 0.9, 0.8]]
    endings = [
        Ending(
            lease.number,
            lease.attempt,
            "complete",
            {"loss": curve[-1]},
            steps_run=2,
            curves=[NewPoints("loss", np.arange(3), np.array(curve))],
        )
        for lease, curve in zip(leases, curves, strict=True)
    ]
    tell(database, "resnet", endings)
    found = points.read(database, "resnet")
    assert [None if math.isnan(one) else one for one in found.worth.tolist()] == [2, 1, None]
    assert found.best == 1
    assert found.judged.tolist() == [True, True, True]


def test_a_study_that_changes_stands_elsewhere(database: Database) -> None:
    told(database, [1.0])
    before = points.standing(database, "resnet")
    assert points.standing(database, "resnet") == before
    ask(database, "resnet")
    assert points.standing(database, "resnet").sequence > before.sequence
    studies.stop(database, "resnet")
    assert not points.standing(database, "resnet").active
    with pytest.raises(StudyNotFound):
        points.standing(database, "absent")


def test_the_best_so_far_of_several_studies(database: Database) -> None:
    told(database, [3.0, 5.0, math.nan, 2.0, 2.0, 1.0])
    studies.create(database, external("empty"))
    found = points.improvements_of(database, ["resnet", "absent", "empty", "~99"])
    assert found == {"resnet": [(0, 3.0), (3, 2.0), (5, 1.0)], "empty": []}
    assert points.improvements_of(database, []) == {}
