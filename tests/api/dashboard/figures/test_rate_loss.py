"""Loss by rate: every trial a point, the hopeless ones aside, the answer marked."""

import math

import numpy as np
import pytest

from api.dashboard.figures.rate_loss import MOST_POINTS, THINNED, rate_loss
from api.dashboard.signs import VERDICTS
from tests.api.dashboard.figures.looking import definition, drawn, merged, numbers, places, points, study, why
from tuner.service.points import Limit


def test_every_trial_is_a_point_under_its_verdict() -> None:
    verdicts = ["converged", "too_slow", "diverged", "converged", ""]
    figure = drawn(rate_loss(study(points([0.1, 2.0, 1e30, 0.01, 0.5], verdict=verdicts))))
    assert numbers(figure, "converged") == [0, 3]
    assert numbers(figure, "too_slow") == [1]
    assert numbers(figure, "diverged-rail") == [2]
    assert numbers(figure, "unjudged") == [4]
    for trace in figure.data:
        if trace["uid"] in VERDICTS:
            assert trace["marker"]["symbol"] == VERDICTS[trace["uid"]].symbol
            assert trace["marker"]["color"] == VERDICTS[trace["uid"]].color
    [best] = [trace for trace in figure.data if trace["uid"] == "best"]
    assert (best["x"], best["y"]) == ([0.25], [0.01])
    assert figure.layout["xaxis"] == {"title": {"text": "learning rate"}, "type": "log", "dtick": "D2"}
    assert figure.layout["yaxis"]["type"] == "log"
    assert figure.layout["yaxis2"]["ticktext"] == ["diverged"]
    assert "trial 3, has loss 0.01 at 0.25. 1 diverged, the lowest at 0.3333." in figure.summary
    assert figure.table is not None
    assert [row[0] for row in figure.table.rows] == [3, 0, 4, 1, 2]


def test_what_is_not_finite_or_absurd_stands_on_the_rail() -> None:
    figure = drawn(rate_loss(study(points([0.1, math.nan, 1e25, 0.2, 30.0]))))
    assert numbers(figure, "unjudged-rail") == [1, 2]
    [rail] = [trace for trace in figure.data if trace["uid"] == "unjudged-rail"]
    assert (rail["yaxis"], rail["y"]) == ("y2", [0, 0])
    assert [each[2] for each in rail["customdata"]] == ["not finite", "1e25"]
    assert figure.layout["yaxis2"]["domain"][0] > figure.layout["yaxis"]["domain"][1]
    assert "off the scale" in figure.summary


def test_a_working_run_is_on_the_scale_however_bad() -> None:
    losses = [1e-9] * 9 + [5.0, 5000.0]
    figure = drawn(rate_loss(study(points(losses, verdict=["converged"] * 9 + ["", "too_slow"]))))
    assert "yaxis2" not in figure.layout
    assert numbers(figure) == list(range(11))


@pytest.mark.parametrize(("losses", "scale"), [([0.5, 2.0], "linear"), ([0.1, 2.0], "log"), ([-1.0, 20.0], "linear")])
def test_losses_are_on_a_log_scale_where_they_span_a_decade(losses: list[float], scale: str) -> None:
    assert drawn(rate_loss(study(points(losses)))).layout["yaxis"]["type"] == scale


def test_of_what_rises_the_rail_is_at_the_bottom() -> None:
    values = [0.2, 0.99, math.nan]
    figure = drawn(rate_loss(study(points(values), {"maximize": "accuracy"})))
    assert figure.layout["yaxis"]["type"] == "linear"
    assert figure.layout["yaxis2"]["domain"][1] < figure.layout["yaxis"]["domain"][0]
    assert "trial 1, has accuracy 0.99" in figure.summary
    assert figure.table is not None
    assert [row[0] for row in figure.table.rows] == [1, 0, 2]


def test_of_the_fewest_steps_those_that_never_got_there_are_aside() -> None:
    goal = {"minimize": "steps", "until": {"loss": 0.01}}
    figure = drawn(rate_loss(study(points([40, math.nan, 25], verdict=["converged", "too_slow", ""]), goal)))
    assert figure.layout["yaxis"]["title"]["text"] == "steps until loss ≤ 0.01"
    assert figure.layout["yaxis2"]["ticktext"] == ["never"]
    assert "trial 2, has steps 25" in figure.summary
    assert "1 never got there" in figure.summary
    rising = {"minimize": "steps", "until": {"accuracy": {"at_least": 0.9}}}
    figure = drawn(rate_loss(study(points([40.0, 25.0]), rising)))
    assert figure.layout["yaxis"]["title"]["text"] == "steps until accuracy ≥ 0.9"
    assert "trial 1, has steps 25" in figure.summary, "fewer are better"


def test_of_a_trade_off_none_is_the_best() -> None:
    figure = drawn(rate_loss(study(points([0.1, 0.2]), {"minimize": ["loss", "steps"]})))
    assert "best" not in figure.summary
    assert all(trace["uid"] != "best" for trace in figure.data)


def test_the_stability_limits_are_lines_that_say_where_they_hold() -> None:
    limits = [Limit(0.775, "measured at the start"), Limit(0.5, "measured along the best run")]
    figure = drawn(rate_loss(study(points([0.1, 0.2]), limits=limits)))
    assert [(line["x0"], line["x1"]) for line in figure.layout["shapes"]] == [(0.775, 0.775), (0.5, 0.5)]
    first, second = figure.layout["annotations"]
    assert first["text"] == "stability limit 0.775<br>measured at the start"
    assert second["text"] == "stability limit 0.5<br>measured along the best run"
    assert first["yshift"] - second["yshift"] >= 36, "their labels do not meet"
    assert first["x"] == pytest.approx(math.log10(0.775)), "annotations of a log axis are placed by powers"
    assert figure.summary.endswith(
        "The stability limit is 0.775 (measured at the start) and 0.5 (measured along the best run)."
    )


def test_a_long_title_of_an_upright_axis_stands_in_two_lines() -> None:
    def title(goal: str) -> str:
        text: str = drawn(rate_loss(study(points([0.1, 0.2]), {"minimize": goal}))).layout["yaxis"]["title"]["text"]
        return text

    assert title("loss") == "loss after the trial's steps"
    assert title("validation_loss") == "validation loss<br>after the trial's steps", "longer than the axis"


@pytest.mark.parametrize(
    ("rates", "ticks"),
    [
        ([0.15, 0.3, 1.0], "D2"),  # 0.2, 0.5, 1
        ([0.5, 2.0, 10.0], "D2"),  # not every digit
        ([0.6, 0.8, 1.0], None),  # 1 alone: closer ticks are wanted
        ([1e-4, 1e-2, 1.0], None),  # powers of ten are enough
    ],
)
def test_rates_within_a_decade_have_ticks_that_do_not_crowd(rates: list[float], ticks: str | None) -> None:
    found = points([0.1, 0.2, 0.3], parameters={"learning_rate": rates, "steps": [9, 9, 9]})
    assert drawn(rate_loss(study(found))).layout["xaxis"].get("dtick") == ticks


def test_where_all_diverged_the_figure_says_so() -> None:
    figure = drawn(rate_loss(study(points([1e9, math.inf], verdict=["diverged"] * 2))))
    assert numbers(figure, "diverged-rail") == [0, 1]
    assert "2 diverged" in figure.summary
    assert "the best" not in figure.summary
    assert [one["text"] for one in figure.layout["annotations"]] == ["every trial: diverged"]


def test_excluded_and_failed_trials_are_left_out() -> None:
    states = ["complete", "complete", "failed", "running", "pruned", "pruned"]
    found = points(
        [1e-9, 0.5, math.nan, math.nan, math.nan, math.nan],
        state=states,
        excluded=[True, False, False, False, False, False],
        best_value=[math.nan] * 4 + [0.7, math.nan],
    )
    figure = drawn(rate_loss(study(found)))
    assert numbers(figure) == [1, 4], "a stopped one is worth the best that it reported"
    assert "1 excluded is left out" in figure.summary
    assert "trial 1, has" in figure.summary


def test_colours_may_be_the_steps() -> None:
    found = points([0.1, 0.2, 0.3], parameters={"learning_rate": [1, 2, 3], "steps": [1, 10, 1000]})
    figure = drawn(rate_loss(study(found), color="steps"))
    [trace] = [one for one in figure.data if one["uid"] == "unjudged"]
    assert trace["marker"]["color"] == [0, 1, 3]
    assert figure.layout["coloraxis"]["colorbar"]["ticktext"] == ["1", "10", "100", "1\u202f000"]
    assert [one["uid"] for one in figure.data if one.get("showlegend", True)] == ["unjudged-key", "best"]


def test_up_to_a_bound_every_trial_is_drawn() -> None:
    for count, drawn_points in ((MOST_POINTS, MOST_POINTS), (MOST_POINTS + 1, THINNED)):
        figure = drawn(rate_loss(study(points(np.linspace(1, 2, count)))))
        assert len(numbers(figure)) == drawn_points


def test_of_a_hundred_thousand_trials_those_that_matter_are_drawn() -> None:
    rng = np.random.default_rng(0)
    count = 100_000
    losses = rng.lognormal(0, 1, count)
    losses[[77_000, 5]] = 1e-7, 1e6
    verdicts = np.where(rng.random(count) < 0.3, "diverged", "converged").astype("U20")
    verdicts[[77_000, 5]] = "converged"
    verdicts[123] = "oscillating"
    rates = 10 ** rng.uniform(-4, 1, count)
    found = points(losses, verdict=verdicts, parameters={"learning_rate": rates, "steps": np.full(count, 9)})
    figure = drawn(rate_loss(study(found)))
    shown = numbers(figure)
    assert len(shown) == THINNED
    assert {77_000, 5, 123} <= set(shown)
    diverged = rates[verdicts == "diverged"]
    rail = set(numbers(figure, "diverged-rail"))
    assert {int(np.flatnonzero(rates == edge)[0]) for edge in (diverged.min(), diverged.max())} <= rail
    assert "100\u202f000 trials by learning rate (1\u202f000 are drawn" in figure.summary


@pytest.mark.parametrize("color", ["verdict", "steps"])
def test_a_change_put_into_a_figure_makes_the_figure_of_now(color: str) -> None:
    before = points([0.5, 0.4, math.nan], verdict=["too_slow", "converged", "diverged"])
    # Trial 1 is judged anew, 3 and 4 are new, one of them of a verdict that had no point.
    after = points(
        [0.5, 0.3, math.nan, 1e-3, 0.9],
        verdict=["too_slow", "improving", "diverged", "oscillating", "too_slow"],
        sequence=[1, 4, 3, 4, 5],
        parameters={"learning_rate": [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5], "steps": [10] * 5},
    )
    change = drawn(rate_loss(study(after), color=color, since=3))  # type: ignore[arg-type]
    assert numbers(change) == [1, 3, 4]
    whole = drawn(rate_loss(study(after), color=color))  # type: ignore[arg-type]
    assert merged(drawn(rate_loss(study(before))), change) == places(whole)
    assert change.traces is not None
    assert set(change.traces) == {trace["uid"] for trace in whole.data}
    assert (change.layout, change.summary, change.table) == (whole.layout, whole.summary, whole.table)


def test_a_rate_by_another_name_is_found() -> None:
    names = {"momentum": [0.1, 0.2], "base_lr": [0.3, 0.4], "steps": [1, 2]}
    figure = drawn(rate_loss(study(points([1.0, 2.0], parameters=names), optuna=True)))
    assert figure.layout["xaxis"] == {"title": {"text": "base lr"}, "type": "linear"}
    figure = drawn(rate_loss(study(points([1.0, 2.0], parameters=names)), parameter="momentum"))
    assert figure.layout["xaxis"]["title"]["text"] == "momentum"


def test_a_log_scale_is_the_search_spaces() -> None:
    space = {"learning_rate": {"type": "float", "low": 1e-4, "high": 1.0}}
    assert definition(space=space)
    figure = drawn(rate_loss(study(points([1.0, 2.0]), space=space)))
    assert figure.layout["xaxis"]["type"] == "linear"


def test_names_are_no_markup() -> None:
    names = {"<b>lr</b>": [0.1, 0.2]}
    figure = drawn(rate_loss(study(points([1.0, 2.0], parameters=names), optuna=True)))
    assert figure.layout["xaxis"]["title"]["text"] == "&lt;b&gt;lr&lt;/b&gt;"
    assert all("<b>" not in trace.get("hovertemplate", "") for trace in figure.data)


def test_with_nothing_to_see_it_says_why() -> None:
    assert why(rate_loss(study(points([])))) == "No trial yet."
    assert "finished" in why(rate_loss(study(points([math.nan], state=["running"]))))
    assert "number" in why(rate_loss(study(points([1.0], parameters={}))))
    assert "number for momentum" in why(rate_loss(study(points([1.0])), parameter="momentum"))
