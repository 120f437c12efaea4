"""Pauses between tries: full jitter under a bound that doubles."""

from tuner.client.transport import LONGEST_PAUSE, pause


def test_pauses_grow_and_are_spread() -> None:
    for tries, bound in ((0, 0.2), (3, 1.6), (6, 12.8), (20, LONGEST_PAUSE)):
        pauses = [pause(tries) for _ in range(500)]
        assert max(pauses) <= bound
        # Of 500 uniform ones, none in the upper or lower tenth has a chance of 1 in 10²².
        assert max(pauses) > 0.9 * bound
        assert min(pauses) < 0.1 * bound
        assert min(pause(tries, 7.0) for _ in range(50)) >= 7.0
