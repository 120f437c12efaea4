"""Use case: the gradient of a registered objective is checked once, before the study's first trial.

The check takes two gradient evaluations, which are the study's. A study whose gradient is wrong is stopped, with the
error named; whoever resumes it has it run all the same.
"""

from tuner.analysis.gradient_check import EVALUATIONS, GradientCheck
from tuner.service import budget, holds
from tuner.service.open_study import OpenStudy, open_study
from tuner.storage import measurements
from tuner.storage.database import Connection, Database
from tuner.trial import encode_float

KIND = "gradient_check"
"""The kind of measurement that a check is stored as."""


def is_due(study: OpenStudy) -> bool:
    """Whether the study has yet to be checked: it has not begun, and can pay for the check and a trial besides."""
    if study.definition.objective is None or study.record.state != "active" or study.record.started_trials:
        return False
    left = budget.allowance(study.definition, study.record).evaluations
    if left is not None and left < EVALUATIONS + budget.least_cost(study.definition):
        return False
    return not measurements.read(study.connection, study.record.id, KIND)


def record(database: Database, name: str, worker: str, found: GradientCheck | str) -> None:
    """Store what a worker that holds the study has found, or why it found nothing, and end its hold.

    Raises:
        StudyNotFound: the study is gone.
        LeaseLost: the worker holds it no longer.
    """

    def work(connection: Connection) -> None:
        with open_study(connection, name) as study:
            holds.require(study, worker)
            measurements.add(
                connection,
                study.record.id,
                KIND,
                _document(found),
                gradient_evaluations=EVALUATIONS,
                moment=study.moment,
            )
            study.add(spent_evaluations=EVALUATIONS)
            if isinstance(found, GradientCheck) and found.wrong and study.record.state == "active":
                study.stop(_complaint(found))
            study.change(lost_holds=0)
            holds.let_go(study)

    database.write(work)


def _document(found: GradientCheck | str) -> dict[str, object]:
    if isinstance(found, str):
        return {"error": found}
    return {
        "difference": encode_float(found.difference),
        "predicted": encode_float(found.predicted),
        "relative_error": found.relative_error,
        "tolerance": found.tolerance,
        "wrong": found.wrong,
    }


def _complaint(found: GradientCheck) -> str:
    return (
        f"the gradient is wrong: along a random direction the loss changes by {found.difference:.4g} and the gradient "
        f"says {found.predicted:.4g}, a relative error of {found.relative_error:.2g}"
    )
