"""A PyTorch training loop that counts steps rightly and does not wait for the GPU on each of them.

    from tuner.client.pytorch import TrainingLoop

    loop = TrainingLoop(trial, train_loader)
    for step, (inputs, targets) in loop:
        loss = criterion(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loop.report(loss=loss)
    trial.tell(loss=validate(model))

The loss of the k-th batch is computed before the k-th update, so it belongs to the parameters after k - 1 updates, and
that is the step it is reported as. What is measured after the update goes to ``trial.report(step, …)``.

Importing this loads no PyTorch; a program that has tensors has it already.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Generic

from tuner.client.batches import Batch, endless, positive
from tuner.client.trial import Trial
from tuner.errors import InvalidInput


class TrainingLoop(Generic[Batch]):
    """The updates of a trial: iterating gives ``(step, batch)`` for each of 1 … ``trial.steps``, unless it should stop.

    Reported tensors are copied where they are, on the GPU, and fetched every so many steps, all at once. So a loss that
    is not finite stops the loop up to ``every`` steps late. What waits is passed on when the loop ends, any way.

    Args:
        trial: whose study has a parameter ``steps``.
        batches: gone through again and again; a ``DataLoader``, or ``[(inputs, targets)]`` for full batches.
        every: after how many steps reported values are fetched and passed on.

    Raises:
        InvalidInput: ``every`` is less than 1; while iterating: there are no batches, or no ``steps``.
    """

    def __init__(self, trial: Trial, batches: Iterable[Batch], *, every: int = 20) -> None:
        self._trial = trial
        self._batches = batches
        self._every = positive("every", every)
        self._updates_before = 0
        self._waiting: list[tuple[int, dict[str, Any]]] = []

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        source = endless(self._batches)
        try:
            for step in self._trial.range():
                if self._trial.should_stop:
                    return
                self._updates_before = step - 1
                yield step, next(source)
        finally:
            self.flush()

    def report(self, **metrics: Any) -> None:
        """Note metrics of this pass's batch that were measured before its update, wherever in the pass this is called.

        Args:
            metrics: scalars by name, tensors or numbers: ``loss=loss``.

        Raises:
            InvalidInput: at ``values.<metric>``; a tensor has more than one element.
        """
        self._waiting.append((self._updates_before, {name: _kept(name, value) for name, value in metrics.items()}))
        if len(self._waiting) >= self._every:
            self.flush()

    def flush(self) -> None:
        """Fetch what waits, and pass it on to the trial. The end of the loop does so, too."""
        waiting, self._waiting = self._waiting, []
        names = {name: None for _, metrics in waiting for name in metrics}
        columns = {name: _fetched([metrics[name] for _, metrics in waiting if name in metrics]) for name in names}
        for step, metrics in waiting:
            self._trial.report(step, {name: next(columns[name]) for name in metrics})


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "detach")


def _kept(name: str, value: Any) -> Any:
    if not _is_tensor(value):
        return value
    if value.numel() != 1:
        raise InvalidInput.at(f"values.{name}", f"must be a scalar, is a tensor of shape {tuple(value.shape)}")
    # A copy: the loss may be divided in place afterwards, and a captured graph writes each one to the same place.
    return value.detach().reshape(()).clone()


def _fetched(values: list[Any]) -> Iterator[Any]:
    """The values of a metric as numbers; tensors come from their device in one transfer."""
    if all(_is_tensor(value) for value in values):
        import torch  # noqa: PLC0415 (loaded already, by whoever made the tensors)

        return iter(torch.stack(values).tolist())
    return iter(values)
