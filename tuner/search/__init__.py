"""Which points to try next.

A study's definition names a sampler. `look` says what of the study it needs to know; `suggest` turns that, and the
numbers of the new trials, into points. Both are functions: no database, no clock, no state between calls. Adding a
sampler is one line in ``tuner/search/registry.py``.
"""

from tuner.search.registry import (
    SAMPLERS,
    SamplerType,
    default_sampler,
    planner_of,
    plans,
    proposer_of,
    resolve_sampler,
)
from tuner.search.sampler import History, Suggestion, Suggestions
from tuner.search.suggest import look, suggest

__all__ = [
    "SAMPLERS",
    "History",
    "SamplerType",
    "Suggestion",
    "Suggestions",
    "default_sampler",
    "look",
    "planner_of",
    "plans",
    "proposer_of",
    "resolve_sampler",
    "suggest",
]
