import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailstream.quant.arrays import INSUFFICIENT, UNDEFINED
from tailstream.quant.returns import Annualisation
from tailstream.quant.volatility import dispersion, downside_deviation, volatility

from .cases import noise

pytestmark = pytest.mark.filterwarnings("error")

DAILY = Annualisation(252.0, 365)


def test_mean_and_deviation_by_hand() -> None:
    centre, spread = dispersion(np.array([1.0, 2.0, 3.0, 6.0]))
    assert centre == 3.0
    assert spread == pytest.approx(math.sqrt(14 / 3))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-9, 1e9, -1 / 3])
def test_constant_values_have_no_deviation_at_all(value: float) -> None:
    assert dispersion(np.full(252, value)).deviation == 0.0


def test_an_overflowing_spread_is_undefined_and_not_infinite() -> None:
    assert volatility(np.array([1e200, -0.5] * 126), DAILY) == UNDEFINED


def test_volatility_is_annualised_by_the_root_of_the_periods() -> None:
    returns = np.array([0.01, -0.01] * 126)
    assert volatility(returns, DAILY).value == pytest.approx(0.01 * math.sqrt(252 / 251) * math.sqrt(252))
    assert volatility(returns, Annualisation(12.0, 7_000)).value == pytest.approx(
        0.01 * math.sqrt(252 / 251) * math.sqrt(12)
    )


def test_constant_returns_have_a_volatility_of_zero_which_is_a_figure() -> None:
    assert volatility(np.full(252, 0.1), DAILY) == (0.0, "ok")


def test_downside_deviation_counts_all_periods_and_not_only_the_losing_ones() -> None:
    returns = np.array([-0.02] + [0.01] * 99)
    assert downside_deviation(returns, DAILY).value == pytest.approx(math.sqrt(0.0004 / 100) * math.sqrt(252))


def test_downside_deviation_is_zero_without_a_shortfall_and_grows_with_what_is_demanded() -> None:
    assert downside_deviation(np.full(252, 0.001), DAILY) == (0.0, "ok")
    demanded = 1.002**252 - 1
    assert downside_deviation(np.full(252, 0.001), DAILY, demanded).value == pytest.approx(0.001 * math.sqrt(252))


@pytest.mark.parametrize("returns", [np.array([]), np.array([0.01]), noise(29)])
def test_a_short_window_has_no_annual_spread(returns: np.ndarray) -> None:
    assert volatility(returns, DAILY) == downside_deviation(returns, DAILY) == INSUFFICIENT


def test_a_bad_tick_that_left_the_window_leaves_nothing_behind() -> None:
    returns = np.concatenate([noise(252), [1e4], noise(252, seed=8)])
    assert volatility(returns[-252:], DAILY) == volatility(noise(252, seed=8), DAILY)


@given(factor=st.floats(1e-4, 1e4), shift=st.floats(-0.1, 0.1))
def test_volatility_scales_with_returns_and_ignores_a_shift(factor: float, shift: float) -> None:
    plain = volatility(noise(), DAILY).value
    changed = volatility(noise() * factor + shift, DAILY).value
    assert plain is not None
    assert changed == pytest.approx(plain * factor, rel=1e-6)
