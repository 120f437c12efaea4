"""Verdicts in the service: on which curve, when, what is stored, and who is told to stop."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.service.definitions import complete, external, registered
from tuner.analysis.verdict import Name
from tuner.definition import StudyDefinition
from tuner.service import studies, trials
from tuner.service.ask import ask
from tuner.service.leases import release
from tuner.service.report import NewPoints, Report, Reported, report
from tuner.service.tell import Ending, tell
from tuner.storage import curves
from tuner.storage.curves import FULL_BLOCK, SAMPLED, CurveBlock
from tuner.storage.database import Database
from tuner.trial import Lease, Trial

Loss = Callable[[int], float]


def falls(step: int) -> float:
    return math.exp(-step / 20)


def grows(step: int) -> float:
    return 1.5**step


def on(lease: Lease, steps: range, **metrics: Loss) -> Report:
    points = [NewPoints(metric, list(steps), [loss(step) for step in steps]) for metric, loss in metrics.items()]
    return Report(lease.number, lease.attempt, points)


def send(database: Database, one: Report) -> Reported:
    (answer,) = report(database, "resnet", [one])
    assert isinstance(answer, Reported)
    return answer


def told(database: Database, ending: Ending) -> Trial:
    (trial,) = tell(database, "resnet", [ending])
    assert isinstance(trial, Trial)
    return trial


def test_a_report_is_answered_with_the_verdict_so_far(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    first = send(database, on(lease, range(4), loss=falls))
    assert (first.verdict, first.should_stop) == (Name.TOO_SHORT, False)
    for start in range(4, 400, 4):
        answer = send(database, on(lease, range(start, start + 4), loss=falls))
    assert answer.verdict == Name.CONVERGED
    assert answer.advice is not None
    assert answer.advice.startswith("Settled")
    running = trials.get(database, "resnet", 0)
    assert (running.verdict, running.advice, running.outcome) == (answer.verdict, answer.advice, None)
    assert send(database, Report(0, 1)).verdict == Name.CONVERGED


def test_who_diverges_is_told_to_stop_before_the_numbers_end(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    for step in range(100):
        answer = send(database, on(lease, range(step, step + 1), loss=grows))
        if answer.should_stop:
            break
    assert step < 25
    assert answer.verdict == Name.DIVERGED
    assert answer.reason is not None
    # √1.5 is 1.225; fourteen points tell it to a hundredth.
    assert re.match(r"Diverging since step 0: each step lands 1.2[23]× farther out\. Try half this rate", answer.reason)
    trial = told(database, complete(lease, grows(step)))
    assert (trial.state, trial.verdict, trial.steps_run) == ("complete", Name.DIVERGED, step)


def test_a_trial_that_explodes_late_is_judged_with_the_report_that_brings_it(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    send(database, on(lease, range(1000), loss=falls))
    send(database, on(lease, range(1000, 1050), loss=falls))
    answer = send(database, on(lease, range(1050, 1100), loss=lambda step: 1e-8 * 1.6 ** (step - 1050)))
    assert (answer.verdict, answer.should_stop) == (Name.DIVERGED, True)


@pytest.mark.parametrize("loss", [grows, lambda step: math.nan if step > 10 else 1.0])
def test_stopping_can_be_turned_off(database: Database, loss: Loss) -> None:
    studies.create(database, external(stop_diverging=False))
    (lease,) = ask(database, "resnet").trials
    answer = send(database, on(lease, range(60), loss=loss))
    assert (answer.verdict, answer.should_stop, answer.reason) == (Name.DIVERGED, False, None)


@pytest.mark.parametrize(
    "goal",
    [{"minimize": "steps", "until": {"accuracy": {"at_least": 2}}}, {"maximize": "accuracy", "minimize": "steps"}],
)
def test_of_a_goal_about_steps_its_metric_is_judged(database: Database, goal: dict[str, Any]) -> None:
    studies.create(database, external(goal=goal))
    (lease,) = ask(database, "resnet").trials
    answer = send(database, on(lease, range(60), accuracy=lambda step: -grows(step)))
    assert (answer.verdict, answer.should_stop) == (Name.DIVERGED, True)


def test_who_reaches_the_target_is_stopped_for_that(database: Database) -> None:
    studies.create(database, external(goal={"minimize": "steps", "until": {"loss": 0.5}}))
    (lease,) = ask(database, "resnet").trials
    answer = send(database, on(lease, range(100), loss=falls))
    assert (answer.should_stop, answer.reason) == (True, "loss has reached its target 0.5 at step 14")
    assert answer.verdict == Name.IMPROVING


def test_a_definition_without_the_choice_is_one_that_stops() -> None:
    document = external().model_dump(mode="json")
    del document["stop_diverging"]
    assert StudyDefinition.model_validate(document) == external()
    assert external().stop_diverging


def test_noisy_batches_stop_nobody(database: Database) -> None:
    rng = np.random.default_rng(0)
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    noise = rng.lognormal(0, 1, 2000)
    for start in range(0, 2000, 8):
        answer = send(database, on(lease, range(start, start + 8), loss=lambda step: noise[step] + falls(step)))
        assert not answer.should_stop


@pytest.mark.parametrize("held_out", ["validation_loss", "val_loss"])
@pytest.mark.parametrize("goal", ["loss", None])
def test_held_out_metrics_show_overfitting(database: Database, held_out: str, goal: str | None) -> None:
    studies.create(database, external(goal={"minimize": goal or held_out}))
    (lease,) = ask(database, "resnet").trials
    metrics: dict[str, Loss] = {"loss": falls, held_out: lambda step: falls(step) + 1e-3 * max(0, step - 100)}
    send(database, on(lease, range(400), **metrics))
    trial = told(database, Ending(0, 1, "complete", {"loss": 0.0, held_out: 0.3}))
    assert trial.verdict == Name.OVERFITTING
    assert trial.evidence is not None
    assert trial.evidence["best_step"] == pytest.approx(100, abs=20)


def test_a_goal_to_be_maximised_is_judged_the_other_way_round(database: Database) -> None:
    studies.create(database, external(goal={"maximize": "accuracy"}))
    (lease,) = ask(database, "resnet").trials
    send(database, on(lease, range(200), accuracy=lambda step: 1 - falls(step)))
    assert told(database, Ending(0, 1, "complete", {"accuracy": 1.0})).verdict == Name.CONVERGED


def test_without_a_curve_there_is_no_verdict(database: Database) -> None:
    studies.create(database, external())
    first, second = ask(database, "resnet", count=2).trials
    send(database, on(second, range(50), other=falls))
    for lease in (first, second):
        trial = told(database, complete(lease))
        assert (trial.verdict, trial.evidence, trial.advice) == (None, None, None)


def test_a_new_attempt_begins_without_a_verdict(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    send(database, on(lease, range(50), loss=falls))
    release(database, "resnet", [(0, 1)])
    (again,) = ask(database, "resnet").trials
    assert trials.get(database, "resnet", 0).verdict is None
    assert send(database, on(again, range(3), loss=falls)).verdict == Name.TOO_SHORT


def test_what_a_worker_brings_with_the_result_is_judged(database: Database) -> None:
    studies.create(database, registered())
    first, second = ask(database, "line-fit", count=2).trials
    steps = list(range(100))
    # The second had reported half of it before.
    half = NewPoints("loss", steps[:50], [falls(step) for step in steps[:50]])
    report(database, "line-fit", [Report(second.number, 1, [half])])
    rest = NewPoints("loss", steps[50:], [falls(step) for step in steps[50:]])
    whole = NewPoints("loss", steps, [falls(step) for step in steps])
    endings = [
        Ending(lease.number, 1, "complete", {"loss": 0.0}, curves=brought)
        for lease, brought in ((first, [whole]), (second, [rest]))
    ]
    answers: list[Any] = tell(database, "line-fit", endings)
    shapes = [{key: value for key, value in one.evidence.items() if key != "learning_rate"} for one in answers]
    assert shapes[0] == shapes[1]
    assert shapes[0]["points"] == 100


def test_of_a_long_curve_its_ends_and_some_of_the_middle_are_read(database: Database) -> None:
    studies.create(database, external())
    ask(database, "resnet")
    blocks = 3 * SAMPLED
    values = np.arange(blocks * FULL_BLOCK, dtype=np.float64)

    def work(connection: Any) -> Any:
        for block in range(blocks):
            some = np.arange(block * FULL_BLOCK, (block + 1) * FULL_BLOCK)
            curves.append(connection, [CurveBlock(1, 1, "loss", some, values[some])])
        curves.append(connection, [CurveBlock(1, 1, "accuracy", [1, 2], [0.1, 0.2])])
        return curves.sample(connection, [(1, 1)])[1]

    found = database.write(work)
    assert found["accuracy"].values.tolist() == [0.1, 0.2]
    steps = found["loss"].steps
    assert len(steps) == SAMPLED * FULL_BLOCK
    assert (steps[0], steps[-1]) == (0, len(values) - 1)
    assert np.array_equal(found["loss"].values, values[steps])
    assert np.diff(steps).max() < 8 * FULL_BLOCK
