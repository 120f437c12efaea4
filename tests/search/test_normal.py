"""The normal distribution, beside Optuna's to the last bit, and beside its closed form."""

import math

import numpy as np
import pytest
from optuna.samplers._tpe import _truncnorm

from tuner.search.normal import mass, quantile


@pytest.mark.parametrize("widest", [0.1, 1.0, 5.0, 19.0, 100.0])
@pytest.mark.parametrize("nearest", [1e-12, 0.01])
@np.errstate(all="ignore")
def test_quantiles_are_those_of_optuna_to_the_last_bit(widest: float, nearest: float) -> None:
    draw = np.random.default_rng(0)
    for count in (1, 2, 24, 48, 200):
        a, b = -np.exp(draw.uniform(np.log(nearest), np.log(widest), (2, count)))
        q = draw.choice([0.0, 1e-300, 1e-12, 1 - 2**-53, *draw.random(20)], count)
        assert np.array_equal(quantile(q, a, -b), _truncnorm.ppf(q, a, -b), equal_nan=True)
        some = np.where(draw.random(count) < 0.5, 0.5, q)
        assert np.array_equal(quantile(some, a, -b), _truncnorm.ppf(some, a, -b), equal_nan=True)


def test_an_interval_beside_the_mean_is_left_to_optuna() -> None:
    q, a = np.array([0.2, 0.7, 0.9]), np.array([1.0, 0.0, -3.0])
    assert np.array_equal(quantile(q, a, a + 1), _truncnorm.ppf(q, a, a + 1))


def test_of_thousands_at_once_the_quantiles_are_optunas_too() -> None:
    q, (a, b) = np.random.default_rng(1).random(2000), np.random.default_rng(2).uniform(0.1, 3, (2, 2000))
    assert np.array_equal(quantile(q, -a, b), _truncnorm.ppf(q, -a, b))


@pytest.mark.parametrize("at", [0.0, 0.3, 5.0, 20.0, 37.0])
def test_mass_keeps_its_digits_in_both_tails(at: float) -> None:
    expected = 0.5 * (math.erfc(at / math.sqrt(2)) - math.erfc((at + 1) / math.sqrt(2)))
    mu, sigma = np.array([10.0, -7.0]), np.array([2.0, 0.25])
    assert mass(mu + (at + 0.5) * sigma, 0.5 * sigma, mu, sigma) == pytest.approx(expected, rel=1e-11, abs=0)
    assert mass(mu - (at + 0.5) * sigma, 0.5 * sigma, mu, sigma) == pytest.approx(expected, rel=1e-11, abs=0)
