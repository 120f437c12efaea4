"""What a study's sampler knows when it chooses: the part of the history that it looks at."""

from tuner.search import SAMPLERS, History, look, proposer_of
from tuner.service.open_study import OpenStudy
from tuner.service.training import trained
from tuner.storage.shown_trials import ShownTrials


def history(study: OpenStudy) -> History:
    """The trials that the study's sampler looks at, and the notes that samplers keep on the study."""
    name = study.definition.sampler.name
    if proposer_of(study.definition) is not None:
        return History([], study.record.system_attrs, trained=trained(study))
    if name is None or not SAMPLERS[name].learns:
        return History([], study.record.system_attrs)
    trials = ShownTrials(study.connection, study.record)
    known = look(study.definition, trials)
    trials.remember()
    return known
