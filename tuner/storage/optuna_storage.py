"""Optuna's door to our tables: `TunerStorage`, an ``optuna.storages.BaseStorage``.

Through it Optuna's samplers, pruners and charts work on the service's studies, and any Optuna program may keep its own
studies here. What the methods promise is Optuna's contract; what is said here is only what that leaves open.

A study that an Optuna program makes has no definition; its metrics are ``value``, or ``value_0``, ``value_1``, … The
curve of a study's first metric, or of its goal's, is what Optuna calls intermediate values. Trials that an Optuna
program runs have no lease: Optuna's ask and tell have no heartbeat that could renew one. They count as started and
failed trials of their study, whoever made it, but nothing stops a program that overspends a budget: that is the
service's ask. Who follows the events sees such a trial when it is created and when it ends: what is written in between
does not lock its study.
"""

# What Optuna's own docstrings say is not said again.
# ruff: noqa: D102

import json
import math
import threading
import uuid
import weakref
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution, check_distribution_compatibility, distribution_to_json
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages._base import DEFAULT_STUDY_NAME_PREFIX
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState
from sqlalchemy import Connection

from tuner.errors import NotFound, StudyExists
from tuner.storage import curves, migration, ranked, studies, trials
from tuner.storage.curves import CurveBlock
from tuner.storage.database import Database, now
from tuner.storage.frozen import STATE, frozen_trial, new_columns, value_columns
from tuner.storage.known_trials import KnownTrials, read_trials, search_space
from tuner.storage.studies import StudyRecord
from tuner.storage.trials import TrialRecord
from tuner.trial import TrialState, encode_float

T = TypeVar("T")


class TunerStorage(BaseStorage):
    """Studies and trials in a database of Tuner's, for Optuna.

    Args:
        database: a URL (``sqlite:///tuner.db``, ``postgresql://…``), whose schema is then prepared, or a `Database`
            that is. What was opened by URL is closed by `remove_session`, or when the storage is no longer used.

    Safe to share among threads. Pickles as the URL.

    Raises:
        InvalidInput: the URL can't be read or names a database that Tuner does not work with.
        SchemaMismatch: the schema of a database server is not this version's.
    """

    def __init__(self, database: str | Database) -> None:
        if isinstance(database, str):
            self._open(database)
            migration.prepare(self._database)
        else:
            self._start(database, owned=False)

    def __getstate__(self) -> str:
        return self._database.url

    def __setstate__(self, url: str) -> None:
        self._open(url)

    def _open(self, url: str) -> None:
        self._start(Database(url), owned=True)
        weakref.finalize(self, self._database.close)

    def _start(self, database: Database, *, owned: bool) -> None:
        self._database = database
        self._owned = owned
        self._known: dict[int, KnownTrials] = {}
        # Taken inside transactions only: whoever waits for it has a connection, and whoever holds it needs no other.
        self._lock = threading.Lock()

    def remove_session(self) -> None:
        """Close the connections that the storage opened; they open again when they are needed."""
        if self._owned:
            self._database.close()

    # Studies

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        name = DEFAULT_STUDY_NAME_PREFIX + str(uuid.uuid4()) if study_name is None else study_name
        metrics = ["value"] if len(directions) == 1 else [f"value_{index}" for index in range(len(directions))]

        def work(connection: Connection) -> int:
            return studies.create(
                connection,
                name=name,
                definition=None,
                directions=[direction.name.lower() for direction in directions],
                metrics=metrics,
                objective=None,
                moment=now(connection),
            ).id

        return self._write(work)

    def delete_study(self, study_id: int) -> None:
        def work(connection: Connection) -> None:
            studies.get_by_id(connection, study_id, lock=True)
            studies.remove(connection, study_id)

        self._write(work)
        self._known.pop(study_id, None)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._set_study_attribute(study_id, "user_attrs", key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._set_study_attribute(study_id, "system_attrs", key, value)

    def _set_study_attribute(self, study_id: int, column: str, key: str, value: Any) -> None:
        json.dumps(value)  # raises the TypeError that Optuna's users know

        def work(connection: Connection) -> None:
            study = studies.get_by_id(connection, study_id, lock=True)
            attributes = {column: getattr(study, column) | {key: value}}
            studies.change(connection, study_id, sequence=study.sequence + 1, **attributes)

        self._write(work)

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._read(lambda connection: studies.get_by_name(connection, study_name)).id

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._study(study_id).name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return _directions(self._study(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._study(study_id).user_attrs

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._study(study_id).system_attrs

    def get_all_studies(self) -> list[FrozenStudy]:
        return [
            FrozenStudy(
                study_name=study.name,
                direction=None,
                directions=_directions(study),
                user_attrs=study.user_attrs,
                system_attrs=study.system_attrs,
                study_id=study.id,
            )
            for study in self._read(studies.everything)
        ]

    def _study(self, study_id: int) -> StudyRecord:
        return self._read(lambda connection: studies.get_by_id(connection, study_id))

    # Trials: writing. Who needs both rows locks the study's first, as the service does.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """As Optuna says. A waiting trial of a study that has a definition may be leased by any worker of the service.

        Raises:
            InvalidInput: such a trial is not a whole point of the study's search space; each parameter is named.
        """
        template = template_trial or create_trial(state=OptunaState.RUNNING)

        def work(connection: Connection) -> int:
            study = studies.get_by_id(connection, study_id, lock=True)
            moment = now(connection)
            row = {"sequence": study.sequence + 1, **new_columns(study, template, moment)}
            if template_trial is None:
                row["started_at"] = moment
            [trial] = trials.create(connection, [{"study_id": study.id, "number": study.next_number, **row}])
            steps, values = list(template.intermediate_values), list(template.intermediate_values.values())
            curves.append(connection, [CurveBlock(trial.id, trial.attempt, study.curve_metric, steps, values)])
            failed = int(trial.state == TrialState.FAILED)
            studies.increase(connection, study.id, next_number=1, failed_trials=failed, sequence=1)
            if trial.attempt:
                _start(connection, study, moment)
            return trial.id

        return self._write(work)

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        def work(connection: Connection) -> None:
            trial = _unfinished(connection, trial_id)
            with self._lock:
                known = self._known_trials(trial.study_id)
                if param_name not in known.distributions:
                    known.refresh(connection, studies.get_by_id(connection, trial.study_id))
                earlier = known.distributions.get(param_name)
            if earlier is not None:
                check_distribution_compatibility(earlier, distribution)
            if trial.distributions is None:
                study = studies.get_by_id(connection, trial.study_id)
                texts = {name: distribution_to_json(search_space(study)[name]) for name in trial.parameters}
            else:
                texts = trial.distributions
            trials.change(
                connection,
                trial_id,
                parameters=trial.parameters | {param_name: distribution.to_external_repr(param_value_internal)},
                distributions=texts | {param_name: distribution_to_json(distribution)},
                updated_at=now(connection),
            )

        self._write(work)

    def set_trial_state_values(self, trial_id: int, state: OptunaState, values: Sequence[float] | None = None) -> bool:
        """As Optuna says. A claim (waiting to running) is one atomic step: of many claimants, one gets True.

        Raises:
            ValueError: the study has not as many metrics as there are values.
        """

        def work(connection: Connection) -> bool:
            study_id = trials.get_by_id(connection, trial_id).study_id
            study = studies.get_by_id(connection, study_id, lock=True)
            trial = _unfinished(connection, trial_id)
            if state == OptunaState.RUNNING and trial.state != TrialState.WAITING:
                return False
            moment = now(connection)
            row: dict[str, Any] = {"state": STATE[state].value, "updated_at": moment, "lease_expires_at": None}
            row["sequence"] = study.sequence + 1
            studies.increase(connection, study.id, sequence=1)
            if trial.state == TrialState.WAITING and state != OptunaState.WAITING:
                row |= {"attempt": trial.attempt + 1, "worker": None, "lease_seconds": None, "started_at": moment}
                if trial.attempt == 0:
                    _start(connection, study, moment)
                    curves.hand_over(connection, trial_id, attempt=1)
            if state.is_finished():
                row |= {"finished_at": moment, "reserved_evaluations": 0}
                studies.increase(
                    connection,
                    study.id,
                    reserved_evaluations=-trial.reserved_evaluations,
                    failed_trials=int(state == OptunaState.FAIL),
                )
            if values is not None:
                row |= value_columns(study, values)
            trials.change(connection, trial_id, **row)
            return True

        return self._write(work)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """As Optuna says. Points are gathered into blocks (`tuner.storage.curves.grow`)."""

        def work(connection: Connection) -> None:
            trial = _unfinished(connection, trial_id)
            metric = studies.get_by_id(connection, trial.study_id).curve_metric
            curves.grow(connection, [CurveBlock(trial_id, trial.attempt, metric, [step], [intermediate_value])])
            trials.change(connection, trial_id, updated_at=now(connection))

        self._write(work)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._set_trial_attribute(trial_id, "user_attrs", key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._set_trial_attribute(trial_id, "system_attrs", key, value)

    def _set_trial_attribute(self, trial_id: int, column: str, key: str, value: Any) -> None:
        json.dumps(value)  # raises the TypeError that Optuna's users know

        def work(connection: Connection) -> None:
            trial = _unfinished(connection, trial_id)
            attributes = getattr(trial, column) | {key: value}
            trials.change(connection, trial_id, **{column: attributes, "updated_at": now(connection)})

        self._write(work)

    # Trials: reading

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._read(lambda connection: _frozen(connection, trials.get_by_id(connection, trial_id)))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[OptunaState] | None = None
    ) -> list[FrozenTrial]:
        """As Optuna says. Finished trials are read from the database once, and remembered."""
        wanted = [state for state in OptunaState if states is None or state in states]

        def work(connection: Connection) -> list[FrozenTrial]:
            # Every ask looks for waiting trials: that costs no more in a long study.
            if not any(state.is_finished() for state in wanted):
                study = studies.get_by_id(connection, study_id)
                return read_trials(connection, study, [STATE[state] for state in wanted])
            with self._lock:
                known = self._known_trials(study_id)
                known.refresh(connection, studies.get_by_id(connection, study_id))
                return known.select(wanted, deepcopy=deepcopy)

        return self._read(work)

    def get_n_trials(self, study_id: int, state: tuple[OptunaState, ...] | OptunaState | None = None) -> int:
        states = (state,) if isinstance(state, OptunaState) else state

        def work(connection: Connection) -> int:
            counts = trials.counts(connection, [studies.get_by_id(connection, study_id)])[study_id]
            return sum(counts[STATE[each]] for each in OptunaState if states is None or each in states)

        return self._read(work)

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """As Optuna says. An excluded trial is never the best."""

        def work(connection: Connection) -> FrozenTrial:
            study = studies.get_by_id(connection, study_id)
            if len(study.directions) > 1:
                raise RuntimeError("Best trial can be obtained only for single-objective optimization.")
            [direction] = study.directions
            [metric] = study.metrics
            # Optuna ranks infinities; among ours they are no result, and only the lack of any other shows one.
            unbeatable = {metric: encode_float(math.inf if direction == "maximize" else -math.inf)}
            best = None
            if study.definition is None:
                best = ranked.first_unranked(connection, study_id, values=unbeatable)
            best = best or ranked.best(connection, study_id, direction) or ranked.first_unranked(connection, study_id)
            if best is None:
                raise ValueError("No trials are completed yet.")
            return _frozen(connection, best)

        return self._read(work)

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        return self._read(lambda connection: trials.get(connection, study_id, trial_number)).id

    def get_trial_number_from_id(self, trial_id: int) -> int:
        return self._trial(trial_id).number

    def get_trial_params(self, trial_id: int) -> dict[str, Any]:
        return self._trial(trial_id).parameters

    def get_trial_user_attrs(self, trial_id: int) -> dict[str, Any]:
        return self._trial(trial_id).user_attrs

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        return self._trial(trial_id).system_attrs

    def _trial(self, trial_id: int) -> TrialRecord:
        return self._read(lambda connection: trials.get_by_id(connection, trial_id))

    def _known_trials(self, study_id: int) -> KnownTrials:
        return self._known.setdefault(study_id, KnownTrials())

    # Transactions

    def _read(self, work: Callable[[Connection], T]) -> T:
        with _errors_of_optuna():
            return self._database.read(work)

    def _write(self, work: Callable[[Connection], T]) -> T:
        with _errors_of_optuna():
            return self._database.write(work)


@contextmanager
def _errors_of_optuna() -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise KeyError(str(error)) from error
    except StudyExists as error:
        raise DuplicatedStudyError(str(error)) from error


def _directions(study: StudyRecord) -> list[StudyDirection]:
    return [StudyDirection[direction.upper()] for direction in study.directions]


def _unfinished(connection: Connection, trial_id: int) -> TrialRecord:
    """The trial, locked."""
    trial = trials.get_by_id(connection, trial_id, lock=True)
    if TrialState(trial.state).finished:
        raise UpdateFinishedTrialError(f"Trial#{trial.number} has already finished and can not be updated.")
    return trial


def _frozen(connection: Connection, trial: TrialRecord) -> FrozenTrial:
    study = studies.get_by_id(connection, trial.study_id)
    curve = curves.read(connection, trial.id, trial.attempt).get(study.curve_metric)
    return frozen_trial(trial, study, search_space(study), curve)


def _start(connection: Connection, study: StudyRecord, moment: datetime) -> None:
    """One more trial of the study has been started."""
    studies.increase(connection, study.id, started_trials=1)
    studies.change(connection, study.id, started_at=study.started_at or moment)
