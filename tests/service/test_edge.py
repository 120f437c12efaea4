"""How far a rate sits from its limit: by what was measured, what a curve tells, or what another's tells."""

import pytest

from tests.service.definitions import SPACE, external, registered
from tests.worker.running import work_off
from tuner.definition import StudyDefinition
from tuner.objectives.line_fit import LineFit
from tuner.service import stability, studies, trials
from tuner.service.ask import ask
from tuner.service.edge import Edge, edge_of
from tuner.service.stability import StabilityEffort
from tuner.storage.database import Database
from tuner.trial import Trial

LIMIT = 2 / LineFit().curvature[1]

STABLE, UNSTABLE = 0.1, 0.9


def run(database: Database, definition: StudyDefinition, *rates: float) -> list[Trial]:
    studies.create(database, definition)
    others = {"momentum": 0.0, "update_rule": "heavy_ball"} if "momentum" in definition.search_space else {}
    for rate in rates:
        trials.enqueue(database, definition.name, {"learning_rate": rate, "steps": 100, **others})
    work_off(database, definition.name)
    return trials.page(database, definition.name).trials[: len(rates)]


def edges(database: Database, name: str, ran: list[Trial], *, thorough: bool = True) -> list[Edge | None]:
    study, _ = studies.get(database, name)
    return [edge_of(database, study, trial, thorough=thorough) for trial in ran]


def test_a_diverged_trial_tells_its_limit_and_that_of_the_others(database: Database) -> None:
    ran = run(database, registered(budget={"trials": 2}), STABLE, UNSTABLE)
    stable, unstable = edges(database, "line-fit", ran)
    assert unstable is not None
    assert (unstable.rate, unstable.source) == (UNSTABLE, "told by how it diverged")
    assert unstable.limit == pytest.approx(LIMIT, rel=0.01)
    assert unstable.ratio > 1
    assert stable == Edge(STABLE, unstable.limit, "told by how trial 1 diverged")
    assert edges(database, "line-fit", ran, thorough=False) == [None, unstable]


def test_what_was_measured_is_better_than_what_a_curve_tells(database: Database) -> None:
    ran = run(database, registered(budget={"trials": 2}), STABLE, UNSTABLE)
    stability.measure(database, "line-fit", StabilityEffort())
    for edge, rate in zip(edges(database, "line-fit", ran), (STABLE, UNSTABLE), strict=True):
        assert edge is not None
        assert (edge.rate, edge.source) == (rate, "measured at the start")
        assert edge.limit == pytest.approx(LIMIT, rel=1e-4)


def test_where_the_method_is_searched_one_trial_tells_nothing_of_another(database: Database) -> None:
    rule = {"type": "categorical", "choices": ["heavy_ball"]}
    space = {**SPACE, "update_rule": rule, "momentum": {"type": "float", "low": 0.0, "high": 0.9}}
    ran = run(database, registered(search_space=space, budget={"trials": 2}), STABLE, UNSTABLE)
    assert edges(database, "line-fit", ran)[0] is None


def test_where_nothing_tells_there_is_none(database: Database) -> None:
    ran = run(database, registered(budget={"trials": 1}), STABLE)
    assert edges(database, "line-fit", ran) == [None]
    studies.create(database, external(search_space={"width": {"type": "int", "low": 1, "high": 3}}))
    ask(database, "resnet")
    assert edges(database, "resnet", trials.page(database, "resnet").trials) == [None]


def test_a_run_that_came_down_beyond_the_limit_has_left_it_behind(database: Database) -> None:
    # Rosenbrock's valley is flatter than its start: 2.6 times the limit there descends, 7.5 times leaves.
    objective = {"name": "rosenbrock"}
    ran = run(database, registered(objective=objective, budget={"trials": 3}), 0.0005, 0.0035, 0.01)
    stability.measure(database, "line-fit", StabilityEffort())
    below, beyond, gone = edges(database, "line-fit", ran)
    assert below is not None
    assert beyond is not None
    assert gone is not None
    assert below.ratio < 1 < beyond.ratio < gone.ratio
    assert [one.left_behind for one in (below, beyond, gone)] == [False, True, False]


def test_a_fall_too_short_to_see_the_instability_says_nothing_of_the_way(database: Database) -> None:
    # On a quadratic nothing is flatter anywhere: the other direction falls while the steep one begins to grow.
    ran = run(database, registered(budget={"trials": 1}), 1.003 * LIMIT)
    stability.measure(database, "line-fit", StabilityEffort())
    [edge] = edges(database, "line-fit", ran)
    assert edge is not None
    assert edge.ratio > 1
    assert not edge.left_behind
