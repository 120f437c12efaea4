"""``tuner range-test`` and ``tuner stability``: what they say to people and to programs, and the picture."""

import math
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import refusal, strict_json, tuner
from tests.worker.running import BOWLS
from tuner.cli.plot import HEIGHT, WIDTH, text_plot

with_matplotlib = pytest.mark.skipif(find_spec("matplotlib") is None, reason="the extra plot is not installed")


def test_a_range_test_shows_its_curve_and_what_it_suggests() -> None:
    ran = tuner("range-test", "line_fit", "--set", "seed=5")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert "The loss is lowest at the rate 1.15; a tenth of that is 0.115. It falls fastest at 0.0278." in ran.stdout
    assert "gradient evaluations   85" in ran.stdout
    assert ran.stdout.count("•") > 40
    [marks] = [line for line in ran.stdout.splitlines() if line.split() == ["s", "t", "m"]]
    assert marks.index("s") < marks.index("t") < marks.index("m")


def test_a_terminal_without_such_letters_gets_plain_ones() -> None:
    ran = tuner("range-test", "line_fit", PYTHONIOENCODING="ascii")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.isascii()
    assert "*" in ran.stdout


def test_json_is_one_strict_document() -> None:
    ran = tuner("range-test", "line_fit", "--low", "1e11", "--high", "1e12", "--steps", "40", "--json")
    found = strict_json(ran.stdout)
    assert found["minimum"] is None
    assert "begin lower" in found["statement"]
    assert not isinstance(found["losses"][-1], float)


def test_a_range_test_moves_as_it_is_told() -> None:
    ran = tuner(
        *("range-test", "logistic_regression", "--update-rule", "adam", "--parameter", "beta1=0.8"),
        *("--parameter", "batch_size=32", "--steps", "60", "--high", "1", "--json"),
    )
    found = strict_json(ran.stdout)
    assert found["parameters"] == {"update_rule": "adam", "beta1": 0.8, "batch_size": 32}
    assert found["gradient_evaluations"] == 61


def test_stability_says_the_limit() -> None:
    plain = tuner("stability", "line_fit")
    # Single precision: the last digit is another on another processor.
    assert re.search(r"gradient descent is stable at the start below a rate of 0\.775[3-6]\.", plain.stdout)
    momentum = strict_json(
        tuner("stability", "line_fit", "--update-rule", "heavy_ball", "--parameter", "momentum=0.5", "--json").stdout
    )
    assert momentum["limit"] == pytest.approx(1.5 * 0.77545, rel=1e-3)
    assert momentum["curvature"]["gradient_evaluations"] == 4
    assert "It sets no limit to adam" in tuner("stability", "line_fit", "--update-rule", "adam").stdout


def test_objectives_of_users_can_be_tested() -> None:
    assert tuner("range-test", "bowl", "--objectives", BOWLS).returncode == 0
    assert tuner("stability", "bowl", "--objectives", BOWLS).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["range-test", "line_fit", "--low", "1", "--high", "1"], 2, "tuner: --low: must be below high"),
        (["range-test", "line_fit", "--low", "0"], 2, "tuner: --low: "),
        (["range-test", "line_fit", "--high", "inf"], 2, "tuner: --high: "),
        (["range-test", "line_fit", "--steps", "1"], 2, "tuner: --steps: "),
        (["range-test", "line_fit", "--update-rule", "newton"], 2, "tuner: --update-rule: 'newton' is none of"),
        (["range-test", "line_fit", "--parameter", "momentum=1"], 2, "tuner: --parameter momentum: "),
        (["range-test", "line_fit", "--parameter", "momentum"], 2, "tuner: --parameter: 'momentum' is not KEY=VALUE"),
        (["range-test", "line_fit", "--set", "seeds=1"], 2, "tuner: --set seeds: "),
        (["range-test", "line-fit"], 1, "tuner: no objective is named 'line-fit'; did you mean 'line_fit'?"),
        (["range-test", "line_fit", "--plot", "out.bmp"], 2, "tuner: --plot: 'out.bmp' is no picture"),
        (["range-test", "line_fit", "--plot", "nowhere/out.png"], 2, "tuner: --plot: there is no folder nowhere"),
        (["stability", "line_fit", "--evaluations", "1"], 2, "tuner: --evaluations: "),
        (["stability", "line_fit", "--initial-seed", "-1"], 2, "tuner: --initial-seed: "),
        (["tune", "line_fit", "--learning-rate", "range-tests"], 2, "tuner: --learning-rate: "),
    ],
)
def test_a_mistake_is_one_line_that_names_the_option(
    arguments: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, line = refusal(capsys, *arguments)
    assert line.startswith(said)
    assert found == status


@pytest.mark.skipif(find_spec("matplotlib") is not None, reason="the extra plot is installed")
def test_without_the_extra_a_picture_is_refused_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    status, line = refusal(capsys, "range-test", "line_fit", "--plot", "out.png")
    assert (status, line) == (
        2,
        "tuner: --plot: drawing a picture needs matplotlib: pip install 'tuner[plot]'",
    )


@with_matplotlib
@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_drawn_and_the_same_test_is_the_same_picture(tmp_path: Path, ending: str, begins: bytes) -> None:
    drawn = [tmp_path / f"{name}.{ending}" for name in ("one", "two")]
    for path in drawn:
        ran = tuner("range-test", "line_fit", "--plot", str(path))
        assert ran.returncode == 0, ran.stderr
        assert str(path) in ran.stdout
    one, two = (path.read_bytes() for path in drawn)
    assert one.startswith(begins)
    assert one == two


@with_matplotlib
@pytest.mark.parametrize("steps", ["2", "3", "50"])
def test_a_test_that_says_nothing_is_drawn_too(tmp_path: Path, steps: str) -> None:
    ran = tuner("range-test", "line_fit", "--low", "1e11", "--high", "1e12", "--steps", steps, "--plot",
                str(tmp_path / "out.png"))  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def test_a_study_is_tuned_over_the_range_that_a_test_finds(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tuner.db'}"
    ran = tuner("tune", "line_fit", "--learning-rate", "range-test", "--trials", "5", "--sampler", "random", "--json",
                "--database-url", url)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert 0.01 < strict_json(ran.stdout)["best"]["learning_rate"] < 4.3


def test_every_finite_value_stands_where_it_belongs() -> None:
    rates = np.geomspace(1e-4, 1.0, WIDTH).tolist()
    text = text_plot(rates, [float(place) for place in range(WIDTH)], {"a": 1e-4, "b": 1.0})
    rows = text.splitlines()
    assert len(rows) == HEIGHT + 3
    assert rows[0].startswith("63 │")
    assert rows[0].endswith("•")
    assert rows[HEIGHT - 1].startswith(" 0 │•")
    columns = [row[4:].ljust(WIDTH) for row in rows[:HEIGHT]]
    assert all(sum(row[column] == "•" for row in columns) == 1 for column in range(WIDTH))
    assert rows[HEIGHT + 1][4] == "a"
    assert rows[HEIGHT + 1][4 + WIDTH - 1] == "b"
    assert rows[HEIGHT + 2].split() == ["1e-4", "1e-3", "1e-2", "1e-1", "1e0"]


def test_values_at_the_ends_of_the_doubles_are_drawn() -> None:
    text = text_plot([1.0, 2.0, 3.0, 4.0], [1.7e308, -1.7e308, math.nan, math.inf], {})
    assert text.count("•") == 2
    assert text_plot([1.0, 2.0], [math.nan, math.inf], {}) == ""
    assert text_plot([1.0], [5.0], {"m": 1.0}, unicode=False).isascii()
