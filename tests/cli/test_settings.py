"""Settings from flags and from the environment, and the commands that show what there is."""

import pytest

from tests.cli.commands import refusal, tuner
from tests.worker.running import BOWLS
from tuner.cli.options import environment, flag_of, settings_from
from tuner.cli.serve import serve
from tuner.errors import InvalidInput
from tuner.settings import Settings


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TUNER_{name.upper()}", raising=False)


def test_a_flag_wins_over_the_environment_and_that_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_PORT", "9000")
    monkeypatch.setenv("TUNER_OBJECTIVES", '["a", "b"]')

    assert settings_from({"port": None, "objectives": ()}).port == 9000
    assert settings_from({"port": None, "objectives": ()}).objectives == ["a", "b"]
    assert settings_from({"port": "0", "objectives": ("c",)}).port == 0
    assert settings_from({"port": "0", "objectives": ("c",)}).objectives == ["c"]
    assert settings_from({}).host == Settings.model_fields["host"].default


def test_a_wrong_value_is_named_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match=r"^--port: "):
        settings_from({"port": "many"})
    monkeypatch.setenv("TUNER_PORT", "70000")
    with pytest.raises(InvalidInput, match=r"^TUNER_PORT: "):
        settings_from({})


@pytest.mark.parametrize("name", ["objectives", "hosts", "cors_origins"])
def test_a_list_is_a_repeatable_flag_and_json_in_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flag = flag_of(name)
    with serve.make_context("serve", [flag, "https://a.example", flag, "https://b.example"]) as context:
        given = context.params[name]
    assert getattr(settings_from({name: given}), name) == ["https://a.example", "https://b.example"]
    monkeypatch.setenv(f"TUNER_{name.upper()}", "https://a.example")
    with pytest.raises(InvalidInput, match=f"^TUNER_{name.upper()}: must be a JSON list"):
        settings_from({})


def test_a_process_of_ours_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(database_url="sqlite:///other.db", objectives=["a.py", "b"], lease_seconds=1.5, workers=3)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)

    assert Settings() == settings


def test_help_shows_every_setting_with_its_variable_and_its_default() -> None:
    shown = " ".join(tuner("serve", "--help").stdout.split())

    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')} " in shown
        default = "" if field.default == [] else f"; default {field.default}"
        assert f"[TUNER_{name.upper()}{default}]" in shown


def test_objectives_are_listed_and_shown() -> None:
    listed = tuner("objectives", "--objectives", BOWLS).stdout
    assert "line_fit" in listed
    assert "slow_bowl" in listed

    shown = tuner("objectives", "logistic_regression").stdout
    assert "regularisation" in shown
    assert "number >= 0" in shown


def test_an_unknown_objective_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, line = refusal(capsys, "objectives", "line_fi")

    assert status == 1
    assert line == "tuner: no objective is named 'line_fi'; did you mean 'line_fit'?"


def test_migrate_makes_what_the_others_ask_for(empty_database_url: str) -> None:
    if empty_database_url.startswith("postgresql"):
        before = tuner("study", "list", "--database-url", empty_database_url)
        assert before.returncode == 1
        assert "run `tuner migrate`" in before.stderr
    assert tuner("migrate", TUNER_DATABASE_URL=empty_database_url).returncode == 0
    assert tuner("study", "list", TUNER_DATABASE_URL=empty_database_url).stdout == "There are no studies yet.\n"
