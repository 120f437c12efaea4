"""``tuner tune``: a study in one process, and what it says to people and to programs."""

import signal
import subprocess
from pathlib import Path

import optuna
import pytest

from tests.cli.commands import TUNER, refusal, strict_json, tuner
from tests.worker.running import BOWLS, eventually, measuring, study_of, trials_of
from tuner.cli.options import read_assignments
from tuner.cli.tune import read_range
from tuner.errors import InvalidInput
from tuner.objectives import create
from tuner.service import studies
from tuner.service.pareto import pareto
from tuner.storage import TunerStorage
from tuner.storage.database import Database

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def test_json_is_one_strict_document_and_nothing_else(database: Database) -> None:
    ran = tuner("tune", "line_fit", "--trials", "60", "--json", "--database-url", database.url)
    document = strict_json(ran.stdout)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert document["study"] == "line-fit"
    assert 1 <= document["trials"] <= 60
    least_squares: float = create("line_fit", {"seed": 5}).minimum  # type: ignore[attr-defined]
    assert document["best"]["loss"] <= 1.05 * least_squares
    assert document["best"]["learning_rate"] < 0.7755
    assert 1 <= document["best"]["steps"] <= 200
    stored = study_of(database, "line-fit")
    assert stored.state == "completed"
    assert stored.best is not None
    assert stored.best.parameters == {name: document["best"][name] for name in ("learning_rate", "steps")}
    in_trials = sum(trial.gradient_evaluations for trial in trials_of(database, "line-fit"))
    assert document["gradient_evaluations"] == in_trials + measuring(database, "line-fit")


def test_the_fewest_steps_to_a_target(database: Database) -> None:
    flags = ["--steps", "200", "--trials", "40", "--goal", "steps until loss 0.001", "--database-url", database.url]
    document = strict_json(tuner("tune", "line_fit", "--json", *flags).stdout)
    best = study_of(database, "line-fit").best
    assert best is not None
    assert document["best"]["steps_to_target"] == best.objective_value
    assert 1 <= document["best"]["steps_to_target"] < 60


def test_a_trade_off_is_answered_by_its_front(database: Database) -> None:
    flags = ["--trials", "10", "--goal", "loss and steps", "--database-url", database.url]
    ran = tuner("tune", "line_fit", "--json", *flags)
    assert ran.returncode == 0
    document = strict_json(ran.stdout)
    assert document["best"] is None
    assert document["pareto"] == pareto(database, "line-fit", max_points=20).model_dump(mode="json")["points"]
    assert "0.0" in tuner("tune", "line_fit", *flags).stdout


def test_a_losing_study_is_still_strict_json(database: Database) -> None:
    flags = ["--learning-rate", "100", "--steps", "200", "--trials", "3", "--database-url", database.url]
    ran = tuner("tune", "line_fit", "--json", *flags)

    assert strict_json(ran.stdout)["best"] is None
    assert ran.returncode == 1
    assert ran.stderr == "tuner: no trial of line-fit has a finite loss\n"


def test_what_an_objective_prints_is_none_of_the_document(database: Database) -> None:
    flags = ["--trials", "3", "--steps", "5", "--database-url", database.url]
    ran = tuner("tune", "talking_bowl", "--objectives", BOWLS, "--json", *flags)

    assert strict_json(ran.stdout)["trials"] == 3
    assert "printed" in ran.stderr
    assert "written" in ran.stderr


def test_an_objective_that_would_leave_is_no_success(database: Database) -> None:
    flags = ["--trials", "3", "--database-url", database.url]
    ran = tuner("tune", "leaving_bowl", "--objectives", BOWLS, *flags)

    assert ran.returncode == 1
    [line] = ran.stderr.splitlines()
    assert line.endswith("trials failed: LeavingBowl.value_and_gradient: SystemExit: 0")


def test_optunas_studies_are_listed_with_their_best(database: Database) -> None:
    study = optuna.create_study(storage=TunerStorage(database), study_name="Theirs")
    study.optimize(lambda trial: trial.suggest_float("x", 1, 2), n_trials=3)
    listed = tuner("study", "list", "--database-url", database.url).stdout

    assert "Theirs" in listed
    assert f"{study.best_value:.5g}" in listed


def test_the_table_names_what_was_found(database: Database) -> None:
    ran = tuner("tune", "line_fit", "--sampler", "random", "--trials", "20", "--database-url", database.url)
    best = study_of(database, "line-fit").best

    assert ran.returncode == 0
    assert best is not None
    lines = {" ".join(line.split()) for line in ran.stdout.splitlines()}
    assert f"best learning rate {best.parameters['learning_rate']:.5g}" in lines
    assert f"best steps {best.parameters['steps']}" in lines
    assert "trials 20" in lines


def test_a_budget_of_gradient_evaluations_is_kept(database: Database) -> None:
    flags = ["--gradient-evaluations", "1000", "--sampler", "random", "--database-url", database.url]
    document = strict_json(tuner("tune", "line_fit", "--json", *flags).stdout)

    assert 999 <= document["gradient_evaluations"] <= 1000


def test_a_users_objective_from_a_file_with_a_setting(database: Database) -> None:
    flags = ["--set", "rim=5", "--learning-rate", "0.01:0.9", "--trials", "5", "--database-url", database.url]
    ran = tuner("tune", "fragile_bowl", "--objectives", BOWLS, "--json", *flags)

    assert ran.returncode == 0, ran.stderr
    definition = study_of(database, "fragile-bowl").definition
    assert definition is not None
    assert definition.objective is not None
    assert definition.objective.settings == {"rim": 5.0}


def test_an_objective_that_only_raises_is_said_in_one_line(database: Database) -> None:
    flags = [
        "--set",
        "rim=0.5",
        "--gradient-evaluations",
        "1000",
        "--sampler",
        "random",
        "--database-url",
        database.url,
    ]
    ran = tuner("tune", "fragile_bowl", "--objectives", BOWLS, *flags)

    assert ran.returncode == 1
    [line] = ran.stderr.splitlines()
    assert line.endswith("trials failed: FragileBowl.value_and_gradient: ArithmeticError: over the rim")


def test_names_are_made_unless_chosen(database: Database) -> None:
    flags = ["--sampler", "random", "--trials", "2", "--json", "--database-url", database.url]
    names = [strict_json(tuner("tune", "line_fit", *flags).stdout)["study"] for _ in range(2)]
    assert names == ["line-fit", "line-fit-2"]

    chosen = [tuner("tune", "line_fit", "--name", "mine", *flags) for _ in range(2)]
    assert chosen[0].stdout == chosen[1].stdout
    other = tuner("tune", "line_fit", "--name", "mine", "--seed", "1", *flags)
    assert other.returncode == 1
    assert "exists with another definition: sampler differs" in other.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_stops_the_study_and_prints_the_best_so_far(database: Database, number: signal.Signals) -> None:
    flags = ["--set", "seconds=0.01", "--steps", "1:40", "--trials", "10000", "--json", "--database-url", database.url]
    command = [*TUNER, "tune", "slow_bowl", "--objectives", BOWLS, *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: bool(names_of(database)) and study_of(database, "slow-bowl").trials["complete"] > 0)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    study = study_of(database, "slow-bowl")

    assert process.returncode == 130
    assert err.startswith("Stopping: running trials may finish")
    assert len(err.splitlines()) == 1
    assert strict_json(out)["best"]["loss"] >= 0
    assert study.state == "stopped"
    assert study.trials["running"] == 0
    assert study.trials["failed"] == 0


def names_of(database: Database) -> list[str]:
    return [study.name for study in studies.page(database).studies]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["line_fi"], 2, "tuner: OBJECTIVE: no objective is named 'line_fi'; did you mean 'line_fit'?"),
        (["line_fit", "--learning-rate", "fast"], 2, "tuner: --learning-rate: 'fast' is no range"),
        (["line_fit", "--learning-rate", "1:0.1"], 2, "tuner: --learning-rate low: must not be greater than high"),
        (["line_fit", "--learning-rate", "0:1"], 2, "tuner: --learning-rate low: must be greater than 0"),
        (["line_fit", "--learning-rate", "nan"], 2, "tuner: --learning-rate low: Input should be a finite number"),
        (["line_fit", "--steps", "1:2.5"], 2, "tuner: --steps: '1:2.5' is no range of whole numbers"),
        (["line_fit", "--steps", "0:5"], 2, "tuner: --steps low: must be at least 1"),
        (["line_fit", "--steps", "inf"], 2, "tuner: --steps: 'inf' is no range of whole numbers"),
        (["line_fit", "--sampler", "tp"], 2, "tuner: --sampler: no sampler named 'tp'"),
        (["line_fit", "--trials", "0"], 2, "tuner: --trials: "),
        (["line_fit", "--set", "seed"], 2, "tuner: --set: 'seed' is not KEY=VALUE"),
        (["line_fit", "--set", "sed=1"], 2, "tuner: --set sed: "),
        (["line_fit", "--goal", "validation_loss"], 2, "tuner: --goal: this objective measures loss"),
        (["line_fit", "--goal", "steps until accuracy 0.1"], 2, "tuner: --goal accuracy: this objective measures loss"),
        (["line_fit", "--goal", "steps until loss soon"], 2, "tuner: --goal: 'soon' is no number"),
        (["line_fit", "--goal", "steps"], 2, "tuner: --goal: is missing"),
        (["line_fit", "--goal", "loss and time"], 2, "tuner: --goal: is none"),
        (["line_fit", "--goal", "loss and steps", "--sampler", "cmaes"], 2, "tuner: --sampler: cmaes searches for one"),
        (["line_fit", "--name", "No Spaces"], 2, "tuner: --name: "),
        (["line_fit", "--objectives", "no_such_module"], 2, "tuner: --objectives: no_such_module cannot be imported"),
        (["line_fit", "--database-url", "mysql://there"], 2, "tuner: --database-url: "),
    ],
)
def test_a_mistake_is_one_line_that_names_the_option(
    arguments: list[str], status: int, said: str, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    found, line = refusal(capsys, "tune", "--database-url", database.url, *arguments)

    assert line.startswith(said)
    assert found == status


def test_ranges_and_assignments_are_read(backend: str) -> None:
    assert read_range("1e-4:1", "--learning-rate") == {"low": 1e-4, "high": 1.0}
    assert read_range("0.5", "--learning-rate") == {"low": 0.5, "high": 0.5}
    assert read_range("1:1e3", "--steps", whole=True) == {"low": 1, "high": 1000}
    assert read_assignments(["a=1", "b=true", "c=text", "d=x=y", 'e={"f": 1.5}']) == {
        "a": 1,
        "b": True,
        "c": "text",
        "d": "x=y",
        "e": {"f": 1.5},
    }
    for text in ("1:", ":", "1:2:3", ""):
        with pytest.raises(InvalidInput, match="--steps"):
            read_range(text, "--steps")


def test_the_default_database_is_in_the_working_directory(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = tuner("tune", "line_fit", "--trials", "2", "--sampler", "random")

    assert ran.returncode == 0
    assert (tmp_path / "tuner.db").exists()
    assert "line-fit" in tuner("study", "list").stdout
    assert "best learning rate" in tuner("study", "show", "line-fit").stdout
