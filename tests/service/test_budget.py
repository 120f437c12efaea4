"""Budgets: what is followed is shortened to what is left, to the last evaluation."""

from hypothesis import given
from hypothesis import strategies as st

from tuner.service.budget import Stretch, shortened

stretches = st.lists(st.builds(Stretch, steps=st.integers(1, 50), opening=st.integers(0, 1)), max_size=6)


def cost(wanted: list[Stretch], steps: list[int]) -> int:
    return sum(one.opening + allowed for one, allowed in zip(wanted, steps, strict=True) if allowed)


@given(wanted=stretches, evaluations=st.integers(0, 400))
def test_what_is_left_is_spent_and_never_passed(wanted: list[Stretch], evaluations: int) -> None:
    steps = shortened(wanted, evaluations)
    whole = cost(wanted, [one.steps for one in wanted])
    assert all(allowed <= one.steps for one, allowed in zip(wanted, steps, strict=True))
    assert cost(wanted, steps) <= evaluations
    if whole <= evaluations:
        assert steps == [one.steps for one in wanted]
    elif all(steps):
        assert cost(wanted, steps) == evaluations


@given(wanted=stretches, evaluations=st.integers(0, 400))
def test_all_are_shortened_alike_and_the_last_ones_do_not_begin(wanted: list[Stretch], evaluations: int) -> None:
    steps = shortened(wanted, evaluations)
    begun = [place for place, allowed in enumerate(steps) if allowed]
    assert begun == list(range(len(begun)))
    cut = [steps[place] for place in begun if steps[place] < wanted[place].steps]
    assert not cut or max(cut) - min(cut) <= 1
    assert cut == sorted(cut, reverse=True)
    assert not cut or all(steps[place] <= min(cut) + 1 for place in begun)


def test_without_a_limit_nothing_is_shortened() -> None:
    assert shortened([Stretch(7, 1), Stretch(10**6, 0)], None) == [7, 10**6]
