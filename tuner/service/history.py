"""What a study's sampler may know, remembered between asks: finished trials never change, so they are read once.

A memory belongs to a database and lives with it; it holds the studies that were asked last. Whoever asks holds the
study's row, so nobody else in this process is reading the same study's history.
"""

import threading
from collections import OrderedDict
from weakref import WeakKeyDictionary

from tuner.search import LEARNED_FROM, SAMPLERS, History
from tuner.service.open_study import OpenStudy
from tuner.storage.known_trials import KnownTrials

REMEMBERED_STUDIES = 16

_lock = threading.Lock()
_memories: WeakKeyDictionary[object, OrderedDict[int, KnownTrials]] = WeakKeyDictionary()


def history(study: OpenStudy) -> History:
    """The trials that the study's sampler learns from, and the notes that it keeps on the study."""
    if not SAMPLERS[study.definition.sampler.name].learns:
        return History([], study.record.system_attrs)
    known = _known_trials(study)
    known.refresh(study.connection, study.record)
    return History(known.select(LEARNED_FROM, deepcopy=False), study.record.system_attrs)


def _known_trials(study: OpenStudy) -> KnownTrials:
    with _lock:
        memory = _memories.setdefault(study.connection.engine, OrderedDict())
        known = memory.setdefault(study.record.id, KnownTrials(curves=False))
        memory.move_to_end(study.record.id)
        if len(memory) > REMEMBERED_STUDIES:
            memory.popitem(last=False)
        return known
