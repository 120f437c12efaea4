"""A Keras 3 callback that reports a trial's losses, counted in updates, and stops the training when it should.

    from tuner.client.keras import TrialCallback

    model.compile(keras.optimizers.SGD(trial.learning_rate), loss="mse")
    history = model.fit(x, y, epochs=trial.steps, validation_data=held_out, callbacks=[TrialCallback(trial)])
    trial.tell(val_loss=history.history["val_loss"][-1])

Importing this loads Keras, with the backend that ``KERAS_BACKEND`` names.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import keras

from tuner.client.batches import positive
from tuner.client.trial import Trial


class TrialCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Reports as it trains; ends the training at ``trial.steps`` updates, and where the trial should stop.

    ``model.fit`` is given as many epochs as may be needed, or more: ``epochs=trial.steps`` is always enough. The count
    goes on when ``fit`` is called again with the same callback. A study without a parameter ``steps`` trains as ``fit``
    says.

    What is reported, and at which step:

    - ``loss``: of the batches since the last report, their mean. Keras computes a batch's loss before its update, so
      that of the k-th batch is reported at step k - 1; the mean of several at the step of the last of them. With
      ``every=1`` that is each batch's own loss.
    - other training metrics, at the end of an epoch: Keras's value for the epoch, at the step of its last batch.
    - ``val_loss`` and what else begins with ``val_``: at the step they were measured at, which is all updates so far.

    In its logs Keras gives the running mean of the epoch, not the batch's loss. The callback takes it apart again, as
    if all batches of the epoch were of the same size: the loss of a last, smaller batch comes out closer to the
    epoch's mean than it was. Keras's mean is of single precision, so after n batches of an epoch a loss is known to
    about n · 1e-7 of that mean. ``every=None`` reports Keras's mean of the whole epoch, as it is.

    With ``gradient_accumulation_steps`` an update is made every so many batches, and those are the steps.
    With ``steps_per_execution`` above 1, Keras calls back less often, and stops as late.

    Args:
        trial: that is trained.
        every: after how many batches the loss is reported; None: at the end of each epoch.

    Raises:
        InvalidInput: ``every`` is less than 1.
    """

    def __init__(self, trial: Trial, *, every: int | None = 1) -> None:
        super().__init__()
        self._trial = trial
        self._every = every if every is None else positive("every", every)
        # Going to its end tells the trial that all of its updates were made.
        self._updates: Iterator[int] = trial.range() if "steps" in trial.parameters else count(1)
        self._next_update = next(self._updates, None)
        self._earlier = 0
        self._begin()

    def _begin(self) -> None:
        self._seen = 0
        self._reported = 0
        self._sum = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Begin to count the epoch's batches."""
        self._begin()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Count updates, report the loss, stop where it is time."""
        self._seen = batch + 1
        while self._next_update is not None and self._next_update <= self._made():
            self._next_update = next(self._updates, None)
        if self._every is not None and self._seen - self._reported >= self._every:
            self._report_loss(logs)
        if self._next_update is None or self._trial.should_stop:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Report what is known of the epoch as a whole."""
        if self._seen > self._reported:
            self._report_loss(logs)
        measured = dict(logs or {})
        measured.pop("loss", None)
        validation = {name: measured.pop(name) for name in list(measured) if name.startswith("val_")}
        if measured and self._seen:
            self._trial.report(self._before(), measured)
        if validation:
            self._trial.report(self._made(), validation)
        self._earlier += self._seen
        self._begin()
        if self._trial.should_stop:
            self.model.stop_training = True

    def _report_loss(self, logs: Mapping[str, Any] | None) -> None:
        if logs is None or "loss" not in logs:
            return
        mean = float(logs["loss"])
        total = mean * self._seen
        finite = math.isfinite(total)
        self._trial.report(self._before(), loss=(total - self._sum) / (self._seen - self._reported) if finite else mean)
        self._sum, self._reported = total, self._seen

    def _made(self) -> int:
        """Updates so far."""
        return (self._earlier + self._seen) // self._batches_per_update()

    def _before(self) -> int:
        """Updates before the last batch's."""
        return (self._earlier + self._seen - 1) // self._batches_per_update()

    def _batches_per_update(self) -> int:
        return getattr(self.model.optimizer, "gradient_accumulation_steps", None) or 1
