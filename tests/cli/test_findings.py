"""``tuner study pareto``, ``surface`` and ``landscape``: to people and to programs."""

import pytest

from tests.cli.commands import refusal, strict_json, tuner
from tests.service.definitions import external
from tests.worker.running import BOWLS, definition, work_off
from tuner.cli.shades import SHADES, shaded, upright, with_path
from tuner.service import landscape, studies
from tuner.service.pareto import pareto
from tuner.service.surface import rate_surface
from tuner.storage.database import Database

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def done(database: Database) -> Database:
    """A database with a finished study of the tutorial."""
    studies.create(database, definition(budget={"trials": 20}, settings={"seed": 5}))
    work_off(database, "line-fit")
    return database


def test_the_front_is_a_table_and_a_document(done: Database) -> None:
    found = pareto(done, "line-fit", max_points=5)
    ran = tuner("study", "pareto", "line-fit", "--points", "5", "--database-url", done.url)
    assert [line.split()[0] for line in ran.stdout.splitlines()[1:]] == [f"{point.steps:,}" for point in found.points]
    ran = tuner("study", "pareto", "line-fit", "--points", "5", "--json", "--database-url", done.url)
    assert strict_json(ran.stdout) == found.model_dump(mode="json")


def test_the_table_of_rates_is_a_picture_and_a_document(done: Database) -> None:
    ran = tuner("study", "surface", "line-fit", "--database-url", done.url)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "@" in ran.stdout
    ran = tuner("study", "surface", "line-fit", "--json", "--within", "--database-url", done.url)
    assert strict_json(ran.stdout) == rate_surface(done, "line-fit", within=True).model_dump(mode="json")


def test_the_landscape_is_a_picture_and_a_document(done: Database) -> None:
    ran = tuner("study", "landscape", "line-fit", "--trials", "0, 1", "--database-url", done.url)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "loss by w (to the right) and b (upwards)" in ran.stdout
    assert "B: trial 1" in ran.stdout
    assert "not charged" in ran.stdout
    ran = tuner(
        "study", "landscape", "line-fit", "--trials", "0", "--resolution", "3", "--json", "--database-url", done.url
    )
    assert strict_json(ran.stdout) == landscape.of_study(done, "line-fit", numbers=[0], resolution=3).model_dump(
        mode="json"
    )


def test_one_parameter_makes_a_line_of_a_users_objective(database: Database) -> None:
    studies.create(database, definition("bowl", "bowl", budget={"trials": 2}))
    work_off(database, "bowl")
    ran = tuner("study", "landscape", "bowl", "--objectives", BOWLS, "--database-url", database.url)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "loss by x (to the right)\n" in ran.stdout


def test_where_there_is_nothing_it_is_said(database: Database) -> None:
    studies.create(database, external())
    assert "No trial" in tuner("study", "pareto", "resnet", "--database-url", database.url).stdout
    assert "No trial" in tuner("study", "surface", "resnet", "--database-url", database.url).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["landscape", "line-fit", "--trials", "a"], "tuner: --trials: 'a' is no list"),
        (["landscape", "line-fit", "--trials", "99"], "tuner: trials: the study has no trial 99"),
        (["surface", "line-fit", "--parameter", "momentum"], "tuner: parameter: no finished trial"),
        (["pareto", "nothing"], "tuner: there is no study"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], said: str, done: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    _, line = refusal(capsys, "study", *arguments, "--database-url", done.url)
    assert line.startswith(said)


def test_the_better_the_darker(backend: str) -> None:
    assert shaded([[1.0, 1.5, 2.0, 1e300], [None, float("nan")]]) == [["@", "-", ":", "."], [" ", "!"]]
    [row] = shaded([[0.1, 1.0, 10.0, 100.0]])
    assert row[0] == "@"
    assert len(set(row)) == 4
    [row] = shaded([[0.1, 0.9, 1.0]], rising=True)
    assert row[2] == "@"
    assert SHADES.index(row[0]) > SHADES.index(row[1]) > 0
    assert shaded([[2.0, 2.0]]) == [["@", "@"]]


def test_a_path_is_drawn_where_it_was_and_the_first_row_is_below(backend: str) -> None:
    picture = [["."] * 3 for _ in range(2)]
    with_path(picture, [[0.0, 1.0, 2.0], [0.0, 1.0]], [[0.1, 0.0], [2.0, 0.9], [5.0, 0.0]], "A")
    assert upright(picture, ["0", "1"], ("0", "2")) == "1 ..A\n0 A..\n  0 2"
