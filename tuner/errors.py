"""Every way in which Tuner says no, in one tree.

The tree knows nothing of HTTP: ``api/problems.py`` gives each class its status, in one table, and the command prints
``str(error)``. A caller can tell errors apart by class or by ``code``, which is stable and machine-readable::

    TunerError
    ├── InvalidInput          the request says something that cannot be; ``fields`` name where
    │   ├── MissingExtra      it needs an optional dependency that is not installed
    │   └── KeyReused         its idempotency key belongs to another request
    ├── NotFound
    │   ├── StudyNotFound
    │   ├── TrialNotFound
    │   ├── ObjectiveNotFound
    │   ├── NoResult          the study has no finished trial with a finite value yet
    │   └── NoSingleBest      the study's goal is a trade-off: there is a front, and no best trial
    ├── Conflict              it was possible once, or will be, but not in this state
    │   ├── StudyExists       the name is taken by another definition
    │   ├── ReadOnlyStudy     an Optuna program's study has no definition to act on
    │   ├── ExternalStudy     what it takes an objective to do, of a study that has none
    │   ├── BudgetSpent       what is left of the study's budget does not afford it
    │   ├── StudyState        the study's state does not allow the verb
    │   ├── StudyChanged      it is no longer the version that the change was meant for
    │   ├── TrialState        the trial's state does not allow it
    │   ├── LeaseLost         another attempt has begun the trial
    │   ├── AlreadyTold       the trial has another result already
    │   └── AuthenticationOff the service asks for no tokens, and makes none
    ├── AccessRefused
    │   ├── Unauthenticated   no token, or none that is valid
    │   └── OutOfScope        the token does not go so far
    ├── ObjectiveFailed       an objective raised or answered a wrong shape
    └── StorageError
        ├── DatabaseUnavailable
        └── SchemaMismatch    the database's schema is not the one this version works with
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with one field.

    ``field`` is a dotted path into the input (``search_space.learning_rate.low``), ``message`` says what is wrong
    with it and, where it can, what would be right.
    """

    field: str
    message: str


class TunerError(Exception):
    """The root: everything Tuner raises on purpose."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Error"


class InvalidInput(TunerError):
    """The input is refused whole; ``fields`` names each part that is wrong."""

    code = "invalid_input"
    title = "Invalid input"

    def __init__(self, *fields: FieldError) -> None:
        self.fields = fields
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in fields))

    @classmethod
    def at(cls, field: str, message: str) -> Self:
        """The common case: one field is wrong."""
        return cls(FieldError(field, message))

    @classmethod
    def from_validation(cls, errors: Iterable[Mapping[str, Any]], given: Any) -> Self:
        """The errors of a pydantic validation (``error.errors()``) of the input ``given``, as fields of that input."""
        messages: dict[str, list[str]] = {}
        for error in errors:
            field, message = _located(error, given)
            messages.setdefault(field, []).append(message)
        # A value that fits no member of a union fails once for each.
        return cls(*(FieldError(field, " or ".join(dict.fromkeys(found))) for field, found in messages.items()))

    def within(self, prefix: str) -> Self:
        """The same error seen from outside: every field's path gets the prefix."""
        return type(self)(*(FieldError(f"{prefix}.{error.field}", error.message) for error in self.fields))


def _located(error: Mapping[str, Any], given: Any) -> tuple[str, str]:
    """One pydantic error as a path into ``given``, without the tags of unions, which nobody wrote, and its message."""
    path: list[str] = []
    place = given
    *_, last = error["loc"] or (None,)
    for part in error["loc"]:
        if isinstance(place, Mapping):
            known = part in place
        else:
            known = isinstance(place, list | tuple) and isinstance(part, int) and part < len(place)
        if known:
            place = place[part]
        elif error["type"] != "missing" or part is not last:
            continue
        path.append(str(part))
    context, message = error.get("ctx", {}), error["msg"]
    match error["type"]:
        case "union_tag_not_found":
            path.append(context["discriminator"].strip("'"))
            message = "Field required"
        case "union_tag_invalid":
            path.append(context["discriminator"].strip("'"))
            message = f"Input should be one of {context['expected_tags']}"
        case _ if "field" in context:
            path.append(context["field"])
    return ".".join(path) or "body", message


class MissingExtra(InvalidInput):
    """An optional dependency is needed and missing; the message names the extra that brings it."""

    code = "missing_extra"
    title = "Optional dependency missing"


class KeyReused(InvalidInput):
    """The idempotency key was used for another request before."""

    code = "idempotency_key_reused"
    title = "Idempotency key reused"


class NotFound(TunerError):
    """What was named does not exist."""

    code = "not_found"
    title = "Not found"


class StudyNotFound(NotFound):
    """No study has that name."""

    code = "study_not_found"


class TrialNotFound(NotFound):
    """The study has no trial of that number."""

    code = "trial_not_found"


class ObjectiveNotFound(NotFound):
    """No objective is registered under that name."""

    code = "objective_not_found"


class NoResult(NotFound):
    """The study has no complete trial with a finite value yet."""

    code = "no_result"
    title = "No result yet"


class NoSingleBest(NotFound):
    """The study's goal is a trade-off: none of its trials is the best, and the front is at ``pareto``."""

    code = "no_single_best"
    title = "No single best"


class Conflict(TunerError):
    """The present state does not allow it."""

    code = "conflict"
    title = "Conflict"


class StudyExists(Conflict):
    """A study of that name exists with another definition."""

    code = "study_exists"


class ReadOnlyStudy(Conflict):
    """The study was made by an Optuna program: it has no definition, and is shown only."""

    code = "read_only_study"


class ExternalStudy(Conflict):
    """The study has no registered objective: training clients run its trials, and only they can evaluate it."""

    code = "external_study"
    title = "External study"


class BudgetSpent(Conflict):
    """What is left of the study's budget of gradient evaluations does not afford it."""

    code = "budget_spent"
    title = "Budget spent"


class TooManyStudies(Conflict):
    """The token has as many studies as it may have: delete some, or have the limit raised."""

    code = "too_many_studies"
    title = "Too many studies"


class StudyState(Conflict):
    """The study's state does not allow the verb."""

    code = "study_state"


class StudyChanged(Conflict):
    """The study is no longer the version that the change was meant for."""

    code = "study_changed"
    title = "Study changed"


class TrialState(Conflict):
    """The trial's state does not allow it."""

    code = "trial_state"


class LeaseLost(Conflict):
    """Another attempt has begun the trial, or this one never held it."""

    code = "lease_lost"
    title = "Lease lost"


class AlreadyTold(Conflict):
    """The trial has a result already, and another one."""

    code = "already_told"
    title = "Already told"


class TooManyOpenTrials(TunerError):
    """The token holds as many running trials as it may: tell them or give them back, and ask again."""

    code = "too_many_open_trials"
    title = "Too many open trials"


class ObjectiveFailed(TunerError):
    """An objective raised, or answered something that is not a value and a gradient per row."""

    code = "objective_failed"
    title = "Objective failed"


class AuthenticationOff(Conflict):
    """The service asks for no tokens, and makes none."""

    code = "authentication_off"
    title = "Authentication is off"


class AccessRefused(TunerError):
    """Whoever asks may not."""

    code = "access_refused"
    title = "Access refused"


class Unauthenticated(AccessRefused):
    """No token was sent, or none that is valid: it is unknown, expired or revoked."""

    code = "unauthenticated"
    title = "Not signed in"


class OutOfScope(AccessRefused):
    """The token is valid and its scope does not go so far."""

    code = "out_of_scope"
    title = "Out of scope"


class StorageError(TunerError):
    """The database cannot serve."""

    code = "storage"
    title = "Storage error"


class DatabaseUnavailable(StorageError):
    """The database does not answer, or stayed locked through every retry."""

    code = "database_unavailable"
    title = "Database unavailable"


class SchemaMismatch(StorageError):
    """The database's schema is not the one this version works with; the message says what to run."""

    code = "schema_mismatch"
    title = "Schema mismatch"
