"""Draws the pictures of ``docs/goals.md`` and ``docs/landscape.md``: real studies, run on a database of their own.

    python -m docs.pictures.goals

The same trials, and so the same pictures, on every run.
"""

import math
import tempfile
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from tuner.definition import ObjectiveChoice, StudyDefinition
from tuner.service import studies, trials
from tuner.service.landscape import LandscapeView, preview
from tuner.service.pareto import pareto
from tuner.service.surface import rate_surface
from tuner.storage import migration
from tuner.storage.database import Database
from tuner.worker import Worker

HERE = Path(__file__).parent

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 16, 46

INKS = ("#d1495b", "#edae49", "#00798c", "#6a4c93")
"""Of paths and fronts."""

BANDS = 12
"""Colours of a table of losses: from dark, the lowest, to light."""

LIMIT = 0.7755
"""The stability limit of the tutorial problem."""


class Axis:
    """Values to places between two ends of the picture."""

    def __init__(self, low: float, high: float, start: float, end: float, *, logarithmic: bool = False) -> None:
        self._scale = math.log10 if logarithmic else float
        self._low, self._high = self._scale(low), self._scale(high)
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        """Where a value is."""
        share = (self._scale(value) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)


class Picture:
    """An SVG drawing with two axes."""

    def __init__(self, x: Axis, y: Axis) -> None:
        self.x, self.y = x, y
        self._parts: list[str] = []

    def line(self, points: Iterable[tuple[float, float]], ink: str, *, width: float = 1.5, dots: bool = False) -> None:
        """A line through points, those beyond the frame cut off."""
        placed = [(self.x(x), self.y(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed if abs(x) < 1e5 and abs(y) < 1e5)
        clip = 'clip-path="url(#frame)"'
        self._parts.append(f'<polyline {clip} points="{path}" fill="none" stroke="{ink}" stroke-width="{width}"/>')
        if dots:
            self._parts += [
                f'<circle {clip} cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{ink}"/>' for x, y in placed if abs(x) < 1e5
            ]

    def cells(self, xs: Sequence[float], ys: Sequence[float], shades: Sequence[Sequence[str | None]]) -> None:
        """Rectangles between the edges, a colour each; equal ones side by side are one."""
        for row, colours in enumerate(shades):
            top, bottom = self.y(ys[row + 1]), self.y(ys[row])
            column = 0
            for colour, same in groupby(colours):
                count = len(list(same))
                start, end = self.x(xs[column]), self.x(xs[column + count])
                column += count
                if colour is not None:
                    self._parts.append(
                        f'<rect x="{start:.1f}" y="{top:.1f}" width="{end - start + 0.3:.1f}" '
                        f'height="{bottom - top + 0.3:.1f}" fill="{colour}"/>'
                    )

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", ink: str = "#333") -> None:
        """Words at a place of the drawing itself."""
        self._parts.append(f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{ink}">{words}</text>')

    def label(self, x_ticks: Sequence[float], y_ticks: Sequence[float], x_name: str, y_name: str) -> None:
        """The frame, its ticks and names."""
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        self._parts.append(
            f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}" fill="none" stroke="#999"/>'
        )
        for tick in x_ticks:
            self.text(self.x(tick), bottom + 16, f"{tick:g}", anchor="middle")
        for tick in y_ticks:
            self.text(LEFT - 6, self.y(tick) + 4, f"{tick:g}", anchor="end")
        self.text((LEFT + right) / 2, HEIGHT - 10, x_name, anchor="middle")
        self._parts.append(
            f'<text transform="translate(14 {(TOP + bottom) / 2:.0f}) rotate(-90)" text-anchor="middle">{y_name}</text>'
        )

    def legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """Inks and what they stand for, to the right."""
        for place, (ink, words) in enumerate(entries):
            y = TOP + 14 + 20 * place
            self._parts.append(f'<rect x="{WIDTH - RIGHT + 12}" y="{y - 8}" width="12" height="8" fill="{ink}"/>')
            self.text(WIDTH - RIGHT + 30, y, words)

    def save(self, name: str) -> None:
        """Write it beside this program."""
        frame = f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/>'
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
            f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
            f'<clipPath id="frame">{frame}</clipPath>'
        )
        (HERE / name).write_text("\n".join([head, *self._parts, "</svg>\n"]))


def shades(values: Sequence[Sequence[Any]]) -> list[list[str | None]]:
    """A colour a value, by the logarithm of its distance from the lowest: dark is low, grey is diverged."""
    finite = sorted(value for row in values for value in row if value is not None and math.isfinite(value))
    low, usual = finite[0], finite[len(finite) // 2] - finite[0]

    def shade(value: float | None) -> str | None:
        if value is None:
            return None
        if not math.isfinite(value):
            return "#bbb"
        share = math.log10(min(max((value - low) / usual, 1e-3), 10.0)) / 4 + 0.75
        band = min(int(share * BANDS), BANDS - 1) / (BANDS - 1)
        red, green, blue = (round(dark + band * (light - dark)) for dark, light in ((18, 238), (52, 244), (92, 248)))
        return f"#{red:02x}{green:02x}{blue:02x}"

    return [[shade(value) for value in row] for row in values]


def edges(values: Sequence[float], *, logarithmic: bool = False) -> list[float]:
    """The ends of the cells around values: halfway between neighbours."""
    scaled = [math.log(value) for value in values] if logarithmic else list(values)
    middles = [(one + other) / 2 for one, other in pairwise(scaled)]
    all_edges = [2 * scaled[0] - middles[0], *middles, 2 * scaled[-1] - middles[-1]]
    return [math.exp(edge) for edge in all_edges] if logarithmic else all_edges


def searched(database: Database, name: str, steps: dict[str, Any], count: int, **changes: Any) -> None:
    """A finished study of the tutorial problem, at random rates."""
    document = {
        "name": name,
        "objective": {"name": "line_fit", "settings": {"seed": 5}},
        "search_space": {
            "learning_rate": {"type": "float", "low": 1e-3, "high": 2.0, "scale": "log"},
            "steps": {"type": "int", **steps},
        },
        "sampler": {"name": "qmc"},
        "budget": {"trials": count},
        **changes,
    }
    studies.create(database, StudyDefinition.model_validate(document))
    with Worker(database, studies=[name]) as worker:
        while worker.work_once():
            pass


def draw_front(database: Database) -> None:
    """Every curve of a study, and the front that they make."""
    searched(database, "trade-off", {"low": 1, "high": 200}, 40, goal={"minimize": ["loss", "steps"]})
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    picture = Picture(Axis(1, 200, LEFT, right, logarithmic=True), Axis(5e-5, 10, bottom, TOP, logarithmic=True))
    ends = []
    for trial in trials.page(database, "trade-off", page_size=1000).trials:
        curve = trials.curve(database, "trade-off", trial.number)["loss"]
        points = [(k, v) for k, v in zip(curve.steps, curve.values, strict=True) if k >= 1 and 0 < v < 1e3]
        picture.line(points, "#c9d3dd", width=1)
        ends += points[-1:]
    for x, y in ends:
        picture.line([(x, y)], "#7b8a99", dots=True)
    points = [(point.steps, point.value) for point in pareto(database, "trade-off", max_points=1000).points]
    stairs: list[tuple[float, float]] = []
    for before, (steps, value) in zip([points[0], *points], points, strict=False):
        stairs += [(max(steps, 1), before[1]), (max(steps, 1), value)]
    picture.line([*stairs, (200, points[-1][1])], INKS[0], width=2)
    picture.label([1, 3, 10, 30, 100, 200], [1e-4, 1e-3, 1e-2, 0.1, 1, 10], "steps", "loss")
    picture.legend([("#c9d3dd", "curves"), ("#7b8a99", "last steps"), (INKS[0], "the front")])
    picture.save("front.svg")


def draw_surface(database: Database) -> None:
    """The table of rates and steps of the tutorial problem."""
    searched(database, "surface", {"low": 200, "high": 200}, 60)
    table = rate_surface(database, "surface")
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    xs, ys = edges(table.rates, logarithmic=True), edges(table.steps, logarithmic=True)
    picture = Picture(
        Axis(xs[0], xs[-1], LEFT, right, logarithmic=True), Axis(ys[0], ys[-1], bottom, TOP, logarithmic=True)
    )
    picture.cells(xs, ys, shades(table.values))
    picture.line([(LIMIT, ys[0]), (LIMIT, ys[-1])], INKS[0])
    picture.label([0.001, 0.01, 0.1, 1], [1, 3, 10, 30, 100, 200], "learning rate", "steps")
    colours = [("#12345c", "lowest loss"), ("#eef4f8", "highest"), ("#bbb", "diverged")]
    picture.legend([*colours, (INKS[0], f"limit {LIMIT}")])
    picture.save("surface.svg")


def draw_landscape(view: LandscapeView, name: str, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> None:
    """A loss surface and the paths on it."""
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    across, up = view.axes
    xs, ys = edges(across.values), edges(up.values)
    picture = Picture(Axis(xs[0], xs[-1], LEFT, right), Axis(ys[0], ys[-1], bottom, TOP))
    picture.cells(xs, ys, shades(view.values))
    drawn = list(zip(INKS, view.paths, strict=False))
    for ink, path in reversed(drawn):
        picture.line([(x, y) for x, y in path.coordinates], ink, dots=True)
    entries = [(ink, f"rate {path.parameters['learning_rate']:g}") for ink, path in drawn]
    labels = [
        axis.label if axis.explained is None else f"{axis.label} ({axis.explained:.0%} of the path)"
        for axis in (across, up)
    ]
    picture.label(x_ticks, y_ticks, *labels)
    picture.legend(entries)
    picture.save(name)


def tried(objective: str, settings: dict[str, Any], rates: Sequence[float], steps: int) -> LandscapeView:
    """A few rates, from the same start."""
    choice = ObjectiveChoice(name=objective, settings=settings)
    return preview(choice, rates, steps=steps, method={"update_rule": "gradient_descent"}, resolution=61)


def main() -> None:
    """Draw them all, and say what they cost."""
    with tempfile.TemporaryDirectory() as directory:
        database = Database(f"sqlite:///{directory}/tuner.db")
        migration.prepare(database)
        draw_front(database)
        draw_surface(database)
        database.close()
    line = tried("line_fit", {"seed": 5}, [0.001, 0.1, 0.7, 0.9], 200)
    draw_landscape(line, "landscape-line-fit.svg", [0, 0.5], [-1, -0.5, 0, 0.5])
    jumps = tried("line_fit", {"seed": 5}, [0.9], 4)
    draw_landscape(jumps, "landscape-jumps.svg", [-2, -1, 0, 1, 2], [-3, -2, -1, 0, 1, 2, 3])
    network = tried("network", {"hidden": 8}, [0.05, 0.5, 5.0], 300)
    draw_landscape(network, "landscape-network.svg", [], [])
    for view in (line, jumps, network):
        print(f"{view.objective}: {view.gradient_evaluations:,} gradient evaluations")
        print("  explained:", [axis.explained for axis in view.axes])
        for path in view.paths:
            print(f"  rate {path.parameters['learning_rate']:g}: {path.losses[-1]:.4g} after {path.steps[-1]} steps")


if __name__ == "__main__":
    main()
