"""Contributions: they add up, whatever the book, and agree with hand arithmetic and another package."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailstream.quant.contribution import component_es, component_var_normal, difference, incremental, marginal
from tailstream.quant.scenarios import scenario_pnl
from tailstream.quant.var import Estimate, Historical, Normal

from .cases import LEVELS

pytestmark = pytest.mark.filterwarnings("error")

REFERENCES = Path(__file__).parent / "references"
SERIES = np.genfromtxt(REFERENCES / "backtest_series.csv", delimiter=",", names=True)
POSITIONS = np.stack([SERIES[f"position_{i}"] for i in range(3)])
with (REFERENCES / "contributions.csv").open(newline="") as file:
    ROWS = list(csv.DictReader(file))

HISTORICAL, NORMAL = Historical(minimum_observations=1), Normal(minimum_observations=2)

levels = st.integers(1, 999).map(lambda thousandths: thousandths / 1000)
rounded = st.integers(-5, 5).map(float)
books = st.tuples(st.integers(1, 4), st.integers(1, 30)).flatmap(
    lambda shape: st.lists(rounded, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda amounts: np.array(amounts).reshape(shape)
    )
)


def book(positions: int = 20, scenarios: int = 500) -> np.ndarray:
    """P&L (n, S) of long and short positions of very different sizes."""
    random = np.random.default_rng(9)
    sizes = random.lognormal(8.0, 2.0, (positions, 1)) * random.choice([-1.0, 1.0], (positions, 1))
    return sizes * random.standard_t(3, (positions, scenarios))


def total(pnl: np.ndarray) -> np.ndarray:
    return np.add.reduce(pnl, axis=0)


# component ES


def test_component_es_by_hand() -> None:
    # book -10, -6, -2, ... : at 85 % of ten scenarios the tail is the worst one and half of the next
    pnl = np.array([[-9.0, -1.0, 1.0, *[0.0] * 7], [-1.0, -5.0, -3.0, *[1.0] * 7]])
    assert component_es(pnl, 0.85) == pytest.approx([(9 + 0.5 * 1) / 1.5, (1 + 0.5 * 5) / 1.5])


def test_a_hedge_takes_risk_away() -> None:
    stock = np.linspace(-1.0, 1.0, 100)
    long, short = component_es(np.stack([stock, -0.4 * stock]), 0.95)
    assert (long, short) == (pytest.approx(HISTORICAL.estimate(stock, (0.95,)).es[0]), pytest.approx(-0.4 * long))


def test_a_tail_shorter_than_one_scenario_is_the_worst_one() -> None:
    assert component_es(np.array([[-3.0, 1.0], [-1.0, 2.0]]), 0.99).tolist() == [3.0, 1.0]


def test_scenarios_that_tie_at_the_var_share_what_is_left_of_the_tail() -> None:
    pnl = np.array([[-4.0, -2.0, 0.0, *[1.0] * 17], [0.0, -2.0, -4.0, *[1.0] * 17]])
    assert component_es(pnl, 0.95) == pytest.approx([2.0, 2.0])
    assert component_es(pnl, 0.90) == pytest.approx([2.0, 2.0])


@given(books, levels, st.randoms(use_true_random=False))
def test_the_order_of_the_scenarios_does_not_matter(pnl: np.ndarray, level: float, random) -> None:
    order = list(range(pnl.shape[1]))
    random.shuffle(order)
    assert component_es(pnl[:, order], level) == pytest.approx(component_es(pnl, level), rel=1e-12, abs=1e-12)


@given(books, levels)
def test_components_sum_to_the_historical_es_of_the_book(pnl: np.ndarray, level: float) -> None:
    (es,) = HISTORICAL.estimate(total(pnl), (level,)).es
    assert component_es(pnl, level).sum() == pytest.approx(es, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e9])
def test_components_of_a_large_book_are_additive_and_scale_with_money(level: float, unit: float) -> None:
    pnl = book() * unit
    (es,) = HISTORICAL.estimate(total(pnl), (level,)).es
    assert component_es(pnl, level).sum() == pytest.approx(es, rel=1e-12)
    assert component_es(pnl, level) == pytest.approx(component_es(book(), level) * unit, rel=1e-12)


def test_components_are_of_the_book_that_the_scenarios_measure_to_the_last_bit() -> None:
    exposures, returns = np.random.default_rng(3).normal(size=7), np.random.default_rng(4).normal(size=(7, 300))
    pnl = exposures[:, None] * returns
    np.testing.assert_array_equal(total(pnl), scenario_pnl(exposures, returns))


def test_a_component_is_the_derivative_of_es_by_the_size_of_its_position() -> None:
    step = 1e-6
    for place in range(3):
        sizes = np.where(np.arange(3) == place, step, 0.0)[:, None]
        high, low = (HISTORICAL.estimate(total(POSITIONS * (1 + s)), (0.975,)).es[0] for s in (sizes, -sizes))
        assert component_es(POSITIONS, 0.975)[place] == pytest.approx((high - low) / (2 * step), rel=1e-6)


# component VaR


def test_component_var_by_hand() -> None:
    # the book is 3, -3, 3, -3: covariances 4 and 8 of the positions with it, ddof 1 of 4 scenarios
    pnl = np.array([[1.0, -1.0, 1.0, -1.0], [2.0, -2.0, 2.0, -2.0]])
    z, sd = 1.6448536269514722, np.sqrt(4 * 9 / 3)
    assert component_var_normal(pnl, 0.95) == pytest.approx([z * 4 / sd, z * 8 / sd])


def test_component_var_is_the_quadratic_form_of_weights_and_covariance() -> None:
    exposures, returns = np.array([100.0, -40.0, 7.0]), np.random.default_rng(1).normal(0.01, 0.2, (3, 400))
    covariance = np.cov(returns)
    expected = 2.3263478740408408 * exposures * (covariance @ exposures) / np.sqrt(exposures @ covariance @ exposures)
    assert component_var_normal(exposures[:, None] * returns, 0.99) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e9])
def test_components_sum_to_the_normal_var_without_the_mean(level: float, unit: float) -> None:
    pnl = book() * unit
    estimate = NORMAL.estimate(total(pnl), (level,))
    components = component_var_normal(pnl, level)
    assert components is not None
    assert components.sum() == pytest.approx(estimate.var[0] + estimate.parameters["mean"], rel=1e-12)


def test_what_never_moves_adds_no_var() -> None:
    pnl = np.vstack([book(3), np.full(500, 1234.5)])
    components = component_var_normal(pnl, 0.99)
    assert components is not None
    assert abs(components[3]) < 1e-9
    assert components[:3] == pytest.approx(component_var_normal(pnl[:3], 0.99), rel=1e-9)


@pytest.mark.parametrize(
    "pnl",
    [np.zeros((2, 300)), np.full((2, 300), 0.1), np.stack([np.arange(300.0), -np.arange(300.0)]), np.ones((2, 1))],
    ids=["cash", "constant", "hedged", "one scenario"],
)
def test_a_book_that_does_not_vary_has_no_component_var(pnl: np.ndarray) -> None:
    assert component_var_normal(pnl, 0.99) is None


# both


@pytest.mark.parametrize("component", [component_es, component_var_normal])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_what_is_no_amount_of_money_is_refused(component, bad: float) -> None:
    pnl = book()
    pnl[4, 17] = bad
    with pytest.raises(ValueError, match="position_pnl: expected finite amounts of money in every scenario"):
        component(pnl, 0.99)


@pytest.mark.parametrize("component", [component_es, component_var_normal])
@pytest.mark.parametrize("shape", [(3, 0), (3,)])
def test_positions_without_scenarios_are_refused(component, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"position_pnl: expected positions by scenarios, at least one, was \(3,"):
        component(np.zeros(shape), 0.99)


def test_a_book_without_positions_has_no_components() -> None:
    assert component_es(np.empty((0, 300)), 0.99).shape == (0,)
    assert component_var_normal(np.empty((0, 300)), 0.99) is None


def test_minus_zero_is_zero() -> None:
    flat = np.vstack([book(2), np.zeros(500)])
    assert not np.signbit(component_es(np.zeros((2, 300)), 0.99)).any()
    assert not np.signbit(np.array(component_var_normal(flat, 0.3))[2])
    assert not np.signbit(marginal(np.zeros(1), np.full(1, -4.0)))[0]


# marginal and incremental


def test_marginal_is_what_one_more_unit_of_money_adds() -> None:
    returns = np.random.default_rng(2).standard_t(4, (3, 400))
    exposures = np.array([1e6, -3e5, 2e5])
    before = HISTORICAL.estimate(scenario_pnl(exposures, returns), (0.975,)).es[0]
    after = HISTORICAL.estimate(scenario_pnl(exposures + np.array([0.0, 1.0, 0.0]), returns), (0.975,)).es[0]
    slopes = marginal(component_es(exposures[:, None] * returns, 0.975), exposures)
    assert slopes[1] == pytest.approx(after - before, rel=1e-6)


def test_marginal_is_missing_where_nothing_is_exposed_or_too_little_to_divide_by() -> None:
    slopes = marginal(np.array([1.0, 0.0, 2.0, 1e9]), np.array([-4.0, 0.0, 0.0, 5e-324]))
    assert slopes == pytest.approx([-0.25, np.nan, np.nan, np.nan], nan_ok=True)


def test_incremental_by_hand() -> None:
    before = -np.arange(1.0, 101.0)
    result = incremental(HISTORICAL, before, before - 1.0, (0.95, 0.99))
    assert (result.before.var, result.after.var) == ((95.0, 99.0), (96.0, 100.0))
    assert result.var == (1.0, 1.0)
    assert result.es == pytest.approx((1.0, 1.0))


def test_a_trade_that_hedges_takes_risk_away_and_no_trade_changes_nothing() -> None:
    pnl = total(book())
    assert all(change < 0.0 for change in incremental(NORMAL, pnl, 0.5 * pnl, LEVELS).var)
    assert incremental(NORMAL, pnl, pnl, LEVELS).es == (0.0,) * 4


def test_without_one_of_the_estimates_there_is_no_difference() -> None:
    pnl = total(book())
    result = incremental(Historical(), pnl, np.append(pnl, np.nan), (0.99,))
    assert (result.before.status, result.after.status, result.var, result.es) == ("ok", "undefined", (None,), (None,))
    short = Estimate.missing("insufficient", "too short", (0.95, 0.99))
    assert difference(short, Estimate.of({}, (1.0, 2.0), (3.0, 4.0))).var == (None, None)


# another package


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['figure']} by {row['package']}" for row in ROWS])
def test_a_figure_agrees_with_another_package(row: dict[str, str]) -> None:
    name, place = row["figure"].rsplit("_", 1)
    component = {"component_es": component_es, "component_var_normal": component_var_normal}[name]
    components = component(POSITIONS, 0.975)
    assert components is not None
    assert components[int(place)] == pytest.approx(float(row["value"]), rel=1e-6)
