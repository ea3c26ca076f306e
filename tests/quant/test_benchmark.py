import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailstream.quant.arrays import INSUFFICIENT, RUINED, UNDEFINED, ZERO_VARIANCE, Figure, Floats
from tailstream.quant.benchmark import (
    alpha,
    beta,
    correlation,
    down_capture,
    information_ratio,
    tracking_error,
    up_capture,
)
from tailstream.quant.returns import Annualisation

from .cases import STATUSES, WINDOWS, YEAR, noise

pytestmark = pytest.mark.filterwarnings("error")

REFERENCES = Path(__file__).parent / "references"
DAILY = Annualisation(252.0, 365)
MARKET = np.array([0.02, -0.01] * 126)

FIGURES: dict[str, Callable[[Floats, Floats], Figure]] = {
    "beta": beta,
    "alpha": lambda r, b: alpha(r, b, DAILY),
    "correlation": correlation,
    "tracking_error": lambda r, b: tracking_error(r, b, DAILY),
    "information_ratio": lambda r, b: information_ratio(r, b, DAILY),
    "up_capture": up_capture,
    "down_capture": down_capture,
}
every_figure = pytest.mark.parametrize("name", FIGURES)


@every_figure
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("turned", [False, True], ids=["portfolio", "benchmark"])
def test_every_case_gives_a_finite_value_or_a_reason(name: str, window: str, turned: bool) -> None:
    pair = (WINDOWS[window], noise(WINDOWS[window].size, seed=3))
    value, status = FIGURES[name](*(pair[::-1] if turned else pair))
    assert status in STATUSES
    assert (value is not None) == (status == "ok")
    assert value is None or (type(value) is float and math.isfinite(value))


@every_figure
def test_nothing_is_known_of_no_periods(name: str) -> None:
    assert FIGURES[name](np.array([]), np.array([])) == INSUFFICIENT


def test_twice_the_market_and_a_premium_by_hand() -> None:
    returns = 2.0 * MARKET + 0.001
    assert beta(returns, MARKET).value == pytest.approx(2.0)
    assert correlation(returns, MARKET).value == pytest.approx(1.0)
    assert alpha(returns, MARKET, DAILY).value == pytest.approx(0.252)


def test_alpha_is_of_the_returns_beyond_the_risk_free_rate() -> None:
    rate = 1.0002**252 - 1  # 0.0002 a period; the excess of twice the market is less than twice the market's excess
    assert alpha(2.0 * MARKET, MARKET, DAILY, risk_free=rate).value == pytest.approx(0.0002 * 252)


def test_the_difference_to_the_benchmark_by_hand() -> None:
    returns = MARKET + np.array([0.003, -0.001] * 126)  # mean 0.001, every deviation 0.002
    spread = 0.002 * math.sqrt(252 / 251)
    assert tracking_error(returns, MARKET, DAILY).value == pytest.approx(spread * math.sqrt(252))
    assert information_ratio(returns, MARKET, DAILY).value == pytest.approx(0.001 / spread * math.sqrt(252))


def test_capture_compares_geometric_means_over_the_benchmarks_gains_and_losses() -> None:
    benchmark = np.array([0.10, 0.21, -0.10, 0.0])
    returns = np.array([0.05, 0.05, -0.05, 0.5])
    up = 0.05 / (math.sqrt(1.10 * 1.21) - 1)
    assert up_capture(returns, benchmark).value == pytest.approx(up)
    assert down_capture(returns, benchmark).value == pytest.approx(0.5)


def test_a_gain_while_the_benchmark_loses_is_a_negative_capture() -> None:
    assert down_capture(np.array([0.05]), np.array([-0.10])).value == pytest.approx(-0.5)


def test_a_benchmark_that_never_gains_or_loses_captures_nothing() -> None:
    assert up_capture(MARKET, np.full(YEAR, -0.01)) == UNDEFINED
    assert down_capture(MARKET, np.full(YEAR, 0.01)) == UNDEFINED


def test_a_ruined_portfolio_captures_nothing() -> None:
    assert down_capture(np.array([0.1, -1.0]), np.array([0.1, -0.1])) == RUINED


def test_a_constant_benchmark_has_no_beta_alpha_or_correlation() -> None:
    constant = np.full(YEAR, 0.1)
    assert beta(MARKET, constant) == alpha(MARKET, constant, DAILY) == ZERO_VARIANCE
    assert correlation(MARKET, constant) == correlation(constant, MARKET) == ZERO_VARIANCE


def test_a_constant_lead_has_no_information_ratio() -> None:
    assert information_ratio(MARKET + 0.001, MARKET, DAILY) == ZERO_VARIANCE
    assert tracking_error(MARKET + 0.001, MARKET, DAILY).value == 0.0


def test_a_good_month_is_not_a_year() -> None:
    month = Annualisation(252.0, 30)
    assert alpha(MARKET[:21], MARKET[:21], month) == INSUFFICIENT
    assert tracking_error(MARKET[:21], MARKET[:21], month) == information_ratio(MARKET, MARKET, month) == INSUFFICIENT
    assert beta(MARKET[:21], MARKET[:21]).value == pytest.approx(1.0)


@given(st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)), min_size=2, max_size=40).map(np.array))
def test_correlation_is_the_same_either_way_and_between_minus_one_and_one(pairs: Floats) -> None:
    ours, theirs = pairs.T
    found = correlation(ours, theirs)
    assert found == correlation(theirs, ours)
    assert found.value is None or -1.0 <= found.value <= 1.0


@given(st.floats(0.1, 5.0), st.floats(-0.01, 0.01))
def test_beta_scales_with_the_portfolio_and_ignores_a_constant(scale: float, constant: float) -> None:
    returns = noise()
    expected = beta(returns, MARKET).value
    assert expected is not None
    assert beta(scale * returns + constant, MARKET).value == pytest.approx(scale * expected, abs=1e-9)


RETURNS, BENCHMARK = np.loadtxt(REFERENCES / "benchmark_returns.csv", skiprows=1, delimiter=",").T
with (REFERENCES / "benchmark.csv").open(newline="") as file:
    ROWS = list(csv.DictReader(file))


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['figure']} by {row['package']}" for row in ROWS])
def test_a_figure_agrees_with_another_package(row: dict[str, str]) -> None:
    figures = FIGURES | {"alpha": lambda r, b: alpha(r, b, DAILY, risk_free=0.02)}
    assert figures[row["figure"]](RETURNS, BENCHMARK).value == pytest.approx(float(row["value"]), rel=1e-9)
