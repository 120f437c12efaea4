"""A trajectory search of rates that clients train: what the use cases ask of it, on both databases."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.search.clients import quadratic
from tests.service.definitions import SPACE, external
from tuner.definition import StudyDefinition
from tuner.service import studies, training
from tuner.service import trials as service_trials
from tuner.service.ask import ask
from tuner.service.exclusion import exclude
from tuner.service.leases import release
from tuner.service.open_study import open_study
from tuner.service.report import NewPoints, Report, Reported, report
from tuner.service.tell import Ending, tell
from tuner.storage.database import Connection, Database
from tuner.trial import Lease, Trial

EDGE = 1.0

WIDE = {**SPACE, "learning_rate": {"type": "float", "low": 1e-4, "high": 10.0, "scale": "log"}}


def trajectory(**changes: Any) -> StudyDefinition:
    return external(**{"sampler": {"name": "trajectory"}, "search_space": WIDE, "budget": {"trials": 30}, **changes})


def point(lease: Lease) -> tuple[float, int]:
    rate, steps = lease.parameters["learning_rate"], lease.parameters["steps"]
    assert isinstance(rate, float)
    assert isinstance(steps, int)
    return rate, steps


def train(
    database: Database,
    lease: Lease,
    losses: Callable[[float, int], NDArray[np.float64]] = quadratic,
    *,
    metric: str = "loss",
    every: int = 20,
) -> str | None:
    """Train a trial to its end, or to where it is told to stop; why it was."""
    rate, steps = point(lease)
    curve = losses(rate, steps)
    for first in range(0, len(curve), every):
        part = np.arange(first, min(first + every, len(curve)))
        [answer] = report(
            database, "resnet", [Report(lease.number, lease.attempt, [NewPoints(metric, part, curve[part])])]
        )
        assert isinstance(answer, Reported)
        if answer.should_stop:
            break
    assert isinstance(answer, Reported)
    last = int(part[-1])
    stopped = answer.should_stop and last < steps and math.isfinite(curve[last])
    ending = Ending(
        lease.number, lease.attempt, "pruned" if stopped else "complete", values={metric: float(curve[last])}
    )
    tell(database, "resnet", [ending])
    return answer.reason


def best_rate(database: Database) -> float:
    study, _ = studies.get(database, "resnet")
    assert study.best is not None
    rate = study.best.parameters["learning_rate"]
    assert isinstance(rate, float)
    return rate


def every_trial(database: Database) -> list[Trial]:
    return service_trials.page(database, "resnet", page_size=1000).trials


def run(
    database: Database, losses: Callable[[float, int], NDArray[np.float64]] = quadratic, *, metric: str = "loss"
) -> dict[int, str]:
    """Train, one trial after another, until the study gives none; why trials were stopped, by number."""
    reasons = {}
    while leases := ask(database, "resnet").trials:
        reason = train(database, leases[0], losses, metric=metric)
        if reason is not None:
            reasons[leases[0].number] = reason
    return reasons


def test_a_study_is_searched_to_its_budget_and_finds_the_best(database: Database) -> None:
    studies.create(database, trajectory())
    reasons = run(database)
    study, _ = studies.get(database, "resnet")
    assert study.state == "completed"
    assert study.trials["complete"] + study.trials["pruned"] == 30
    assert study.best is not None
    assert study.best.parameters["steps"] == 200
    assert 0.85 < best_rate(database) < EDGE
    stopped = [one for one in every_trial(database) if one.state == "pruned"]
    assert stopped
    assert all(one.reason == reasons[one.number] for one in stopped)
    assert any("is behind the rate" in str(one.reason) for one in stopped)
    # What it took is what was run.
    assert study.spent.gradient_evaluations == sum(one.steps_run or 0 for one in every_trial(database))


def test_the_same_study_gives_the_same_trials(database: Database) -> None:
    found = []
    for _ in range(2):
        studies.create(database, trajectory(budget={"trials": 15}))
        run(database)
        found.append([(one.parameters, one.state, one.steps_run) for one in every_trial(database)])
        studies.delete(database, "resnet")
    assert found[0] == found[1]


def test_to_maximise_is_to_minimise_seen_in_a_mirror(database: Database) -> None:
    def mirrored(rate: float, steps: int) -> NDArray[np.float64]:
        return -quadratic(rate, steps)

    studies.create(database, trajectory(budget={"trials": 15}))
    run(database)
    minimised = [one.parameters for one in every_trial(database)]
    studies.delete(database, "resnet")
    studies.create(database, trajectory(goal={"maximize": "score"}, budget={"trials": 15}))
    run(database, losses=mirrored, metric="score")
    assert [one.parameters for one in every_trial(database)] == minimised
    assert best_rate(database) < EDGE


@pytest.mark.parametrize(("metric", "sign"), [("loss", 1), ("score", -1)])
def test_the_fewest_steps_to_a_target_are_found(database: Database, metric: str, sign: int) -> None:
    def signed(rate: float, steps: int) -> NDArray[np.float64]:
        return sign * quadratic(rate, steps)

    target = {"loss": 1e-4} if metric == "loss" else {"score": {"at_least": -1e-4}}
    studies.create(database, trajectory(goal={"minimize": "steps", "until": target}))
    run(database, losses=signed, metric=metric)
    study, _ = studies.get(database, "resnet")
    assert study.state == "completed"
    assert study.best is not None
    assert study.best.objective_value is not None
    curves = [quadratic(rate, 200) for rate in np.geomspace(0.5, 0.999, 500)]
    fewest = min(int(np.argmax(curve <= 1e-4)) for curve in curves if curve[-1] <= 1e-4)
    assert fewest <= study.best.objective_value <= 1.1 * fewest
    # Once one is there, nobody trains for longer.
    numbers = [one.number for one in every_trial(database) if one.objective_value is not None]
    later = [one for one in every_trial(database) if one.number > min(numbers)]
    assert max(one.steps_run or 0 for one in later) <= max(
        one.objective_value or 0 for one in every_trial(database) if one.number == min(numbers)
    )


def test_parallel_askers_never_pass_the_budget_and_get_points_of_their_own(database: Database) -> None:
    studies.create(database, trajectory(budget={"trials": 25}))
    with ThreadPoolExecutor(6) as pool:
        asked = list(pool.map(lambda _: ask(database, "resnet", count=3).trials, range(12)))
    leases = [lease for answer in asked for lease in answer]
    assert sorted(lease.number for lease in leases) == list(range(25))
    assert len({point(lease)[0] for lease in leases}) == 25


def test_a_budget_of_evaluations_is_kept_to_the_last(database: Database) -> None:
    studies.create(database, trajectory(budget={"gradient_evaluations": 777}))
    run(database)
    study, _ = studies.get(database, "resnet")
    assert study.state == "completed"
    assert study.spent.gradient_evaluations == 777


def test_a_hopeless_trial_is_told_so_again_in_the_same_words(database: Database) -> None:
    studies.create(database, trajectory(search_space={**WIDE, "steps": {"type": "int", "low": 200, "high": 200}}))
    service_trials.enqueue(database, "resnet", {"learning_rate": 0.9, "steps": 200})
    service_trials.enqueue(database, "resnet", {"learning_rate": 0.01, "steps": 200})
    ahead, behind = ask(database, "resnet", count=2).trials
    assert train(database, ahead) is None

    def reported(steps: list[int]) -> Reported:
        curve = quadratic(point(behind)[0], 200)
        [answer] = report(database, "resnet", [Report(behind.number, 1, [NewPoints("loss", steps, curve[steps])])])
        assert isinstance(answer, Reported)
        return answer

    assert not reported(list(range(5))).should_stop
    answer = reported(list(range(5, 30)))
    assert answer.should_stop
    assert str(answer.reason).startswith("at step 29 the rate 0.01 is behind the rate 0.9")
    assert reported([30]).reason == answer.reason


def test_other_metrics_decide_nothing(database: Database) -> None:
    studies.create(database, trajectory(goal={"minimize": "validation"}, stop_diverging=False))
    leases = ask(database, "resnet", count=3).trials
    for lease in leases:
        assert train(database, lease, metric="validation") is None or point(lease)[0] >= EDGE
    [lease] = ask(database, "resnet").trials
    [answer] = report(
        database, "resnet", [Report(lease.number, 1, [NewPoints("noise", range(5), 1e6 * np.arange(5.0))])]
    )
    assert isinstance(answer, Reported)
    assert not answer.should_stop


def test_a_rate_at_which_a_program_fails_is_not_tried_again(database: Database) -> None:
    studies.create(database, trajectory())
    failed = []
    while leases := ask(database, "resnet").trials:
        [lease] = leases
        if point(lease)[0] > 0.5:
            failed.append(point(lease)[0])
            tell(database, "resnet", [Ending(lease.number, 1, "failed", reason="out of memory")])
        else:
            train(database, lease)
    assert len(set(failed)) == len(failed)
    assert 0.35 < best_rate(database) <= 0.5


def test_a_trial_that_waits_to_be_begun_anew_is_run_and_not_proposed_twice(database: Database) -> None:
    studies.create(database, trajectory())
    given = ask(database, "resnet", count=3).trials
    release(database, "resnet", [(given[1].number, 1)])
    [again] = ask(database, "resnet").trials
    assert (again.number, again.attempt, again.parameters) == (1, 2, given[1].parameters)
    others = ask(database, "resnet", count=5).trials
    assert len({point(lease)[0] for lease in [*given, *others]}) == 8


def test_an_excluded_trial_is_not_looked_at(database: Database) -> None:
    studies.create(database, trajectory())
    first, second = ask(database, "resnet", count=2).trials
    train(database, first)
    exclude(database, "resnet", first.number)
    train(database, second)
    [lease] = ask(database, "resnet").trials
    # Were the first known, which exploded, the gap between the two would be halved.
    assert (point(first)[0], point(second)[0], point(lease)[0]) == (10.0, 1.0, 4.0)


def test_what_is_looked_at_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "LATEST", 10)
    monkeypatch.setattr(training, "BEST", 4)
    monkeypatch.setattr(training, "RUNNING", 6)
    studies.create(database, trajectory(budget={"trials": 60}))
    for lease in ask(database, "resnet", count=50).trials[:40]:
        tell(database, "resnet", [Ending(lease.number, 1, "complete", values={"loss": float(lease.number)})])

    def look(connection: Connection) -> list[int]:
        with open_study(connection, "resnet") as study:
            return [one.number for one in training.trained(study)]

    # The latest ten are under way; the best were told first.
    assert database.write(look) == [0, 1, 2, 3, *range(40, 50)]


def test_a_noisy_study_finds_the_edge(database: Database) -> None:
    seeds = iter(range(1000))

    def noisy(rate: float, steps: int) -> NDArray[np.float64]:
        losses = quadratic(rate, steps)
        return losses + 0.1 * np.random.default_rng(next(seeds)).normal(size=len(losses))

    studies.create(database, trajectory())
    run(database, losses=noisy)
    full = [one.parameters for one in every_trial(database) if one.state == "complete" and one.steps_run == 200]
    assert any(0.4 < point["learning_rate"] < EDGE for point in full if isinstance(point["learning_rate"], float))


def test_a_study_that_always_diverges_ends_by_its_budget(database: Database) -> None:
    studies.create(database, trajectory(budget={"trials": 20}))
    reasons = run(database, losses=lambda _rate, _steps: np.array([1.0, 1e30, math.inf]))
    study, _ = studies.get(database, "resnet")
    assert study.state == "completed"
    assert study.best is None
    assert set(reasons) == set(range(20))
    assert len({str(one.parameters["learning_rate"]) for one in every_trial(database)}) == 20
