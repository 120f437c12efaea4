"""The pictures of ``docs/verdicts.md``, one for each verdict, and what the judge says of them.

``python -m docs.pictures.verdicts`` descends, writes the pictures beside this file and prints the verdicts. All curves
are runs of registered objectives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docs.pictures.line_chart import Chart, draw
from tuner import objectives
from tuner.analysis.decimation import decimate
from tuner.analysis.verdict import Verdict, judge
from tuner.descent import Descent, Row
from tuner.trial import Curve

HERE = Path(__file__).parent

POINTS = 200
"""Points of a line."""

_COLOURS = ("#1f5fbf", "#c2571a")


@dataclass(frozen=True)
class Example:
    """A run: its objective, rate and steps, and how it descends."""

    objective: str
    rate: float
    steps: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    rule: str = "gradient_descent"
    batch_size: int | None = None
    with_validation: bool = False


EXAMPLES: Mapping[str, Example] = {
    "diverged": Example("line_fit", 0.9, 60),
    "oscillating": Example("line_fit", 0.3, 100, rule="rmsprop"),
    "too_slow": Example("line_fit", 0.001, 200),
    "converged": Example("line_fit", 0.1, 200),
    "plateaued": Example("network", 1e-6, 300, batch_size=16),
    "improving": Example("quadratic", 0.3, 120, {"condition_number": 1000.0}),
    "overfitting": Example("network", 0.03, 1000, {"hidden": 32, "train_fraction": 0.15}, with_validation=True),
    "too_short_to_tell": Example("line_fit", 0.1, 4),
}
"""By the verdict that they show."""

TUTORIAL = (0.001, 0.1, 0.9, 1.0, 10.0)
"""Rates of the tutorial problem, 200 steps each."""


def run(example: Example) -> tuple[Verdict, dict[str, Curve]]:
    """The verdict on a run, and its curves."""
    made = objectives.create(example.objective, dict(example.settings))
    descent = Descent(made, [Row(example.rate, example.steps)], update_rule=example.rule, batch_size=example.batch_size)
    descent.advance()
    result = descent.result(0)
    shown = {"loss": result.loss}
    if example.with_validation and result.validation is not None:
        shown["validation_loss"] = result.validation
    held_out = shown.get("validation_loss")
    verdict = judge(
        result.loss.values,
        steps=result.loss.steps,
        validation=None if held_out is None else (held_out.steps, held_out.values),
        learning_rate=example.rate,
        plain=example.rule == "gradient_descent" and example.batch_size is None,
        stochastic=example.batch_size is not None,
    )
    curves = {}
    for metric, one in shown.items():
        kept = decimate(one.values, POINTS)
        curves[metric] = Curve(steps=one.steps[kept].tolist(), values=one.values[kept].tolist(), points=len(one.steps))
    return verdict, curves


def svg(chart: Chart) -> str:
    """A chart as a picture that stands by itself, on light and dark pages."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {chart.width} {chart.height}" width="480" '
        'font-family="sans-serif" font-size="14" fill="none">',
        f'<rect width="{chart.width}" height="{chart.height}" fill="#ffffff"/>',
    ]
    parts += [
        f'<path d="M{chart.left},{tick.position:.1f} H{chart.right}" stroke="#dddddd"/>'
        f'<text x="{chart.left - 8}" y="{tick.position + 4:.1f}" fill="#444444" text-anchor="end">{tick.label}</text>'
        for tick in chart.y_ticks
    ]
    parts += [
        f'<text x="{tick.position:.1f}" y="{chart.bottom + 20}" fill="#444444" text-anchor="middle">{tick.label}</text>'
        for tick in chart.x_ticks[1:-1]
    ]
    first, last = chart.x_ticks[0], chart.x_ticks[-1]
    parts += [
        f'<text x="{first.position:.1f}" y="{chart.bottom + 20}" fill="#444444">{first.label}</text>',
        f'<text x="{last.position:.1f}" y="{chart.bottom + 20}" fill="#444444" text-anchor="end">{last.label}</text>',
        f'<path d="M{chart.left},{chart.bottom} H{chart.right}" stroke="#444444"/>',
    ]
    parts += [
        f'<path d="{line.path}" stroke="{colour}" stroke-width="2"/>'
        for line, colour in zip(chart.lines, _COLOURS, strict=False)
    ]
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Write the pictures, print the verdicts."""
    for name, example in EXAMPLES.items():
        verdict, curves = run(example)
        chart = draw(curves)
        if chart is not None:
            (HERE / f"verdict-{name}.svg").write_text(svg(chart))
        print(f"{name}: {verdict.name}: {verdict.advice}")
        print("   ", {key: float(f"{value:.3g}") for key, value in verdict.evidence.items()})
    for rate in TUTORIAL:
        verdict, _ = run(Example("line_fit", rate, 200))
        print(f"| {rate:g} | `{verdict.name}` | {verdict.advice} |")


if __name__ == "__main__":
    main()
