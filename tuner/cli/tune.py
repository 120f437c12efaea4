"""``tuner tune``: a study from definition to result in one process, without a server.

It is a study like any other: stored in the database, run by the same worker. Should another worker serve that
database, both run its trials.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, TextIO

import click

from tuner.cli.database import open_database
from tuner.cli.findings import front_table
from tuner.cli.options import OF_THE_DATABASE, by_option, load_objectives, read_assignments, with_settings
from tuner.cli.study import result_table
from tuner.errors import FieldError, InvalidInput, NotFound, StudyState, TunerError
from tuner.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.definition import Study, StudyRequest
    from tuner.service.pareto import Pareto
    from tuner.storage.database import Database
    from tuner.worker import ThisProcess

DEFAULT_TRIALS = 100
"""Trials where no budget is given."""

FAILURES_WITHOUT_A_BUDGET_OF_TRIALS = 100
"""Failed trials that end a study whose trials are not counted: failing may cost no gradient evaluation at all."""

FRONT_POINTS = 20
"""Points by which a trade-off is shown."""

LOOKS_EVERY = 0.1
"""Seconds between two looks at the study."""

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""

_OPTIONS = {
    "search_space.learning_rate": "--learning-rate",
    "search_space.steps": "--steps",
    "objective.name": "OBJECTIVE",
    "objective.settings": "--set",
    "sampler.name": "--sampler",
    "sampler.seed": "--seed",
    "budget.trials": "--trials",
    "budget.gradient_evaluations": "--gradient-evaluations",
    "goal.minimize": "--goal",
    "goal.until": "--goal",
    "name": "--name",
}
"""Fields of a definition by the option that a user gave for them."""


@click.command()
@click.argument("objective")
@click.option(
    "--learning-rate",
    default="1e-4:1",
    show_default=True,
    metavar="LOW:HIGH",
    help="Range, on a log scale; range-test finds it.",
)
@click.option("--steps", default="1:200", show_default=True, metavar="LOW:HIGH", help="Range of the number of steps.")
@click.option("--trials", type=int, metavar="N", help=f"Budget in trials; {DEFAULT_TRIALS} where none is given.")
@click.option("--gradient-evaluations", type=int, metavar="N", help="Budget in gradient evaluations.")
@click.option("--sampler", metavar="NAME", help="How points are chosen; trajectory where none is named.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the sampler.")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A setting of the objective; repeatable."
)
@click.option(
    "--goal",
    default="loss",
    show_default=True,
    metavar="GOAL",
    help="What is minimised: loss, validation_loss, 'steps until loss 0.01', 'loss and steps'.",
)
@click.option("--name", metavar="NAME", help="Name of the study; made from the objective's where none is given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@with_settings("objectives", *OF_THE_DATABASE)
def tune(settings: Settings, **options: Any) -> None:
    """Search the learning rate and the number of steps for OBJECTIVE.

    A single value instead of LOW:HIGH fixes it.
    """
    from tuner.service import studies

    document = definition_document(options)
    # What an objective prints is not the document's.
    stdout = _set_stdout_aside() if options["as_json"] else sys.stdout
    load_objectives(settings)
    try:
        with closing(open_database(settings)) as database:
            name = create(database, document, chosen_name=options["name"]).name
            interrupted = _run(database, name, settings)
            found, _ = studies.get(database, name)
            front = _front(database, found)
            nothing = None if found.best or front else _why_nothing_was_found(database, found)
    except InvalidInput as error:
        raise by_option(error, _OPTIONS) from None
    if options["as_json"]:
        click.echo(json.dumps(as_document(found, front), allow_nan=False, indent=2), file=stdout)
    else:
        from rich.console import Console

        Console(highlight=False).print(result_table(found))
        if front is not None:
            Console(highlight=False).print(front_table(front))
    if interrupted:
        sys.exit(INTERRUPTED)
    if nothing is not None:
        raise TunerError(nothing)


def _set_stdout_aside() -> TextIO:
    """Standard output for the result alone: what else is written there, by whatever means, goes to stderr."""
    sys.stdout.flush()
    aside = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return aside


def definition_document(options: Mapping[str, Any]) -> dict[str, Any]:
    """The definition that the options say, but for its name.

    Raises:
        InvalidInput: an option can't be read; the field is the option.
    """
    trials, evaluations = options["trials"], options["gradient_evaluations"]
    if trials is None and evaluations is None:
        trials = DEFAULT_TRIALS
    return {
        "objective": {"name": options["objective"], "settings": read_assignments(options["assignments"])},
        "search_space": {
            "learning_rate": "range-test"
            if options["learning_rate"] == "range-test"
            else {"type": "float", "scale": "log", **read_range(options["learning_rate"], "--learning-rate")},
            "steps": {"type": "int", **read_range(options["steps"], "--steps", whole=True)},
        },
        "goal": read_goal(options["goal"]),
        "sampler": {"name": options["sampler"], "seed": options["seed"]},
        "budget": {
            "trials": trials,
            "gradient_evaluations": evaluations,
            "failed_trials": FAILURES_WITHOUT_A_BUDGET_OF_TRIALS if trials is None else None,
        },
    }


def read_goal(text: str) -> dict[str, Any]:
    """A goal in words, without the ``minimize`` that every goal of an objective begins with.

    Raises:
        InvalidInput: there is no such goal; the field is the option.
    """
    from tuner.client.space import goal

    try:
        return goal(text if text.startswith(("minimize ", "maximize ")) else f"minimize {text}")
    except InvalidInput as error:
        raise InvalidInput(*(FieldError("--goal", problem.message) for problem in error.fields)) from None


def read_range(text: str, option: str, *, whole: bool = False) -> dict[str, float]:
    """``LOW:HIGH``, or one value for both, as the bounds of a range.

    Raises:
        InvalidInput: it is neither.
    """
    low, _, high = text.partition(":")
    try:
        bounds = [float(low), float(high if ":" in text else low)]
    except ValueError:
        raise InvalidInput.at(option, f"{text!r} is no range: say LOW:HIGH, or one value") from None
    if whole:
        if not all(bound.is_integer() for bound in bounds):
            raise InvalidInput.at(option, f"{text!r} is no range of whole numbers: say LOW:HIGH, or one value")
        bounds = [int(bound) for bound in bounds]
    return {"low": bounds[0], "high": bounds[1]}


def create(database: "Database", document: dict[str, Any], *, chosen_name: str | None) -> "Study":
    """Create the study. Under a chosen name an identical one is taken up; otherwise a free name is found.

    Raises:
        InvalidInput: the definition cannot be.
        StudyExists: the chosen name belongs to another definition.
    """
    from tuner.service import studies

    if chosen_name is not None:
        return studies.create(database, _definition({"name": chosen_name, **document}))[0]
    base = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in document["objective"]["name"].lower())
    base = base.strip("-")[:80] or "study"
    place = 1
    while True:
        name = base if place == 1 else f"{base}-{place}"
        place += 1
        try:
            studies.get(database, name)
        except NotFound:
            created, is_new = studies.create(database, _definition({"name": name, **document}))
            if is_new:
                return created


def as_document(found: "Study", front: "Pareto | None" = None) -> dict[str, Any]:
    """A finished study as JSON can hold it, with its front where its goal is a trade-off."""
    from tuner.trial import encode_float

    best = found.best
    return {
        "study": found.name,
        "state": found.state,
        "best": None
        if best is None
        else {
            **best.parameters,
            **{metric: encode_float(value) for metric, value in (best.values or {}).items()},
            **_steps_to_target(found),
            "trial": best.number,
            "gradient_evaluations": best.gradient_evaluations,
        },
        **({} if front is None else {"pareto": front.model_dump(mode="json")["points"]}),
        "trials": found.spent.trials,
        "gradient_evaluations": found.spent.gradient_evaluations,
        "seconds": found.spent.seconds,
    }


def _definition(document: dict[str, Any]) -> "StudyRequest":
    from pydantic import ValidationError

    from tuner.definition import StudyRequest

    try:
        return StudyRequest.model_validate(document)
    except ValidationError as error:
        raise InvalidInput.from_validation(error.errors(), document) from None


def _run(database: "Database", name: str, settings: Settings) -> bool:
    """Run the study to its end, showing how it goes; whether Ctrl-C stopped it before."""
    from rich.console import Console

    from tuner.service import studies
    from tuner.worker import ThisProcess, Worker

    place = ThisProcess(
        Worker(database, lease_seconds=settings.lease_seconds, poll_seconds=settings.poll_seconds, studies=[name])
    )
    # SIGTERM is heard as Ctrl-C is.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    place.start()
    try:
        _watch(database, name, place, Console(stderr=True))
    except KeyboardInterrupt:
        click.echo(
            f"Stopping: running trials may finish, in at most {settings.grace_seconds:g} s; Ctrl-C again ends at once.",
            err=True,
        )
        with suppress(StudyState):  # it has come to its end meanwhile
            studies.stop(database, name)
        _stop(place, settings)
        return True
    except BaseException:
        place.stop(settings.grace_seconds)
        raise
    place.stop(settings.grace_seconds)
    if isinstance(place.failure, Exception):
        raise place.failure
    if place.failure is not None:
        raise TunerError(f"the objective ended its worker: {place.failure!r}")
    return False


def _stop(place: "ThisProcess", settings: Settings) -> None:
    try:
        place.stop(settings.grace_seconds)
    except KeyboardInterrupt:
        place.stop(0)


def _watch(database: "Database", name: str, place: "ThisProcess", console: "Console") -> None:
    """Show the study's progress until it is over, or the place has failed."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from tuner.service import studies

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[best]}"), TimeElapsedColumn())
    # Where nobody watches, a bar would be control characters in a log.
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=1.0, best="")
        while place.alive:
            found, _ = studies.get(database, name)
            progress.update(task, completed=share_done(found), best=best_so_far(found))
            if found.state != "active":
                return
            time.sleep(LOOKS_EVERY)


def share_done(found: "Study") -> float:
    """How much of its budget a study has spent, of the limit that is nearest, in [0, 1]."""
    assert found.definition is not None  # noqa: S101 (it was created here)
    budget = found.definition.budget
    finished = found.trials["complete"] + found.trials["failed"] + found.trials["pruned"]
    shares = [0.0]
    if budget.trials is not None:
        shares.append(finished / budget.trials)
    if budget.gradient_evaluations is not None:
        shares.append(found.spent.gradient_evaluations / budget.gradient_evaluations)
    return 1.0 if found.state == "completed" else min(1.0, max(shares))


def best_so_far(found: "Study") -> str:
    """The best loss and where it was found, in few words."""
    if found.best is None or found.definition is None:
        return ""
    goal = found.definition.goal
    rate, steps, value = (
        found.best.parameters["learning_rate"],
        found.best.parameters["steps"],
        found.best.objective_value,
    )
    if goal.target is not None:
        return f"{goal.metric} {goal.target:.4g} in {value:.0f} steps at rate {rate:.3g}"
    return f"{goal.metric} {value:.4g} at rate {rate:.3g}, {steps} steps"


def _steps_to_target(found: "Study") -> dict[str, Any]:
    """The step at which the best trial reached the target, where there is one."""
    has_target = found.definition is not None and found.definition.goal.target is not None
    return {"steps_to_target": found.best.objective_value} if has_target and found.best is not None else {}


def _front(database: "Database", found: "Study") -> "Pareto | None":
    """The front of a study whose goal is a trade-off."""
    from tuner.service.pareto import pareto

    assert found.definition is not None  # noqa: S101 (it was created here)
    return pareto(database, found.name, max_points=FRONT_POINTS) if found.definition.goal.is_trade_off else None


def _why_nothing_was_found(database: "Database", found: "Study") -> str:
    from tuner.service import trials

    failed = trials.page(database, found.name, states=["failed"], page_size=1).trials
    if failed:
        return f"{found.trials['failed']} of {found.spent.trials} trials failed: {failed[0].reason}"
    assert found.definition is not None  # noqa: S101 (it was created here)
    goal = found.definition.goal
    if goal.target is not None:
        return f"no trial of {found.name} has got there: to {goal.words}"
    return f"no trial of {found.name} has a finite {goal.metric}"
