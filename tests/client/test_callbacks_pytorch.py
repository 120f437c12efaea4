"""The PyTorch loop: its steps against a closed form, with floats anywhere, with tensors where PyTorch is installed."""

import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.client.descending import CURVATURE, RATE, curve, loss_after, one_trial
from tuner.client import Client, Trial
from tuner.client.pytorch import TrainingLoop
from tuner.errors import InvalidInput

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def torch() -> ModuleType:
    module: ModuleType = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    return module


def test_the_loss_before_an_update_is_that_of_the_step_before(client: Client, url: str) -> None:
    trial, x, passes = one_trial(client, 25), 1.0, []
    loop = TrainingLoop(trial, ["a", "b", "c"], every=4)
    for step, batch in loop:
        passes.append((step, batch))
        loss = CURVATURE / 2 * x**2
        x -= RATE * CURVATURE * x
        loop.report(loss=loss)
        trial.report(step, after=CURVATURE / 2 * x**2)
    trial.tell(loss=CURVATURE / 2 * x**2)
    assert passes == [(step, "abc"[(step - 1) % 3]) for step in range(1, 26)]
    assert curve(url) == pytest.approx({step: loss_after(step) for step in range(25)})
    assert curve(url, "after") == pytest.approx({step: loss_after(step) for step in range(1, 26)})


def test_what_waits_is_sent_whatever_ends_the_loop(client: Client, url: str) -> None:
    trial = one_trial(client, 100)
    loop = TrainingLoop(trial, [None], every=1000)
    for step, _ in loop:
        loop.report(loss=step)
        if step == 7:
            break
    trial.flush()
    assert curve(url) == {step - 1: float(step) for step in range(1, 8)}
    again = TrainingLoop(trial, [None], every=1000)

    def fail() -> None:
        for step, _ in again:
            again.report(other=step)
            raise ValueError(step)

    with pytest.raises(ValueError, match="1"):
        fail()
    trial.flush()
    assert curve(url, "other") == {0: 1.0}


def test_a_loss_that_is_not_finite_stops_the_loop(client: Client) -> None:
    trial = one_trial(client, 1000)
    loop = TrainingLoop(trial, [None], every=10)
    seen = 0
    for step, _ in loop:
        loop.report(loss=math.inf if step > 33 else 1.0)
        seen = step
    assert seen == 40
    assert trial.stop_reason == "loss is Infinity at step 33"
    assert trial.tell(loss=math.inf).state == "complete"


def test_the_pruner_stops_the_loop_and_not_one_that_has_made_all_updates(client: Client) -> None:
    pruner = {"name": "threshold", "settings": {"upper": 0.5}}
    study = client.study("s", learning_rate=0.1, steps=10, sampler="random", pruner=pruner)
    [short, whole] = study.ask(2)
    loop, ran = TrainingLoop(short, [None], every=1), []
    for step, _ in loop:
        ran.append(step)
        loop.report(loss=1.0)
        if step == 3:
            short.flush()
    assert ran == [1, 2, 3]
    assert short.tell(loss=1.0).state == "pruned"
    loop = TrainingLoop(whole, [None], every=1)
    for step, _ in loop:
        if step == 10:
            loop.report(loss=1.0)
    whole.flush()
    assert whole.should_stop
    assert whole.tell(loss=1.0).state == "complete"


def once() -> Iterator[int]:
    yield from range(3)


@pytest.mark.parametrize(("batches", "made"), [([], 0), (once(), 3)])
def test_too_few_batches_are_said(client: Client, batches: list[int], made: int) -> None:
    loop = TrainingLoop(one_trial(client, 10), batches)
    steps = []

    def run() -> None:
        for step, _ in loop:
            steps.append(step)

    with pytest.raises(InvalidInput, match=r"^batches: has no more"):
        run()
    assert len(steps) == made


def test_an_interval_is_at_least_one_step(client: Client) -> None:
    with pytest.raises(InvalidInput, match=r"^every: "):
        TrainingLoop(one_trial(client, 10), [None], every=0)


def trained(torch: ModuleType, trial: Trial, every: int) -> None:
    x = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = torch.optim.SGD([x], lr=trial.learning_rate)
    loop = TrainingLoop(trial, [None], every=every)
    for _ in loop:
        loss = CURVATURE / 2 * (x**2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loop.report(loss=loss, doubled=2 * loss)
        # What the loop keeps is its own.
        loss.detach().mul_(1000)


@pytest.mark.parametrize("every", [1, 7, 100])
def test_tensors_are_reported_at_the_step_before_their_update(
    torch: ModuleType, client: Client, url: str, every: int
) -> None:
    trial = one_trial(client, 20)
    trained(torch, trial, every)
    trial.flush()
    assert curve(url) == pytest.approx({step: loss_after(step) for step in range(20)})
    assert curve(url, "doubled") == pytest.approx({step: 2 * loss_after(step) for step in range(20)})


def test_a_tensor_that_is_no_scalar_is_refused_with_its_shape(torch: ModuleType, client: Client) -> None:
    loop = TrainingLoop(one_trial(client, 20), [None])
    next(iter(loop))
    loop.report(loss=torch.ones(1, 1, dtype=torch.bfloat16))
    with pytest.raises(InvalidInput, match=r"^values\.loss: must be a scalar, is a tensor of shape \(2, 3\)"):
        loop.report(loss=torch.ones(2, 3))


def test_tensors_are_fetched_together(torch: ModuleType, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def watched(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(tensor: Any) -> Any:
            fetched.append(tensor.numel())
            return method(tensor)

        return call

    for name in ("tolist", "item", "__float__"):
        monkeypatch.setattr(torch.Tensor, name, watched(getattr(torch.Tensor, name)))
    trial = one_trial(client, 25)
    loop = TrainingLoop(trial, [None], every=10)
    for step, _ in loop:
        loop.report(loss=torch.tensor(float(step)))
    assert fetched == [10, 10, 5]
