"""Options: hand arithmetic, bounds, the volatility back from the price, QuantLib, and returns by revaluation."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailstream.quant.options import PERIOD_YEARS, Option, QuotedOption, greeks, implied_volatility, price

pytestmark = pytest.mark.filterwarnings("error")

with (Path(__file__).parent / "references" / "options.csv").open(newline="") as file:
    ROWS = list(csv.DictReader(file))

CALL, PUT = Option("call", 100.0), Option("put", 100.0)
RIGHTS = st.sampled_from(["call", "put"])
RATES = st.floats(-0.05, 0.2)
options = st.builds(Option, RIGHTS, st.floats(20.0, 500.0), RATES, RATES)
years = st.floats(1 / 365, 10.0)
volatilities = st.floats(0.01, 2.0)


def one(option: Option, spot: float, time: float, volatility: float) -> float:
    return float(price(option, np.array([spot]), time, volatility)[0])


def quoted(option: Option, spot: float = 100.0, time: float = 0.5, volatility: float = 0.25) -> QuotedOption:
    made = QuotedOption.of(option, one(option, spot, time, volatility), spot, time)
    assert made is not None
    return made


def of_row(row: dict[str, str]) -> tuple[Option, float, float, float]:
    spot, strike, time, volatility, rate, yields = (
        float(row[name]) for name in ("spot", "strike", "years", "volatility", "rate", "dividend_yield")
    )
    return Option("call" if row["right"] == "call" else "put", strike, rate, yields), spot, time, volatility


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['right']} at {row['strike']}" for row in ROWS])
def test_price_delta_and_gamma_agree_with_quantlib(row: dict[str, str]) -> None:
    option, spot, time, volatility = of_row(row)
    assert one(option, spot, time, volatility) == pytest.approx(float(row["price"]), rel=1e-9, abs=1e-12 * spot)
    slopes = greeks(option, spot, time, volatility)
    assert slopes.delta == pytest.approx(float(row["delta"]), rel=1e-9, abs=1e-14)
    assert slopes.gamma == pytest.approx(float(row["gamma"]), rel=1e-9, abs=1e-14 / spot)


def test_an_option_at_the_money_by_hand() -> None:
    deviation = 0.2
    by_hand = 100.0 * math.erf(deviation / 2 / math.sqrt(2))  # S (2 N(s/2) - 1)
    assert one(CALL, 100.0, 1.0, 0.2) == one(PUT, 100.0, 1.0, 0.2) == pytest.approx(by_hand, rel=1e-14)


@given(options, st.floats(20.0, 500.0), years, volatilities)
def test_a_call_less_a_put_is_the_forward(option: Option, spot: float, time: float, volatility: float) -> None:
    call, put = option._replace(right="call"), option._replace(right="put")
    forward = spot * option.carry(time) - option.strike * option.discount(time)
    apart = one(call, spot, time, volatility) - one(put, spot, time, volatility)
    assert apart == pytest.approx(forward, abs=1e-12 * (spot + option.strike))


@pytest.mark.parametrize("time", [0.0, -1.0])
def test_at_and_after_expiry_there_is_the_intrinsic_value_alone(time: float) -> None:
    spots = np.array([0.0, 80.0, 100.0, 130.0])
    assert price(CALL, spots, time, 0.3).tolist() == [0.0, 0.0, 0.0, 30.0]
    assert price(PUT, spots, time, 0.3).tolist() == [100.0, 20.0, 0.0, 0.0]
    assert greeks(CALL, 130.0, time, 0.3) == (1.0, 0.0)
    assert greeks(PUT, 130.0, time, 0.3) == (0.0, 0.0)


def test_without_volatility_there_is_the_discounted_value_of_the_forward() -> None:
    option = Option("call", 100.0, rate=0.1)
    assert one(option, 100.0, 1.0, 0.0) == 100.0 - 100.0 * math.exp(-0.1)
    assert greeks(option, 100.0, 1.0, 0.0) == (1.0, 0.0)


@pytest.mark.parametrize("spot", [0.0, -50.0])
def test_a_worthless_underlying_leaves_a_call_nothing_and_a_put_its_discounted_strike(spot: float) -> None:
    assert one(CALL._replace(rate=0.1), spot, 2.0, 0.3) == 0.0
    assert one(PUT._replace(rate=0.1), spot, 2.0, 0.3) == pytest.approx(100.0 * math.exp(-0.2), rel=1e-15)


@given(options, st.floats(20.0, 500.0), years, volatilities)
def test_no_price_leaves_the_bounds_of_arbitrage(option: Option, spot: float, time: float, volatility: float) -> None:
    asset, strike = spot * option.carry(time), option.strike * option.discount(time)
    worth = one(option, spot, time, volatility)
    assert max(option.sign * (asset - strike), 0.0) <= worth <= (asset if option.right == "call" else strike)


def test_the_volatility_that_made_a_price_comes_back() -> None:
    for volatility in (0.01, 0.2, 0.8, 3.0):
        worth = one(CALL, 101.0, 0.4, volatility)
        assert implied_volatility(CALL, worth, 101.0, 0.4) == pytest.approx(volatility, rel=1e-9)


@settings(max_examples=300)
@given(options, st.floats(1.0, 5_000.0), st.floats(1 / 3650, 30.0), st.floats(0.001, 5.0))
def test_the_implied_volatility_gives_the_price_back(
    option: Option, spot: float, time: float, volatility: float
) -> None:
    worth = one(option, spot, time, volatility)
    implied = implied_volatility(option, worth, spot, time)
    if implied is None:  # so far out that the price rounds to the upper bound
        bound = spot * option.carry(time) if option.right == "call" else option.strike * option.discount(time)
        assert worth == pytest.approx(bound, rel=1e-13)
    else:
        assert one(option, spot, time, implied) == pytest.approx(worth, rel=1e-10, abs=1e-13 * (spot + option.strike))


@pytest.mark.parametrize("worth", [1e-300, 1e-100, 1e-30, 1e-6])
def test_a_price_far_out_of_the_money_still_says_its_volatility(worth: float) -> None:
    implied = implied_volatility(CALL, worth, 20.0, 0.1)
    assert implied is not None
    assert one(CALL, 20.0, 0.1, implied) == pytest.approx(worth, rel=1e-9)


@pytest.mark.parametrize(
    ("option", "worth", "spot", "time"),
    [
        (CALL, 19.9, 120.0, 1.0),  # below what exercising is worth
        (CALL, 120.0, 120.0, 1.0),  # as dear as the underlying
        (CALL, 121.0, 120.0, 1.0),
        (PUT, 100.0, 120.0, 1.0),  # as dear as the strike
        (PUT, -1.0, 120.0, 1.0),
        (CALL, math.nan, 120.0, 1.0),
        (CALL, 30.0, math.inf, 1.0),
        (CALL, 30.0, 0.0, 1.0),
        (CALL, 30.0, 120.0, 0.0),  # expired
        (CALL._replace(rate=-2.0), 30.0, 120.0, 1_000.0),  # a strike that overflows
        (CALL, 1e-250, 1e-300, 1.0),
    ],
)
def test_a_price_that_no_volatility_explains_has_none(option: Option, worth: float, spot: float, time: float) -> None:
    assert implied_volatility(option, worth, spot, time) is None
    assert QuotedOption.of(option, worth, spot, time) is None


@pytest.mark.parametrize("off", [0.0, 1e-13, -1e-13])
def test_a_price_at_its_lower_bound_has_no_volatility_but_for_rounding(off: float) -> None:
    assert implied_volatility(CALL, 20.0 + off, 120.0, 1.0) == 0.0


def test_an_option_that_costs_nothing_has_no_return() -> None:
    assert implied_volatility(CALL, 0.0, 80.0, 1.0) == 0.0
    assert QuotedOption.of(CALL, 0.0, 80.0, 1.0) is None


def test_full_revaluation_is_the_price_at_the_moved_spot_a_period_later() -> None:
    held = quoted(CALL)
    moved = held.revalued(np.array([-0.3, 0.0, 0.2]), PERIOD_YEARS)
    by_hand = [one(CALL, spot, 0.5 - 1 / 252, 0.25) / held.premium - 1.0 for spot in (70.0, 100.0, 120.0)]
    assert moved == pytest.approx(by_hand, rel=1e-9)
    assert moved[1] < 0.0  # what a day costs


def test_an_option_that_expires_before_the_period_ends_is_worth_its_intrinsic_value_then() -> None:
    held = quoted(PUT, time=0.5 / 252)
    assert held.revalued(np.array([-0.2, 0.2]), PERIOD_YEARS) == pytest.approx([20.0 / held.premium - 1.0, -1.0])


@pytest.mark.parametrize("option", [CALL, PUT])
def test_delta_gamma_is_near_full_revaluation_for_a_small_move_and_far_for_a_crash(option: Option) -> None:
    held = quoted(option)
    moves = np.array([-0.01, 0.0, 0.01, -0.4])
    gap = np.abs(held.delta_gamma(moves, 0.0) - held.revalued(moves, 0.0))
    assert gap[:3] == pytest.approx(np.zeros(3), abs=2e-3)
    assert gap[1] == pytest.approx(0.0, abs=1e-12)
    assert gap[3] > 0.3


def test_delta_gamma_by_hand() -> None:
    held, slopes = quoted(CALL), greeks(CALL, 100.0, 0.5, 0.25)
    by_hand = (slopes.delta * 5.0 + slopes.gamma * 25.0 / 2.0) / held.premium
    assert held.delta_gamma(np.array([0.05]), 0.0)[0] == pytest.approx(by_hand, rel=1e-8)


@pytest.mark.parametrize("option", [CALL, PUT])
def test_a_missing_return_stays_missing_and_a_loss_of_more_than_all_counts_as_all(option: Option) -> None:
    held = quoted(option)
    moved = held.revalued(np.array([np.nan, -1.0, -1.5]), PERIOD_YEARS)
    assert np.isnan(moved[0])
    assert moved[1] == moved[2]
    assert np.isnan(held.delta_gamma(np.array([np.nan]), 0.0)[0])


@pytest.mark.parametrize("scale", [1e-6, 1e9])
def test_the_unit_of_money_changes_no_return(scale: float) -> None:
    moves = np.array([-0.1, 0.05])
    here = quoted(CALL)
    there = QuotedOption.of(Option("call", 100.0 * scale), here.premium * scale, 100.0 * scale, 0.5)
    assert there is not None
    assert there.revalued(moves, PERIOD_YEARS) == pytest.approx(here.revalued(moves, PERIOD_YEARS), rel=1e-9)
    assert there.delta_gamma(moves, PERIOD_YEARS) == pytest.approx(here.delta_gamma(moves, PERIOD_YEARS), rel=1e-9)
