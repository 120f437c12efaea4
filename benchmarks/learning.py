"""What a trial costs with tpe: over HTTP beside the sampler alone, and in a long study beside a short one.

*The sampler alone* is Optuna's ``TPESampler(multivariate=True)``, whose points our tpe chooses too, on an in-memory
study of the same finished trials: ``study.ask`` and ``study.tell``, for as many further trials as the clients then ran.
Beside it, for the record, our own choice of a point from the same trials, in memory too. The flat ask compares the
service with itself.
"""

import statistics
import sys
import time

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from benchmarks.filling import Done, create_with_past, past
from benchmarks.load import Order, loss_at
from benchmarks.rdb_storage import SPACE
from benchmarks.servers import KINDS, Served, load, migrated, serving, study_definition
from benchmarks.table import Measurement, seconds
from tuner.definition import StudyDefinition
from tuner.search import look, resolve_sampler, suggest
from tuner.search.sight import Listed

HISTORIES = (100, 1000)
"""Finished trials of the studies whose trials are timed against the sampler alone."""

SHORT, LONG = 1_000, 100_000
TURNS = 3
SECONDS = 2.0


def measure() -> list[Measurement]:
    """On SQLite."""
    with KINDS["SQLite"]() as create:
        url = migrated(create())
        for size in HISTORIES:
            for turn in range(TURNS):
                create_with_past(url, f"tpe-{size}-{turn}", past(size))
        create_with_past(url, "short", past(SHORT))
        create_with_past(url, "long", past(LONG))
        with serving(url) as served:
            return [_beside_the_sampler(served, size) for size in HISTORIES] + [_flat(served)]


def _beside_the_sampler(served: Served, size: int) -> Measurement:
    ours, theirs, chosen = [], [], []
    for turn in range(TURNS):
        study = f"tpe-{size}-{turn}"
        tally = load(served, Order(served.port, "ask_and_tell_in_turns", [study], seconds=SECONDS))
        # The study grows as it is timed: the others grow as far.
        theirs.append(_optuna_in_memory(past(size), tally.told[study]))
        chosen.append(_our_choice_in_memory(past(size), tally.told[study]))
        latencies = tally.latencies
        ours.append(statistics.median(latencies[f"ask {study}"]) + statistics.median(latencies[f"tell {study}"]))
    mine, other = statistics.median(ours), statistics.median(theirs)
    what = f"ask + tell with tpe over HTTP, SQLite, {size:,} finished trials: beside the sampler alone, in memory"
    print(f"  {what}: {_listed(ours)}; Optuna {_listed(theirs)}; our choice alone {_listed(chosen)}", file=sys.stderr)
    return Measurement(
        what,
        f"{seconds(mine)} (our own choice alone, in memory: {seconds(statistics.median(chosen))})",
        f"{seconds(other)} (TPESampler, ask + tell in memory)",
        f"{mine / other - 1:+.0%}",
        "<= +25 %",
        mine <= 1.25 * other,
    )


def _optuna_in_memory(done: list[Done], further: int) -> float:
    """Seconds of an ask and a tell, the medians over so many further trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0, multivariate=True))
    study.add_trials([create_trial(params=one.parameters, distributions=SPACE, value=one.loss) for one in done])
    asks, tells = [], []
    for _ in range(further):
        start = time.perf_counter()
        trial = study.ask(SPACE)
        asked = time.perf_counter()
        loss = loss_at(trial.params)
        computed = time.perf_counter()
        study.tell(trial, loss)
        asks.append(asked - start)
        tells.append(time.perf_counter() - computed)
    return statistics.median(asks) + statistics.median(tells)


def _our_choice_in_memory(done: list[Done], further: int) -> float:
    """Seconds that our own search takes to choose a point, the median over so many further trials."""
    definition = StudyDefinition.model_validate(study_definition("tpe", "tpe"))
    sampler = resolve_sampler(definition.sampler, definition.search_space, definition.goal)
    definition = definition.model_copy(update={"sampler": sampler})
    trials = Listed([_frozen(number, one) for number, one in enumerate(done)], {}, "minimize")
    durations = []
    for _ in range(further):
        number = trials.next_number
        start = time.perf_counter()
        [suggestion] = suggest(definition, look(definition, trials), [number]).trials
        durations.append(time.perf_counter() - start)
        trials.add(_frozen(number, Done(suggestion.parameters, loss_at(suggestion.parameters))))
    return statistics.median(durations)


def _frozen(number: int, one: Done) -> FrozenTrial:
    return FrozenTrial(
        number=number, trial_id=number, state=TrialState.COMPLETE, value=one.loss, datetime_start=None,
        datetime_complete=None, params=dict(one.parameters), distributions=SPACE, user_attrs={}, system_attrs={},
        intermediate_values={},
    )  # fmt: skip


def _flat(served: Served) -> Measurement:
    first = [_first_ask(served, study) for study in ("short", "long")]
    short, long = [], []
    for _ in range(TURNS):
        tally = load(served, Order(served.port, "ask_and_tell_in_turns", ["short", "long"], seconds=SECONDS))
        short.append(statistics.median(tally.latencies["ask short"]))
        long.append(statistics.median(tally.latencies["ask long"]))
    ratio = statistics.median(long) / statistics.median(short)
    print(f"  flat ask: {_listed(short)} and {_listed(long)}; first asks {_listed(first)}", file=sys.stderr)
    return Measurement(
        f"median ask with tpe over HTTP, SQLite, one client: {LONG:,} finished trials beside {SHORT:,}",
        f"{seconds(statistics.median(long))} (the first after a start: {seconds(first[1])})",
        f"{seconds(statistics.median(short))} (the first: {seconds(first[0])})",
        f"{ratio:.2f}x",
        "<= 2x",
        ratio <= 2.0,
    )


def _first_ask(served: Served, study: str) -> float:
    """Seconds of an ask by a server that knows nothing of the study yet; its trial is told."""
    began = time.perf_counter()
    [trial] = served.post(f"/v1/studies/{study}/trials:ask", {"count": 1})["trials"]
    duration = time.perf_counter() - began
    result = {"attempt": trial["attempt"], "state": "complete", "values": {"loss": loss_at(trial["parameters"])}}
    served.post(f"/v1/studies/{study}/trials/{trial['number']}:tell", result)
    return duration


def _listed(durations: list[float]) -> str:
    return " ".join(seconds(duration) for duration in durations)
