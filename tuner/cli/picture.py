"""A range test as a picture file, drawn by matplotlib: an extra, loaded when a picture is asked for."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from tuner.service.range_tests import RangeTest

# Without a date, and with names that are not drawn by lot, the same test is the same file.
FORMATS: Mapping[str, Mapping[str, None]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""The kinds of pictures, by the ending of their file."""


def check(path: Path) -> None:
    """Check, before anything is run, that a picture can be drawn into that file.

    Raises:
        InvalidInput: at ``--plot``: of another format, or no place to write to.
        MissingExtra: matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise InvalidInput.at(
            "--plot", f"{path.name!r} is no picture that can be drawn: end it in {', '.join(FORMATS)}"
        )
    if not path.parent.is_dir() or path.is_dir():
        raise InvalidInput.at("--plot", f"there is no folder {path.parent} to write {path.name!r} to")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise MissingExtra.at("--plot", "drawing a picture needs matplotlib: pip install 'tuner[plot]'") from None


def draw_range_test(test: "RangeTest", path: Path, *, title: str, limit: float | None = None) -> None:
    """Draw the losses over the rates, with what the test suggests and, where known, the limit of stability."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss after the step", title=title)
    finite = [(rate, loss) for rate, loss in zip(test.rates, test.losses, strict=True) if math.isfinite(loss)]
    axes.plot([rate for rate, _ in finite], [loss for _, loss in finite], ".", color="0.65", label="measured")
    axes.plot(test.rates[: len(test.smoothed)], test.smoothed, color="#1f4e79", label="smoothed")
    if test.range is not None:
        axes.axvspan(test.range.low, test.range.high, color="#1f4e79", alpha=0.08, label="range to search")
    for rate, label, style, color in (
        (test.steepest, "steepest fall", ":", "#2a7f3f"),
        (test.tenth_of_minimum, "a tenth of the lowest", "--", "#2a7f3f"),
        (test.minimum, "lowest", "-", "#2a7f3f"),
        (limit, "limit of stability at the start", "-.", "#b03a2e"),
    ):
        if rate is not None:
            axes.axvline(rate, linestyle=style, color=color, linewidth=1.2, label=f"{label}: {rate:.3g}")
    axes.set_ylim(*_frame(test.smoothed or [loss for _, loss in finite] or [0.0]))
    axes.legend(fontsize="small", framealpha=0.9)
    with rc_context({"svg.hashsalt": "tuner"}):
        figure.savefig(path, dpi=110, metadata=FORMATS[path.suffix.lower()])


def _frame(values: Sequence[float]) -> tuple[float, float]:
    """The heights to show. Those of the explosion would flatten all that came before it."""
    low, high = min(values), max(values)
    air = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    return low - air, high + air
