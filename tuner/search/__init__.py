"""Which points to try next.

A study's definition names a sampler; `suggest` turns it, what the study knows so far and the numbers of the new trials
into points. It is a function: no database, no clock, no state between calls. Adding a sampler is one line in
``tuner/search/registry.py``.
"""

from tuner.search.registry import SAMPLERS, SamplerType, resolve_sampler
from tuner.search.suggest import LEARNED_FROM, History, Suggestion, Suggestions, suggest

__all__ = [
    "LEARNED_FROM",
    "SAMPLERS",
    "History",
    "SamplerType",
    "Suggestion",
    "Suggestions",
    "resolve_sampler",
    "suggest",
]
