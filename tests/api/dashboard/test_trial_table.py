"""The table of trials: its columns, and the addresses that change one thing of it."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from api.dashboard.trial_table import MOST_PARAMETERS, TableQuery, TrialTable, columns_of
from tests.api.dashboard.test_answer import study
from tests.service.definitions import SPACE, external
from tuner.definition import StudyDefinition
from tuner.service.listing import ListedTrials
from tuner.trial import Trial, TrialState

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def trial(number: int, **parameters: Any) -> Trial:
    return Trial(
        number=number,
        state=TrialState.COMPLETE,
        attempt=1,
        parameters=parameters,
        values={"loss": 1.0, "accuracy": 0.5},
        created_at=MOMENT,
        updated_at=MOMENT,
    )


def table(definition: StudyDefinition | None = None, start: int = 50, total: int = 200, **asked: Any) -> TrialTable:
    query = TableQuery(**asked)
    page = ListedTrials([trial(0, learning_rate=0.1, steps=3)], str(start + 50), None, total, start)
    found = study(definition or external(), None)
    columns, available = columns_of(found, page.trials, query.columns)
    return TrialTable(found, query, page, columns, available)


def asked_by(address: str | None) -> dict[str, list[str]]:
    assert address is not None
    parts = urlsplit(address)
    assert (parts.path, parts.fragment) == ("/studies/s", "trials")
    return parse_qs(parts.query)


def names(found: TrialTable) -> list[str]:
    return [column.name for column in found.columns]


def test_what_is_searched_has_columns_and_what_is_fixed_has_none() -> None:
    space = {**SPACE, "momentum": {"type": "float", "low": 0.9, "high": 0.9}}
    found = table(external(search_space=space))
    assert names(found) == ["parameters.learning_rate", "parameters.steps", "value", "state", "verdict"]
    assert {"parameters.momentum", "values.accuracy", "worker"} <= {column.name for column in found.available}
    assert "values.loss" not in {column.name for column in found.available}, "it is the value"


def test_names_of_metrics_and_parameters_keep_their_letters() -> None:
    space = {**SPACE, "dropOut_rate": {"type": "float", "low": 0.0, "high": 0.9}}
    found = table(external(search_space=space, goal={"minimize": "valLoss"}))
    assert {"ValLoss", "DropOut rate", "Accuracy"} <= {column.label for column in found.available}


def test_of_many_parameters_some_have_columns() -> None:
    space = {f"p{number}": {"type": "float", "low": 0.0, "high": 1.0} for number in range(40)}
    columns, available = columns_of(study(external(search_space=space), None), [], [])
    assert len([column for column in columns if column.parameter]) == MOST_PARAMETERS
    assert len([column for column in available if column.parameter]) == 40


def test_chosen_columns_are_shown_in_their_usual_order_and_unknown_ones_are_none() -> None:
    assert names(table(columns=["worker", "nothing", "parameters.steps"])) == ["parameters.steps", "worker"]
    assert names(table(columns=["nothing"])) == names(table())


def test_an_optuna_programs_trials_have_columns_of_what_they_have() -> None:
    trials = [trial(0, x=1.0, kind="a"), trial(1, x=2, y=0.5)]
    columns, _ = columns_of(study(None, None), trials, [])
    assert [(column.name, column.first is not None) for column in columns] == [
        ("parameters.x", True),
        ("parameters.kind", False),
        ("parameters.y", True),
        ("value", True),
        ("state", True),
    ]


def test_a_click_sorts_the_best_first_and_a_second_one_the_other_way_round() -> None:
    def first_click(definition: StudyDefinition, **asked: Any) -> list[str]:
        found = table(definition, **asked)
        return asked_by(found.sorted_by(next(column for column in found.columns if column.name == "value")))["sort"]

    loss, accuracy = external(), external(goal={"maximize": "accuracy"})
    until = external(goal={"minimize": "steps", "until": {"accuracy": {"at_least": 0.9}}})
    assert first_click(loss) == ["value"]
    assert first_click(loss, sort="value") == ["-value"]
    assert first_click(loss, sort="-value") == ["value"]
    assert first_click(accuracy) == ["-value"]
    assert first_click(accuracy, sort="-value") == ["value"]
    assert first_click(until) == ["value"], "fewer steps are better"


def test_an_address_keeps_all_but_what_it_changes() -> None:
    found = table(
        sort="value", state="complete", verdict="diverged", columns=["worker", "value"], learning_rate_from=0.5
    )
    kept = {
        "sort": ["value"],
        "state": ["complete"],
        "verdict": ["diverged"],
        "columns": ["worker", "value"],
        "learning_rate_from": ["0.5"],
    }
    assert asked_by(found.next) == {**kept, "page_token": ["100"]}
    assert asked_by(found.previous) == kept, "the first page has no token"
    assert asked_by(found.everything) == {"sort": ["value"], "columns": ["worker", "value"]}
    assert asked_by(table(start=70).previous) == {"page_token": ["20"]}
    assert table(start=0).previous is None


def test_fields_of_a_form_that_are_left_empty_say_nothing() -> None:
    query = TableQuery.model_validate(
        {"state": "", "verdict": "", "excluded": "", "learning_rate_from": "", "learning_rate_to": ""}
    )
    assert query == TableQuery()
    assert not query.filtered
    assert TableQuery.model_validate({"excluded": "false"}).filtered
