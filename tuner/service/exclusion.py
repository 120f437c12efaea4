"""Use case: exclude a finished trial. It is kept and shown, but is never the best and nothing is learned from it.

Exclusion is a judgement on a result, so a trial has to have one. A waiting trial would still be run and paid for, and
a running one is what samplers reckon with so as not to try its neighbourhood twice.
"""

from tuner.errors import TrialState
from tuner.service.open_study import open_study
from tuner.storage import trials
from tuner.storage.database import Connection, Database
from tuner.storage.trials import FINISHED
from tuner.trial import Trial


def exclude(database: Database, name: str, number: int, *, excluded: bool = True) -> Trial:
    """Exclude a finished trial, or take that back; the trial as it is then. Once more changes nothing.

    The study's version counts up: whoever remembers its trials reads them anew.

    Raises:
        StudyNotFound, TrialNotFound: there is none.
        ReadOnlyStudy: an Optuna program made the study.
        TrialState: the trial has not finished.
    """

    def work(connection: Connection) -> Trial:
        with open_study(connection, name) as study:
            record = trials.get(connection, study.record.id, number)
            if record.state not in FINISHED:
                raise TrialState(f"trial {number} is {record.state}: only a finished trial can be excluded")
            if record.excluded != excluded:
                study.change(version=study.record.version + 1)
                trials.change(
                    connection, record.id, excluded=excluded, updated_at=study.moment, sequence=study.sequence
                )
            return trials.get(connection, study.record.id, number).view()

    return database.write(work)
