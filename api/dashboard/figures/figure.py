"""What every chart is made of: a picture for Plotly, a sentence and a table that say the same, or why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

TRIAL = "trial"
"""The column of a table whose numbers are trials: the page links them."""


@dataclass(frozen=True)
class Table:
    """A figure as a table of at most some twenty rows. Cells are text, numbers or None."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Figure:
    """A picture in Plotly's terms, and its text alternative.

    Colours are custom properties of the style sheet, ``"var(--accent)"``; the layout holds what is the chart's own:
    fonts, margins, backgrounds and grids are put in on the page. Every trace has a ``uid``. Where ``customdata[i][0]``
    is a trial's number, its point leads to that trial.

    Attributes:
        data: the traces.
        layout: titles with units, scales, shapes, annotations.
        summary: what the picture says, in a sentence or two.
        table: the same in figures.
        traces: where ``data`` holds only what changed, the uids of all traces of the whole figure, in order.
    """

    data: list[dict[str, Any]]
    layout: dict[str, Any]
    summary: str
    table: Table | None = None
    traces: list[str] | None = None


@dataclass(frozen=True)
class Empty:
    """No figure, and why there is nothing to see yet, in words."""

    why: str
