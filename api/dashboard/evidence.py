"""What the numbers behind a verdict are called, and how each is read (docs/verdicts.md says what each means)."""

from collections.abc import Callable, Mapping

from api.dashboard.format import number, words

MOST = 1e6
"""A factor beyond which nobody reads more than that it is."""


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"


def _times(value: float) -> str:
    return "more than a million times" if value > MOST else f"{number(value)}×"


def _count(value: float) -> str:
    return number(int(value))


NAMED: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "since_step": ("diverging since step", _count),
    "growth_per_step": ("the rise of the loss grows with every step", _times),
    "growth_before": ("in the second quarter of the rise with every step", _times),
    "left_finite_numbers_at": ("left the finite numbers at step", _count),
    "limit": ("the rate from which on descent is unstable", number),
    "learning_rate": ("its learning rate", number),
    "swing": ("the last losses lie apart, of the fall", _share),
    "to_come": ("still to come, of the fall that ten times the steps would make", _share),
    "fell_in_last_third": ("fell within a third of the steps, late in the run", _share),
    "settled_at": ("within a hundredth of its end by step", _count),
    "above_lowest": ("above the lowest in the end, of the fall", _share),
    "above_start": ("above the start for good, of all that it went through", _share),
    "thrown": ("thrown above its start at first, of the fall", _share),
    "validation_rise": ("rise of the validation loss since its lowest, of its fall", _share),
    "best_step": ("the validation loss was lowest at step", _count),
    "noise": ("noise of the losses about their course, of the fall", _share),
    "lowest": ("lowest value", number),
    "highest": ("highest value", number),
    "points": ("values that were judged", _count),
    "last_step": ("last step", _count),
}
"""Evidence by its name, in the order in which it is shown: its words, and how its number is written."""


def in_words(*evidence: Mapping[str, float] | None) -> list[tuple[str, list[str]]]:
    """The evidence of some verdicts: what each number is, and how it is in each; what has no words goes by its name."""
    found = [one or {} for one in evidence]
    others = dict.fromkeys(name for one in found for name in one if name not in NAMED)
    named = {**NAMED, **{name: (words(name), number) for name in others}}
    return [
        (label, [written(one[name]) if name in one else number(None) for one in found])
        for name, (label, written) in named.items()
        if any(name in one for one in found)
    ]
