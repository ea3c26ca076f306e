import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailstream.quant.arrays import INSUFFICIENT, NO_DOWNSIDE, RUINED, UNDEFINED, ZERO_VARIANCE, Figure
from tailstream.quant.performance import (
    calmar,
    excess_kurtosis,
    omega,
    profit_factor,
    sharpe,
    skewness,
    sortino,
    tail_ratio,
)
from tailstream.quant.returns import Annualisation

from .cases import noise

pytestmark = pytest.mark.filterwarnings("error")

DAILY = Annualisation(252.0, 365)
HALF_UP = np.array([0.02, -0.01] * 126)  # mean 0.005, every deviation 0.015


def test_sharpe_by_hand() -> None:
    assert sharpe(HALF_UP, DAILY).value == pytest.approx(0.005 / (0.015 * math.sqrt(252 / 251)) * math.sqrt(252))


def test_sharpe_takes_the_risk_free_rate_out_a_period_at_a_time() -> None:
    rate = 1.005**252 - 1
    assert sharpe(HALF_UP, DAILY, risk_free=rate).value == pytest.approx(0.0, abs=1e-9)


def test_sortino_by_hand() -> None:
    shortfall = math.sqrt(0.0001 / 2)
    assert sortino(HALF_UP, DAILY).value == pytest.approx(0.005 * 252 / (shortfall * math.sqrt(252)))


def test_constant_returns_have_no_sharpe_skewness_or_kurtosis() -> None:
    constant = np.full(252, 0.1)
    assert sharpe(constant, DAILY) == skewness(constant) == excess_kurtosis(constant) == ZERO_VARIANCE


def test_gains_alone_have_no_downside_to_be_divided_by() -> None:
    gains = np.abs(noise()) + 1e-6
    assert sortino(gains, DAILY) == omega(gains) == profit_factor(gains) == NO_DOWNSIDE


def test_a_shortfall_that_is_rounding_is_none() -> None:
    demanded = 1.0011**252 - 1
    returns = np.full(252, 0.0011)
    assert (returns < DAILY.per_period(demanded)).all()
    assert sortino(returns, DAILY, demanded) == NO_DOWNSIDE


def test_losses_alone_have_an_omega_of_zero_and_a_negative_sortino() -> None:
    losses = -np.abs(noise()) - 1e-6
    assert omega(losses) == (0.0, "ok")
    assert (sortino(losses, DAILY).value or 0.0) < 0.0


def test_omega_by_hand() -> None:
    returns = np.array([0.03, -0.01, 0.01, -0.01])
    assert omega(returns).value == pytest.approx(2.0)
    assert omega(returns, threshold=0.01).value == pytest.approx(0.02 / 0.04)
    assert profit_factor(returns).value == pytest.approx(2.0)


def test_calmar_divides_by_the_positive_depth_and_passes_a_missing_figure_on() -> None:
    assert calmar(Figure.of(0.2), Figure.of(0.4)).value == pytest.approx(0.5)
    assert calmar(Figure.of(0.2), Figure.of(0.0)) == NO_DOWNSIDE
    assert calmar(INSUFFICIENT, Figure.of(0.4)) == INSUFFICIENT
    assert calmar(Figure.of(0.2), RUINED) == RUINED


def test_skewness_and_kurtosis_by_hand() -> None:
    returns = np.array([0.0, 0.0, 0.0, 4.0])  # mean 1; m2 = 3, m3 = 6, m4 = 21
    assert skewness(returns).value == pytest.approx(math.sqrt(12) / 2 * 6 / 3**1.5)
    assert excess_kurtosis(returns).value == pytest.approx(3 / 2 * (5 * 21 / 9 - 9))


def test_a_shape_needs_three_and_four_observations() -> None:
    assert skewness(np.array([0.0, 1.0])) == INSUFFICIENT
    assert excess_kurtosis(np.array([0.0, 1.0, 3.0])) == INSUFFICIENT


def test_the_tail_ratio_interpolates_its_quantiles() -> None:
    returns = np.arange(-20.0, 81.0)  # 101 values: q05 = -15, q95 = 75
    assert tail_ratio(returns).value == pytest.approx(5.0)
    assert tail_ratio(np.array([-1.0, 2.0])).value == pytest.approx(1.85 / 0.85)


def test_the_tail_ratio_of_a_tail_at_zero_is_undefined() -> None:
    assert tail_ratio(np.zeros(100)) == UNDEFINED
    assert tail_ratio(np.array([0.01])) == INSUFFICIENT


def test_a_single_gap_makes_the_tail_ratio_undefined() -> None:
    returns = noise()
    returns[100] = np.nan
    assert tail_ratio(returns) == UNDEFINED


def test_an_overflow_never_hides_as_a_ratio_of_zero() -> None:
    wild = np.array([1e200, -0.01] * 126)
    assert sharpe(wild, DAILY) == skewness(wild) == excess_kurtosis(wild) == UNDEFINED


@given(factor=st.floats(1e-3, 1e3))
def test_ratios_do_not_depend_on_the_size_of_the_bet(factor: float) -> None:
    for measure in (skewness, excess_kurtosis, omega, tail_ratio):
        assert measure(noise() * factor).value == pytest.approx(measure(noise()).value, rel=1e-9)
    for annual in (sharpe, sortino):
        assert annual(noise() * factor, DAILY).value == pytest.approx(annual(noise(), DAILY).value, rel=1e-9)


@given(st.randoms(use_true_random=False))
def test_figures_that_know_no_time_do_not_depend_on_the_order(random) -> None:
    returns = noise().tolist()
    random.shuffle(returns)
    for measure in (skewness, excess_kurtosis, omega, tail_ratio):
        assert measure(np.array(returns)).value == pytest.approx(measure(noise()).value, rel=1e-9)


def test_mirrored_returns_mirror_the_skewness() -> None:
    assert skewness(-noise()).value == pytest.approx(-(skewness(noise()).value or 0.0))
    assert excess_kurtosis(-noise()).value == pytest.approx(excess_kurtosis(noise()).value)
