"""The pictures of ``docs/range-test.md`` and ``docs/stability.md``, drawn from what the code measures.

``python -m docs.pictures.rates`` draws them anew; it needs the extra ``plot``.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tuner import objectives
from tuner.analysis import stability
from tuner.cli.picture import draw_range_test
from tuner.descent import Descent, Method, Row
from tuner.service import range_tests
from tuner.service.range_tests import RangeTestPlan
from tuner.service.stability import StabilityProbe, of_objective

INK = {"gradient_descent": "#1f4e79", "heavy_ball": "#b03a2e", "nesterov": "#2a7f3f"}
RED, BLUE = "#b03a2e", "#1f4e79"


def range_test_of_the_tutorial(path: Path) -> None:
    """The test of `line_fit`, and where the measured curvature puts the limit."""
    test = range_tests.of_objective("line_fit", {}, 0, RangeTestPlan())
    limit = of_objective("line_fit", StabilityProbe()).limit
    draw_range_test(test, path, title="tuner range-test line_fit", limit=limit)


def range_test_by_mini_batches(path: Path) -> None:
    """A noisy test: one of mini-batches."""
    test = range_tests.of_objective("logistic_regression", {}, 0, RangeTestPlan(parameters={"batch_size": 32}))
    draw_range_test(test, path, title="logistic_regression, mini-batches of 32")


def losses_around_the_limit(path: Path) -> None:
    """The loss after 200 steps of `line_fit` over the rate, and the limit of each update rule."""
    objective = objectives.create("line_fit", {})
    rates = np.geomspace(0.01, 10, 600)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for rule, color in INK.items():
        settings = {} if rule == "gradient_descent" else {"momentum": 0.5}
        descent = Descent(objective, [Row(rate, 200, settings) for rate in rates.tolist()], update_rule=rule)
        descent.advance()
        losses = np.array([descent.result(row).loss.values[-1] for row in range(len(rates))])
        limit = of_objective("line_fit", StabilityProbe(parameters={"update_rule": rule, **settings})).limit
        label = f"{rule.replace('_', ' ')}{', momentum 0.5' if settings else ''}"
        axes.plot(rates[np.isfinite(losses)], losses[np.isfinite(losses)], color=color, label=label)
        if limit is not None:
            axes.axvline(limit, color=color, linestyle=":", label=f"its limit: {limit:.4g}")
    axes.set(xscale="log", yscale="log", ylim=(5e-5, 1e3), xlabel="learning rate", ylabel="loss after 200 steps")
    axes.set_title("line_fit: what lies below the limit converges, what lies above it does not")
    axes.legend(fontsize="small", loc="upper left")
    _save(figure, path)


def curvature_along_a_run(path: Path) -> None:
    """The limit 2/L along a descent of a network, against the rate that it runs at."""
    rate, steps = 1.5, [0, *(2**power for power in range(13))]
    objective = objectives.create("network", {})
    method = Method()
    descent = Descent(objective, [Row(rate, steps[-1], method.settings)])
    points, at = [], 0
    descent.advance(0)
    for step in steps:
        descent.advance(step - at)
        at = step
        checkpoint = descent.result(0).checkpoint
        assert checkpoint is not None
        points.append(checkpoint.parameters)
    found = stability.measure_all(objective, np.stack(points))
    limits = [2 / one.largest for one in found if one.largest is not None]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([max(step, 0.5) for step in steps], limits, "o-", color=BLUE, label="limit 2/L, measured there")
    axes.axhline(rate, color=RED, linestyle="-.", label=f"learning rate {rate:g}")
    axes.set(xscale="log", yscale="log", xlabel="step (the start is drawn at a half)", ylabel="learning rate")
    axes.set_title("network: the limit moves while it descends")
    axes.legend(fontsize="small")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110)


PICTURES = {
    "range-test-line-fit.png": range_test_of_the_tutorial,
    "range-test-mini-batches.png": range_test_by_mini_batches,
    "stability-line-fit.png": losses_around_the_limit,
    "stability-network.png": curvature_along_a_run,
}

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, draw in PICTURES.items():
        draw(folder / name)
        print(folder / name)
