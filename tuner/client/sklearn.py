"""Training by scikit-learn's ``partial_fit``: so many calls, the loss every now and then, stopped when it should be.

    from tuner.client.sklearn import partial_fit

    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=trial.learning_rate)
    loss = partial_fit(trial, model, batches, lambda model: log_loss(y_held_out, model.predict_proba(x_held_out)),
                       classes=classes)
    trial.tell(loss=loss)

Importing this loads no scikit-learn.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tuner.client.batches import endless, positive
from tuner.client.trial import Trial

PARAMETERS = ("coef_", "intercept_", "coefs_", "intercepts_")
"""Where scikit-learn's estimators keep what they have learned by gradient descent."""


def partial_fit(
    trial: Trial,
    estimator: Any,
    batches: Iterable[Sequence[Any]],
    measure: Callable[[Any], Any],
    *,
    metric: str = "loss",
    every: int = 10,
    **arguments: Any,
) -> float:
    """Train an estimator for ``trial.steps`` calls of its ``partial_fit``, or until the trial should stop.

    A step is one call. What a call does is the estimator's: ``MLPClassifier`` and ``MLPRegressor`` make one update of a
    batch of at most ``batch_size`` rows (200, unless set), ``SGDClassifier`` and ``SGDRegressor`` one of each row.

    The metric is measured after every ``every``-th call and after the last, and reported as of that step. There is no
    value of step 0: an estimator that has not been fitted cannot be measured.

    scikit-learn raises ``ValueError`` when training leaves the finite numbers. That is a result: where the estimator's
    weights are indeed no longer finite, NaN is reported and returned. Any other exception is yours.

    Args:
        trial: whose study has a parameter ``steps``.
        estimator: anything with ``partial_fit``.
        batches: gone through again and again; each the positional arguments of a call: ``(x, y)``.
        measure: the metric of the estimator, a number.
        metric: its name.
        every: calls between measurements.
        arguments: passed on to each call: ``classes=[0, 1]``.

    Returns:
        The metric after the last call that was made.

    Raises:
        InvalidInput: ``every`` is less than 1, there are no batches or no ``steps``, or what was measured is no number.
    """
    positive("every", every)

    def measured(step: int) -> float:
        value = measure(estimator)
        trial.report(step, {metric: value})
        return float(value)

    source = endless(batches)
    latest = math.nan
    for step in trial.range():
        try:
            estimator.partial_fit(*next(source), **arguments)
        except ValueError:
            if _finite(estimator):
                raise
            trial.report(step, {metric: math.nan})
            return math.nan
        due = step % every == 0 or step == trial.steps
        if due:
            latest = measured(step)
        if trial.should_stop:
            return latest if due else measured(step)
    return latest


def _finite(estimator: Any) -> bool:
    import numpy as np  # noqa: PLC0415 (scikit-learn has loaded it)

    found = (getattr(estimator, name, ()) for name in PARAMETERS)
    arrays = (array for value in found for array in (value if isinstance(value, list) else [value]))
    return all(bool(np.isfinite(array).all()) for array in arrays)
