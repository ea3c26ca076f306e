"""Risk against what came: actual and hypothetical P&L by hand, hits, exceptions, the traffic light."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from contracts.event import Status
from contracts.risk import Outcome, RiskBacktested
from tailstream.quant.arrays import Floats
from tailstream.quant.var import Estimate, Historical
from tests.engines import log
from tests.engines.log import Log, Replica

pytestmark = pytest.mark.filterwarnings("error")

P_AND_L = ("actual_pnl", "hypothetical_pnl")


def newest(of: Log, name: str = "a") -> RiskBacktested:
    """The newest backtest of ``name``."""
    return log.backtested(log.measured(log.risk(), of), name)[-1]


def gained(event: RiskBacktested) -> tuple[float | None, float | None]:
    """Actual and hypothetical P&L."""
    return event.actual_pnl.value, event.hypothetical_pnl.value


def statuses(event: RiskBacktested) -> tuple[str, str]:
    """Of actual and hypothetical P&L."""
    return event.actual_pnl.status, event.hypothetical_pnl.status


def outcome(event: RiskBacktested, method: str, level: str, kind: str) -> Outcome:
    """How the method did."""
    return getattr(event.methods[method].levels[level], kind)  # type: ignore[no-any-return]


def opened(*names: str, price: float = 100.0, positions: float = 10.0, cash: float = 1_000.0) -> Log:
    """The first close of a book of so many of each instrument, and money."""
    of = Log()
    of.instruments(*names)
    of.book("a", dict.fromkeys(names, positions), USD=cash)
    of.close_at(dict.fromkeys(names, price))
    return of


# -- actual and hypothetical P&L -------------------------------------------------------------------------------------


def test_before_the_first_close_nothing_was_gained_and_nothing_was_forecast() -> None:
    event = newest(opened("A"))
    assert (event.forecast_period, gained(event), statuses(event)) == (None, (None, None), ("insufficient",) * 2)
    assert event.methods["historical"].levels["0.99"].observations == 0
    assert outcome(event, "average", "0.99", "actual").hit is None


def test_without_trades_both_are_the_gain_of_what_is_held() -> None:
    of = opened("A")
    of.close(A=110.0)
    event = newest(of)
    assert event.forecast_period == log.period(0)
    assert gained(event) == (100.0, 100.0)


def test_a_trade_a_fee_and_a_deposit_make_them_differ_by_what_the_trade_gained_less_the_fee() -> None:
    of = opened("A")
    bought, paid, fee, deposit = 5.0, 108.0, 7.0, 300.0
    of.hold("a", {"A": 10.0 + bought}, flow=deposit, USD=1_000.0 - bought * paid - fee + deposit)
    of.close(A=110.0)
    actual, static = gained(newest(of))
    assert static == 10 * (110 - 100)
    assert actual == static + bought * (110 - paid) - fee == 103.0


def test_a_withdrawal_is_no_loss() -> None:
    of = opened("A")
    of.hold("a", {"A": 10.0}, flow=-900.0, USD=100.0)
    of.close(A=99.0)
    assert gained(newest(of)) == (-10.0, -10.0)


def test_a_short_position_gains_from_a_fall_and_covering_it_ends_that() -> None:
    of = opened("A", positions=-10.0, cash=3_000.0)
    of.hold("a", {"A": -4.0}, USD=3_000.0 - 6 * 95.0)
    of.close(A=80.0)
    assert gained(newest(of)) == (6 * (100 - 95) + 4 * (100 - 80), 10 * (100 - 80))


def test_money_abroad_gains_by_its_rate_and_what_was_exchanged_in_between_does_not() -> None:
    of = Log()
    of.instruments("fx:EURUSD")
    of.instruments("E", currency="EUR")
    of.book("a", {"E": 2.0}, EUR=100.0, USD=50.0)
    of.close_at({"E": 10.0, "fx:EURUSD": 1.0})
    of.hold("a", {"E": 2.0}, EUR=0.0, USD=50.0 + 100 * 1.125)
    of.close_at({"E": 12.0, "fx:EURUSD": 1.25})
    of_stock = 2 * (12 * 1.25 - 10)
    assert gained(newest(of)) == (of_stock + 100 * 0.125, of_stock + 100 * 0.25)


def test_a_euro_portfolio_counts_in_euros() -> None:
    of = Log()
    of.instruments("A", "fx:EURUSD")
    of.portfolio("a", base="EUR")
    of.hold("a", {"A": 10.0}, EUR=5.0)
    of.close_at({"A": 100.0, "fx:EURUSD": 1.0})
    of.hold("a", {"A": 10.0}, flow=20.0, EUR=25.0)
    of.close_at({"A": 100.0, "fx:EURUSD": 1.25})
    assert gained(newest(of)) == (pytest.approx(-200.0), pytest.approx(-200.0))


def test_what_a_joining_member_brings_along_is_no_gain_of_its_desk() -> None:
    of = Log()
    of.instruments("A", "B")
    of.portfolio("x")
    for name, held in (("a", "A"), ("b", "B")):
        of.portfolio(name, parent="x" if name == "a" else None)
        of.hold(name, {held: 10.0})
    of.close(A=100.0, B=50.0)
    of.portfolio("b", parent="x")
    of.close(A=103.0, B=60.0)
    assert gained(newest(of, "x")) == (30.0, 30.0)
    of.close(A=103.0, B=61.0)
    assert gained(newest(of, "x")) == (10.0, 10.0)


def test_what_a_leaving_member_takes_along_is_no_loss_though_its_holdings_are_followed_once_more() -> None:
    of = Log()
    of.instruments("A", "B")
    of.portfolio("x")
    for name, held in (("a", "A"), ("b", "B")):
        of.portfolio(name, parent="x")
        of.hold(name, {held: 10.0})
    of.close(A=100.0, B=50.0)
    of.portfolio("b")
    of.close(A=103.0, B=60.0)
    assert gained(newest(of, "x")) == (30.0, 130.0)


def test_without_a_price_both_are_unpriced_and_there_is_no_observation() -> None:
    of = opened("A", "B")
    for day in range(3):
        of.close(A=100.0 + day, B=100.0 - day)
    before = newest(of)
    for _ in range(3):
        of.close(A=100.0)
    event = newest(of)
    assert (gained(event), statuses(event)) == ((None, None), (Status.UNPRICED,) * 2)
    assert outcome(event, "historical", "0.99", "hypothetical").hit is None
    assert before.methods["historical"].levels["0.99"].observations == 1


def test_holdings_that_lost_their_price_spoil_the_hypothetical_p_and_l_alone() -> None:
    of = opened("A", "B")
    for _ in range(2):
        of.close(A=100.0)
    of.hold("a", {"A": 20.0}, USD=1_000.0)
    of.close(A=101.0)
    event = newest(of)
    assert event.hypothetical_pnl.status == Status.UNPRICED
    assert event.actual_pnl.value == 20.0


def test_a_portfolio_that_held_nothing_at_the_close_before_has_no_forecast_to_be_tested() -> None:
    of = opened("A")
    of.close(A=90.0)
    of.tombstone("a", log.HOLDINGS)
    of.close(A=90.0)
    of.hold("a", {"A": 1.0}, version=9)
    of.close(A=50.0)
    event = newest(of)
    assert event.forecast_period is None
    assert (gained(event), statuses(event)) == ((None, None), (Status.INSUFFICIENT,) * 2)
    assert outcome(event, "historical", "0.99", "actual").hit is None


def test_a_portfolio_that_was_closed_for_a_day_is_tested_again_from_its_second_close_on() -> None:
    of = opened("A")
    of.close(A=90.0)
    of.tombstone("a")
    of.close(A=90.0)
    of.portfolio("a")
    of.close(A=95.0)
    assert (newest(of).forecast_period, statuses(newest(of))) == (None, (Status.INSUFFICIENT,) * 2)
    of.close(A=96.0)
    assert (newest(of).forecast_period, gained(newest(of))) == (log.period(3), (10.0, 10.0))


def test_a_forecast_in_dollars_is_not_held_against_a_gain_in_euros() -> None:
    """The book gains 300 euros at the close at which it counts in them: dollars became dearer."""
    of = Log()
    of.instruments("A", "fx:EURUSD")
    of.book("a", {"A": 10.0}, USD=500.0)
    for price in (90.0, 110.0, 100.0, 100.0):
        of.close_at({"A": price, "fx:EURUSD": 1.25})
    of.portfolio("a", base="EUR")
    of.close_at({"A": 100.0, "fx:EURUSD": 1.0})
    event = newest(of)
    assert (event.currency, gained(event), event.forecast_period) == ("EUR", (300.0, 300.0), None)
    assert outcome(event, "historical", "0.99", "actual").hit is None
    assert event.methods["historical"].levels["0.99"].observations == 1
    of.close_at({"A": 90.0, "fx:EURUSD": 1.0})
    assert newest(of).methods["historical"].levels["0.99"].observations == 2


# -- hits and exceptions ---------------------------------------------------------------------------------------------


def two_days(*returns: float) -> Log:
    """A gain of 1 %, a loss of 2 %, and then ``returns`` of ten A."""
    of = opened("A", cash=0.0)
    price = 100.0
    for r in (0.01, -0.02, *returns):
        price *= 1 + r
        of.close(A=price)
    return of


def test_a_loss_of_five_per_cent_is_beyond_the_var_of_two_days_but_for_the_normal_one_at_99() -> None:
    event = newest(two_days(-0.05))
    hit = {
        (method, level): outcome(event, method, level, "hypothetical").hit
        for method in event.methods
        for level in ("0.95", "0.99")
    }
    normal_95, normal_99 = (0.005 + z * 0.03 / math.sqrt(2) for z in (1.6449, 2.3263))
    assert normal_95 < 0.05 < normal_99
    assert {key for key, was in hit.items() if not was} == {("normal", "0.99")}


def test_a_loss_that_was_traded_away_is_a_hit_of_the_hypothetical_p_and_l_alone() -> None:
    of = two_days()
    of.hold("a", USD=10 * 100 * 1.01 * 0.98)
    of.close(A=100 * 1.01 * 0.98 * 0.95)
    event = newest(of)
    both = [outcome(event, "historical", "0.99", kind) for kind in ("actual", "hypothetical")]
    assert [(of_kind.hit, of_kind.exceptions) for of_kind in both] == [(False, 0), (True, 1)]
    assert event.methods["historical"].levels["0.99"].observations == 1


def test_a_loss_as_large_as_var_is_no_hit() -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 1.0}, USD=64.0)
    for price in (64.0, 128.0, 64.0, 32.0):
        of.close(A=price)
    first = outcome(newest(of), "historical", "0.99", "actual")
    assert (first.hit, first.exceptions) == (False, 0)
    of.close(A=15.9)
    assert outcome(newest(of), "historical", "0.99", "actual").hit is True


def test_a_var_that_is_a_gain_is_missed_by_a_smaller_gain() -> None:
    of = opened("A", cash=0.0)
    for price in (104.0, 110.0, 111.0):
        of.close(A=price)
    assert outcome(newest(of), "historical", "0.99", "actual").hit is True


def test_exceptions_leave_the_window_with_their_close() -> None:
    of = two_days(-0.05, *[0.0] * 4)
    backtests = log.backtested(log.measured(log.risk(window=10), of), "a")
    counted = [outcome(event, "historical", "0.95", "actual").exceptions for event in backtests]
    seen = [event.methods["historical"].levels["0.95"].observations for event in backtests]
    assert counted == [0, 0, 0, 1, 1, 1, 0, 0]
    assert seen == [0, 0, 0, 1, 2, 3, 3, 3]


def traded(closes: int, seed: int) -> Log:
    """A book that trades, pays fees and takes deposits in between, over so many closes."""
    random = np.random.default_rng(seed)
    of = opened("A", "B")
    prices = {"A": 100.0, "B": 100.0}
    for day in range(closes - 1):
        if day % 2:
            held = {name: float(random.integers(-5, 20)) for name in prices}
            of.hold("a", held, flow=float(random.integers(-50, 50)), USD=float(random.integers(500, 3_000)))
        prices = {name: price * float(np.exp(0.03 * random.standard_t(4))) for name, price in prices.items()}
        of.close_at(prices)
    return of


def observations(replica: Replica, method: str, level: str, kind: str) -> Iterator[tuple[float, float, float]]:
    """(P&L, VaR, ES) of every close that has both, from what was published; in money."""
    pairs = zip(log.risked(replica, "a")[:-1], log.backtested(replica, "a")[1:], strict=True)
    for forecast, came in pairs:
        tail = forecast.methods[method].levels[level]
        gain = getattr(came, kind).value
        nav = forecast.nav.value or 1.0
        if gain is not None and tail.var is not None and tail.es is not None:
            yield gain / nav, tail.var / nav, tail.es / nav


def kupiec(exceptions: int, total: int, p: float) -> float:
    """The likelihood ratio, written as the paper has it; no exception makes a power of 0."""
    null = (1 - p) ** (total - exceptions) * p**exceptions
    share = exceptions / total
    return float(-2 * math.log(null / ((1 - share) ** (total - exceptions) * share**exceptions)))


@pytest.mark.parametrize("seed", [1, 2])
def test_tests_of_every_method_and_level_are_those_of_a_loop_over_what_was_published(seed: int) -> None:
    window = 20
    replica = log.measured(log.risk(window=12, backtest_window=window), traded(28, seed))
    event = log.backtested(replica, "a")[-1]
    differ = 0
    for method, of_method in event.methods.items():
        for level, of_level in of_method.levels.items():
            for kind in ("actual", "hypothetical"):
                found = list(observations(replica, method, level, f"{kind}_pnl"))[-window:]
                assert of_level.observations == len(found) == window
                assert_tested_as(getattr(of_level, kind), found, 1 - float(level))
            differ += of_level.actual.tick_loss != of_level.hypothetical.tick_loss
    assert differ == 8


def assert_tested_as(outcome: Outcome, found: Sequence[tuple[float, float, float]], p: float) -> None:
    """An outcome has the figures of a plain loop."""
    hits = [gain < -var for gain, var, _ in found]
    tick = [(p - hit) * (gain + var) for hit, (gain, var, _) in zip(hits, found, strict=True)]
    judged = [(hit, gain, var, es) for hit, (gain, var, es) in zip(hits, found, strict=True) if es > 0]
    fz0 = [hit * (-var - gain) / (p * es) + var / es + math.log(es) - 1 for hit, gain, var, es in judged]
    z2 = 1 + sum(gain * hit / es for hit, gain, _, es in judged) / (len(judged) * p)
    assert (outcome.hit, outcome.exceptions) == (hits[-1], sum(hits))
    assert outcome.kupiec == pytest.approx(kupiec(sum(hits), len(hits), p), abs=1e-6)
    assert outcome.tick_loss == pytest.approx(np.mean(tick), rel=1e-9)
    assert outcome.fz0_loss == pytest.approx(np.mean(fz0), rel=1e-9)
    assert outcome.z2 == pytest.approx(z2, abs=1e-6)
    assert outcome.conditional_coverage is not None
    assert outcome.independence is not None
    assert outcome.conditional_coverage == pytest.approx(outcome.kupiec + outcome.independence, abs=2e-6)


def test_a_book_without_wealth_is_tested_in_money() -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 10.0}, USD=-2_000.0)
    for price in (100.0, 101.0, 99.0, 90.0):
        of.close(A=price)
    event = newest(of)
    assert gained(event) == (-90.0, -90.0)
    assert outcome(event, "historical", "0.99", "actual").hit is True


# -- the traffic light -----------------------------------------------------------------------------------------------

DROPS = range(20, 140, 20)
"""The six closes at which A falls, after it was sold in book a and not in book b."""
OBSERVATIONS = 250


def traffic(gap: int | None = None) -> Log:
    """Ever greater gains of A but for six drops, before which book a sells it for more; no price at a ``gap``."""
    of = Log()
    of.instruments("A")
    price, money = 100.0, 0.0
    for name in ("a", "b"):
        of.book(name, {"A": 1.0})
    for day in range(OBSERVATIONS + 16):
        sold = 1.05 * price
        price *= 0.95 if day in DROPS else 1.01 + day * 1e-5
        if day in DROPS:
            of.hold("a", USD=money + sold)
        of.close_at({} if day == gap else {"A": price})
        if day in DROPS:
            money += sold - price
            of.hold("a", {"A": 1.0}, USD=money)
    return of


@pytest.fixture(scope="module")
def lights() -> Replica:
    return log.measured(log.risk(backtest_window=OBSERVATIONS), traffic())


def test_the_light_appears_at_250_observations_and_not_before(lights: Replica) -> None:
    for name in ("a", "b"):
        for event in log.backtested(lights, name):
            method = event.methods["historical"]
            enough = method.levels["0.99"].observations == OBSERVATIONS
            assert (method.traffic_light is not None) == (method.multiplier is not None) == enough
    assert log.backtested(lights, "b")[OBSERVATIONS + 2].methods["historical"].traffic_light is not None
    assert log.backtested(lights, "b")[OBSERVATIONS + 1].methods["historical"].traffic_light is None


def test_the_light_is_of_the_larger_count(lights: Replica) -> None:
    for name, actual in (("a", 0), ("b", len(DROPS))):
        method = log.backtested(lights, name)[-1].methods["historical"]
        counts = [of_kind.exceptions for of_kind in (method.levels["0.99"].actual, method.levels["0.99"].hypothetical)]
        assert counts == [actual, len(DROPS)]
        assert (method.traffic_light, method.multiplier) == ("amber", 1.76)


class Failing(Historical):
    """The historical method, which fails at the close of a drop."""

    def estimate(self, pnl: Floats, levels: Sequence[float]) -> Estimate:
        if pnl.size and pnl[-1] < 0:
            raise FloatingPointError("a drop")
        return super().estimate(pnl, levels)


def test_the_light_is_of_the_last_250_observations_however_many_closes_they_took() -> None:
    """A close without a price, and those at which the method failed, cost the light nothing but a later start."""
    gap = 200
    asked = log.risk(backtest_window=OBSERVATIONS, stale=0, measured_by={"historical": Failing(2)})
    tests = log.backtested(log.measured(asked, traffic(gap=gap)), "b")
    missing = [event.methods["historical"].levels["0.99"].actual.hit is None for event in tests]
    assert [day for day, yes in enumerate(missing) if yes] == [0, 1, 2, *(day + 1 for day in DROPS), gap, gap + 1]
    first = OBSERVATIONS - 1 + sum(missing)
    lit = [event.methods["historical"].traffic_light for event in tests]
    assert lit == [None] * first + ["amber"] * (len(tests) - first)


def test_every_backtest_is_of_the_measurement_of_the_close_before(lights: Replica) -> None:
    risks, tests = log.risked(lights, "a"), log.backtested(lights, "a")
    assert [event.forecast_period for event in tests] == [None, *(event.period for event in risks[:-1])]
