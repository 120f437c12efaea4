"""Trials side by side without a database: what pruners decide when curves are reported to them."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tuner.definition import PrunerChoice, StudyDefinition
from tuner.search.pruners import Comparison, Progress, Pruner, RungPruner, pruner_of, resolve_pruner

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
    "steps": {"type": "int", "low": 1, "high": 100},
}


def choose(name: str, space: dict[str, Any] | None = None, **settings: Any) -> PrunerChoice:
    """A resolved choice, for at most 100 steps unless another search space is given."""
    definition = StudyDefinition.model_validate(
        {"name": "s", "search_space": space or SPACE, "pruner": {"name": name, "settings": settings}}
    )
    assert definition.pruner is not None
    return resolve_pruner(definition.pruner, definition.search_space)


def build(name: str, space: dict[str, Any] | None = None, **settings: Any) -> Pruner:
    """A pruner."""
    return pruner_of(choose(name, space, **settings))


def rung_pruner(name: str, space: dict[str, Any] | None = None, **settings: Any) -> RungPruner:
    """A pruner that compares at rungs."""
    pruner = build(name, space, **settings)
    assert isinstance(pruner, RungPruner)
    return pruner


def progress(
    steps: Sequence[int],
    values: ArrayLike,
    *,
    number: int = 0,
    sign: int = 1,
    after: int = -1,
    best: float = math.inf,
    best_step: int | None = None,
) -> Progress:
    """A report."""
    return Progress(
        number=number,
        sign=sign,
        after=after,
        upto=max([after, *steps]),
        best=best,
        best_step=best_step,
        steps=np.array(steps, dtype=np.int64),
        values=np.array(values, dtype=np.float64),
    )


class Field:
    """The rungs of a study in memory."""

    def __init__(self, pruner: RungPruner, sign: int = 1) -> None:
        self.pruner = pruner
        self.sign = sign
        self._worth: dict[tuple[int, int], dict[int, float]] = defaultdict(dict)

    def run(self, number: int, steps: Sequence[int], values: ArrayLike, batch: int = 1) -> tuple[int, str] | None:
        """Report a curve, ``batch`` points at once, steps (n,), values (n,): where it was stopped and why, or None."""
        values = np.asarray(values, dtype=np.float64)
        after, best = -1, math.inf
        for start in range(0, len(steps), batch):
            part = slice(start, start + batch)
            report = progress(steps[part], values[part], number=number, sign=self.sign, after=after, best=best)
            reason = self.report(number, report)
            if reason is not None:
                return report.upto, reason
            after, best = report.upto, report.best_now
        return None

    def report(self, number: int, report: Progress) -> str | None:
        """Enter one report, and ask."""
        bracket = self.pruner.bracket(number)
        crossed = report.crossed(self.pruner.rungs(bracket))
        for rung, value in crossed.items():
            self._worth[bracket, rung][number] = value
        for rung in self.pruner.decisive(list(crossed)) if crossed else []:
            peers = [value for peer, value in self._worth[bracket, rung].items() if peer != number]
            reason = self.pruner.decide(Comparison(rung, crossed[rung], np.array(peers), self.sign))
            if reason is not None:
                return reason
        return None
