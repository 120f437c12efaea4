"""What a study wants: a metric at its best, the fewest steps to a target, or the trade-off of the two."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_serializer, model_validator

from tuner.strict import Bound, MetricName, Strict, about


class AtLeast(Strict):
    """A value that a metric is to rise to."""

    at_least: Bound


Direction = Literal["minimize", "maximize"]

STEPS = "steps"
"""What goals call the number of steps, which no metric of theirs may be called."""

Target = Annotated[dict[MetricName, Bound | AtLeast], Field(min_length=1, max_length=1)]
TradeOff = Annotated[list[MetricName], Field(min_length=2, max_length=2)]


class Goal(Strict):
    """What a study wants. It is about one metric, and may be about steps too.

    ``{"minimize": "loss"}``, ``{"maximize": "accuracy"}``: the metric at a trial's last step.
    ``{"minimize": "steps", "until": {"loss": 0.01}}``: the fewest steps after which the loss is at most 0.01, infinite
    where a trial never gets there; ``{"accuracy": {"at_least": 0.95}}`` for a metric that rises.
    ``{"minimize": ["loss", "steps"]}``, ``{"maximize": "accuracy", "minimize": "steps"}``: the front of a trade-off.
    """

    minimize: MetricName | TradeOff | None = None
    maximize: MetricName | None = None
    until: Target | None = None

    @model_validator(mode="after")
    def _is_one_of_these(self) -> Self:
        if self.until is not None:
            if self.minimize != STEPS or self.maximize is not None:
                raise about("minimize", f'must be "{STEPS}" alone where until says how far')
            if STEPS in self.until:
                raise about("until", f"{STEPS} are what is minimised: name a metric")
        elif isinstance(self.minimize, list):
            if self.minimize.count(STEPS) != 1 or self.maximize is not None:
                raise about("minimize", f'a trade-off is of one metric against "{STEPS}"')
        elif self.maximize is not None and self.minimize not in {None, STEPS}:
            raise about("minimize", f'give one of minimize and maximize, or minimize "{STEPS}" for a trade-off')
        elif self.minimize is None and self.maximize is None:
            raise about("minimize", "give minimize or maximize")
        elif self.minimize == self.maximize:
            raise about("maximize", f"{STEPS} cannot be both")
        return self

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        """With the metric before the steps: the order in which somebody wrote them means nothing."""
        if self.until is not None:
            value: Any = {"at_least": self.target} if self.direction == "maximize" else self.target
            return {"minimize": STEPS, "until": {self.metric: value}}
        if not self.is_trade_off:
            return {self.direction: self.metric}
        if self.direction == "minimize":
            return {"minimize": [self.metric, STEPS]}
        return {"maximize": self.metric, "minimize": STEPS}

    @property
    def metric(self) -> str:
        """The metric that trials report and tell."""
        if self.until is not None:
            return next(iter(self.until))
        if isinstance(self.minimize, list):
            return next(name for name in self.minimize if name != STEPS)
        metric = self.maximize or self.minimize
        assert metric is not None  # noqa: S101 (the validator saw to it)
        return metric

    @property
    def direction(self) -> Direction:
        """Which way that metric is better."""
        if self.until is not None:
            return "maximize" if isinstance(self.until[self.metric], AtLeast) else "minimize"
        return "minimize" if self.maximize is None else "maximize"

    @property
    def target(self) -> float | None:
        """The value that the metric is to reach in the fewest steps; None where that is not the goal."""
        if self.until is None:
            return None
        value = self.until[self.metric]
        return value.at_least if isinstance(value, AtLeast) else value

    @property
    def is_trade_off(self) -> bool:
        """Whether the whole front of the metric against the steps is wanted: then no trial is the best."""
        return self.until is None and (isinstance(self.minimize, list) or None not in {self.minimize, self.maximize})

    @property
    def is_about_steps(self) -> bool:
        """Whether the step at which a value holds is part of what is wanted."""
        return self.is_trade_off or self.until is not None

    @property
    def aims(self) -> tuple[tuple[str, Direction], ...]:
        """What trials are compared by, and which way it is better: one, or two of a trade-off."""
        if self.until is not None:
            return ((STEPS, "minimize"),)
        of_metric = (self.metric, self.direction)
        return (of_metric, (STEPS, "minimize")) if self.is_trade_off else (of_metric,)

    @property
    def words(self) -> str:
        """The goal as a person would say it: ``minimize steps until loss is at most 0.01``."""
        if self.until is not None:
            end = "least" if self.direction == "maximize" else "most"
            return f"minimize {STEPS} until {self.metric} is at {end} {self.target:g}"
        if self.is_trade_off and self.direction == "minimize":
            return f"minimize {self.metric} and {STEPS}"
        return " and ".join(f"{direction} {name}" for name, direction in self.aims)

    @property
    def field(self) -> str:
        """Where in the goal its metric is named."""
        return f"until.{self.metric}" if self.until is not None else self.direction

    def ranks(self, value: float | None) -> float | None:
        """A value of the metric as a key, smaller the better; None where it can't be ranked (missing, non-finite)."""
        if value is None or not math.isfinite(value):
            return None
        return value if self.direction == "minimize" else -value
