"""Numbers and durations as people read them."""

import math

import pytest

from api.dashboard.format import duration, number, opening


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "\N{EN DASH}"),
        (0.53216, "0.5322"),
        (9.9812e-5, "9.981e\N{MINUS SIGN}5"),
        (1.5e24, "1.5e24"),
        (-0.25, "\N{MINUS SIGN}0.25"),
        (0.0, "0"),
        (12345, "12\u202f345"),
        (12345.0, "12\u202f345"),
        (-12345, "\N{MINUS SIGN}12\u202f345"),
        (1_234_567_890_123, "1.235e12"),
        (1234.5, "1235"),
        (10.125, "10.13"),
        (9999.6, "1e4"),
        (5e-324, "4.941e\N{MINUS SIGN}324"),
        (1.7976931348623157e308, "1.798e308"),
        (0.1, "0.1"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "\N{MINUS SIGN}∞"),
        (True, "True"),
        ("adam", "adam"),
    ],
)
def test_a_number_is_short_and_true(value: object, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0123, "12 ms"), (9.96, "10.0 s"), (59.99, "60.0 s"), (61, "1 min 1 s"), (3600, "1 h"), (90_061, "1 d 1 h")],
)
def test_a_duration_has_two_units_at_most(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(("text", "begun"), [("line_fit: NaN at x_0", "Line_fit: NaN at x_0"), ("", ""), ("É", "É")])
def test_a_sentence_begins_with_a_capital_and_is_otherwise_as_it_was(text: str, begun: str) -> None:
    assert opening(text) == begun
