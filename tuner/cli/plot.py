"""A curve over learning rates as text: what a terminal can show of it."""

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 64, 14
"""Characters of the plane in which the curve is drawn."""


def text_plot(
    rates: Sequence[float], values: Sequence[float], marks: Mapping[str, float], *, unicode: bool = True
) -> str:
    """Values over rates on a log scale, with a letter under the axis for each marked rate.

    Values that are not finite are left out; without any other there is no plot, and the text is empty.
    """
    dot, side, corner, floor, tick = ("•", "│", "└", "─", "┴") if unicode else ("*", "|", "+", "-", "+")
    points = [(math.log10(rate), value) for rate, value in zip(rates, values, strict=True) if math.isfinite(value)]
    if not points:
        return ""
    first, last = math.log10(rates[0]), math.log10(rates[-1])
    low, high = min(value for _, value in points), max(value for _, value in points)

    def column(place: float) -> int:
        return min(WIDTH - 1, max(0, round((place - first) / (last - first or 1.0) * (WIDTH - 1))))

    def row(value: float) -> int:
        # In halves, because the range itself may be beyond a double.
        share = (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.5
        return round((1 - share) * (HEIGHT - 1))

    plane = [[" "] * WIDTH for _ in range(HEIGHT)]
    for place, value in points:
        plane[row(value)][column(place)] = dot
    labels = {0: f"{high:.3g}", HEIGHT - 1: f"{low:.3g}"}
    margin = max(map(len, labels.values()))
    lines = [f"{labels.get(index, ''):>{margin}} {side}{''.join(cells)}".rstrip() for index, cells in enumerate(plane)]

    axis, decades, letters = [floor] * WIDTH, [" "] * (WIDTH + 8), [" "] * WIDTH
    for decade in _decades(first, last):
        at = column(decade)
        axis[at] = tick
        decades[at : at + 5] = f"1e{decade}".ljust(5)
    for letter, rate in marks.items():
        letters[column(math.log10(rate))] = letter
    below = " " * (margin + 2)
    lines += [f"{' ' * margin} {corner}{''.join(axis)}", (below + "".join(decades)).rstrip()]
    if marks:
        lines.insert(-1, (below + "".join(letters)).rstrip())
    return "\n".join(lines)


def _decades(first: float, last: float) -> range:
    """The powers of ten to name: so few that their names do not touch."""
    begin, end = math.ceil(first - 1e-9), math.floor(last + 1e-9)
    return range(begin, end + 1, max(1, math.ceil(8 * (last - first) / WIDTH)))
