"""Which parameters decide whether a trial is among the best."""

from api.dashboard.figures.figure import Figure, Table
from api.dashboard.figures.scales import escaped
from api.dashboard.format import number, opening, words
from tuner.service.importance import Importance

SHOWN = 20


def importance(found: Importance) -> Figure:
    """Bars, the most important parameter at the top."""
    shown = found.parameters[:SHOWN]
    upwards = list(reversed(shown))
    percent = [round(100 * one.share, 1) for one in upwards]
    first = shown[0]
    if first.share == 0:
        said = "No parameter decides: no trial is better than another."
    elif len(shown) == 1:
        said = f"Only {words(first.name)} is searched."
    else:
        said = f"{opening(words(first.name))} decides most, with {100 * first.share:.0f} % of all importance."
    return Figure(
        data=[
            {
                "type": "bar",
                "orientation": "h",
                "uid": "importance",
                "name": "importance",
                "y": [escaped(words(one.name)) for one in upwards],
                "x": percent,
                "text": [f"{share:.0f} %" for share in percent],
                "textposition": "auto",
                "cliponaxis": False,
                "marker": {"color": "var(--accent)"},
                "hovertemplate": "%{y}: %{x} %<extra></extra>",
            }
        ],
        layout={
            "xaxis": {
                "title": {"text": f"% of what decides which trials are among the best {100 * found.quantile:.0f} %"},
                "range": [0, 100],
            },
            "yaxis": {"automargin": True, "type": "category"},
            "bargap": 0.4,
        },
        summary=f"{said} From {number(found.trials)} of {number(found.finished)} finished trials.",
        table=Table(["parameter", "share (%)"], [[words(one.name), round(100 * one.share, 1)] for one in shown]),
    )
