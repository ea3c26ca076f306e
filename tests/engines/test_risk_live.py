"""Risk between closes: all books at once, and what that must have in common with a close."""

from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.event import Basis
from contracts.market import PeriodClosed
from contracts.risk import RiskMeasured
from services.risk import matrix
from services.risk.live import EVENTS_AT_ONCE, LiveBooks
from services.risk.matrix import Line
from services.risk.positions import Total
from tailstream.fold.work import on_the_spot
from tailstream.fold.world import World
from tests.engines import log
from tests.engines.drawn import logs
from tests.engines.log import LEVELS, Log, Prices, Replica

pytestmark = pytest.mark.filterwarnings("error")

PRICES = {"A": 10.0, "E": 3.0, "fx:EURUSD": 1.1}


def desk(closes: int = 5) -> Log:
    """Dollar and euro books of one desk, at prices that move every day."""
    of = Log()
    of.instruments("A", "young", "fx:EURUSD")
    of.instruments("E", currency="EUR")
    of.portfolio("x")
    of.portfolio("a", parent="x")
    of.portfolio("b", base="EUR", parent="x")
    of.hold("a", {"A": 10.0, "E": -3.0}, USD=100.0)
    of.hold("b", {"E": 7.0}, EUR=11.0, USD=13.0)
    random = np.random.default_rng(5)
    for _ in range(closes):
        of.close_at(moved(1 + 0.1 * random.standard_normal(3)))
    return of


def moved(by: Any) -> dict[str, float]:
    return {name: float(price * factor) for (name, price), factor in zip(PRICES.items(), by, strict=True)}


def replica(of: Log, **settings: Any) -> Replica:
    return Replica(log.risk(**settings)).adopt().read(of.arrivals).measure().refresh()


def live(replica: Replica) -> dict[str, RiskMeasured]:
    """The newest live risk of every portfolio."""
    return {e.portfolio_id: e for e in replica.live if isinstance(e, RiskMeasured)}


def closed(replica: Replica) -> dict[str, RiskMeasured]:
    """The risk of every portfolio at the last close."""
    last = replica.engine.world.market.last_period
    return {e.portfolio_id: e for e in replica.events if isinstance(e, RiskMeasured) and e.period == last}


def close_to(value: float | None, scale: float) -> object:
    """Equal but for rounding, or missing as well."""
    return None if value is None else pytest.approx(value, rel=1e-12, abs=1e-12 * scale)


def assert_alike(shown: RiskMeasured, at_close: RiskMeasured) -> None:
    """A live headline says what the close says, to the rounding of a sum in another order."""
    for name in ("currency", "n_obs"):
        assert getattr(shown, name) == getattr(at_close, name)
    assert set(shown.uncovered) == set(at_close.uncovered)
    assert shown.coverage == close_to(at_close.coverage, 1.0)
    size = (at_close.gross.value or 0.0) + abs(at_close.nav.value or 0.0)
    for name in ("nav", "gross"):
        ours, theirs = getattr(shown, name), getattr(at_close, name)
        assert ours.status == theirs.status
        assert ours.value == close_to(theirs.value, size)
    ours, theirs = shown.methods["historical"], at_close.methods["historical"]
    assert (ours.status, ours.reason) == (theirs.status, theirs.reason)
    for level, tail in theirs.levels.items():
        for name, value in tail.model_dump().items():
            scale = size if name in ("var", "es") else size / abs(at_close.nav.value or 1.0)
            assert getattr(ours.levels[level], name) == close_to(value, scale)


def test_nothing_is_shown_before_the_first_slice_after_a_close() -> None:
    of = desk()
    assert replica(of).live == []
    of.slice(PRICES, hours=-1.0)
    assert replica(of).live == []
    early = Log()
    early.instruments("A")
    early.slice({"A": 1.0})
    assert replica(early).live == []


def test_the_headline_at_the_prices_of_the_close_is_that_of_the_close() -> None:
    of = desk()
    close = of.arrivals[-1].event
    assert isinstance(close, PeriodClosed)
    of.slice(close.prices)
    read = replica(of)
    assert set(live(read)) == {"a", "b", "x"}
    for name, event in live(read).items():
        assert (event.basis, event.period, event.inputs) == (Basis.LIVE, None, None)
        assert event.methods["historical"].status == "ok"
        assert_alike(event, closed(read)[name])


def test_exposures_are_live_and_scenarios_are_those_of_the_close() -> None:
    of = desk()
    of.hold("a", {"A": 10.0}, USD=100.0)
    of.slice({"A": 30.0})
    shown = live(replica(of))["a"]
    prices = [a.event.prices["A"] for a in of.arrivals if isinstance(a.event, PeriodClosed)]
    worst = min(after / before - 1 for before, after in pairwise(prices))
    assert (shown.nav.value, shown.gross.value) == (400.0, 300.0)
    assert shown.methods["historical"].levels["0.99"].var == pytest.approx(-300 * worst, rel=1e-12)
    assert shown.methods["historical"].levels["0.99"].var_fraction == pytest.approx(-0.75 * worst, rel=1e-12)


def test_each_state_of_the_board_is_measured_once_and_in_the_owned_shards_alone() -> None:
    of = desk()
    of.slice(PRICES)
    shard = log.partition_of("b")
    read = Replica(log.risk(), [shard]).adopt().read(of.arrivals).measure().refresh().refresh()
    assert [event.portfolio_id for event in read.live] == ["b"]
    read.engine.world.adopt(log.partition_of("a"), log.period(4))
    read.read([of.slice(PRICES, hours=2.0)]).refresh()
    assert {event.portfolio_id for event in read.live[1:]} >= {"a", "b"}


def test_a_change_of_holdings_alone_is_measured_in_its_portfolio_and_in_those_above_it() -> None:
    of = desk()
    of.slice(PRICES)
    read = replica(of)
    start = len(of.arrivals)
    of.hold("a", {"A": 11.0, "new": 1.0}, USD=100.0)
    of.hold("c", {"A": 1.0})
    of.hold("a", {"A": 12.0}, version=1)
    read.live.clear()
    read.read(of.arrivals[start:]).refresh().refresh()
    assert sorted((event.portfolio_id, event.uncovered) for event in read.live) == [("a", ("new",)), ("x", ("new",))]
    read.live.clear()
    of.hold("a", {"A": 12.0}, version=9)
    read.read(of.arrivals[-1:]).refresh()
    assert {name: event.nav.value for name, event in live(read).items()} == {
        "a": 120.0,
        "x": pytest.approx(120.0 + 7.0 * 3.0 * 1.1 + 11.0 * 1.1 + 13.0, rel=1e-12),
    }


def test_holdings_that_change_while_a_close_waits_for_prices_count_at_the_next_slice() -> None:
    of = desk()
    of.slice(PRICES)
    read = replica(of)
    start = len(of.arrivals)
    of.close_at(PRICES)
    of.hold("a", USD=5.0)
    read.live.clear()
    read.read(of.arrivals[start:]).measure().refresh()
    assert read.live == []
    of.slice(PRICES)
    read.read(of.arrivals[-1:]).refresh()
    assert live(read)["a"].nav.value == 5.0


def test_an_instrument_that_is_defined_anew_is_measured_anew() -> None:
    of = desk()
    of.slice(PRICES)
    read = replica(of)
    before = live(read)["a"].gross.value
    of.instruments("A", multiplier=2.0)
    read.read(of.arrivals[-1:]).refresh()
    assert live(read)["a"].gross.value == pytest.approx((before or 0.0) + 100.0, rel=1e-12)


def test_what_was_sold_for_good_leaves_nothing_behind_in_the_sum() -> None:
    of = desk()
    of.slice(PRICES)
    of.portfolio("d", parent="x")
    for held in (0.1, 1e308, 0.3, 1e308):
        of.hold("a", {"A": 1.0, "unknown": held})
        of.hold("d", {"unknown": 1e308})
        of.hold("d", {"unknown": 0.2})
        of.hold("d", {"A": 2.0})
    of.hold("a", {"A": 1.0})
    read = Replica(log.risk()).adopt()
    for arrival in of.arrivals:
        read.read([arrival]).measure().refresh()
    assert (live(read)["x"].uncovered, live(read)["x"].coverage) == ((), 1.0)


@pytest.mark.parametrize("sparse_below", [0.0, 2.0], ids=["dense", "sparse"])
def test_a_headline_is_that_of_the_close_whichever_way_the_books_are_stored(
    sparse_below: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "SPARSE_BELOW", sparse_below)
    of = young(2.0)
    of.book("d", {"A": 1.0})
    of.book("e", {"A": 1.0, "unknown": 3.0})
    of.book("f", {"A": 1e200}, USD=10.0)
    of.book("g", {"A": 1.0}, USD=1e200)
    of.book("h")
    of.close_at(PRICES | {"young": 3.0})
    of.slice(PRICES | {"young": 3.0}, hours=1.0)
    read = replica(of, window=10, minimum=2)
    assert set(live(read)) == set(closed(read)) == set("abdefghx")
    for name, event in live(read).items():
        assert_alike(event, closed(read)[name])


def test_a_refresh_of_many_books_comes_in_pieces() -> None:
    of = Log()
    of.instruments("A")
    for number in range(2 * EVENTS_AT_ONCE + 1):
        of.book(f"book-{number}", {"A": 1.0})
    for price in (1.0, 2.0, 3.0):
        of.close(A=price)
    of.slice({"A": 2.0})
    read = Replica(log.risk()).adopt().read(of.arrivals)
    assert [len(events) for events in on_the_spot(read.engine.live())] == [EVENTS_AT_ONCE, EVENTS_AT_ONCE, 1]


def test_new_holdings_a_new_portfolio_and_a_closed_one_count_at_once() -> None:
    of = desk()
    of.slice(PRICES)
    read = replica(of)
    start = len(of.arrivals)
    of.tombstone("b")
    of.book("c", {"A": 1.0})
    of.hold("a", USD=5.0)
    of.slice(PRICES, hours=2.0)
    read.live.clear()
    read.read(of.arrivals[start:]).refresh()
    assert {name: event.nav.value for name, event in live(read).items()} == {"a": 5.0, "c": 10.0, "x": 5.0}


def test_too_few_scenarios_are_said_and_the_nav_is_shown() -> None:
    of = desk(closes=2)
    of.slice(PRICES)
    shown = live(replica(of, minimum=2))["a"]
    assert shown.nav.value == pytest.approx(100 - 3 * 3 * 1.1 + 100)
    assert (shown.n_obs, shown.methods["historical"].status) == (0, "insufficient")
    assert shown.methods["historical"].levels["0.99"].var is None


def test_cash_alone_cannot_lose() -> None:
    of = desk()
    of.hold("a", USD=10.0)
    of.slice(PRICES)
    shown = live(replica(of))["a"]
    assert (shown.n_obs, shown.coverage, shown.gross.value) == (4, 1.0, 0.0)
    assert shown.methods["historical"].levels["0.99"].var_fraction == 0.0


def young(quantity: float) -> Log:
    """The desk, with a position in ``a`` of an instrument that has but one return."""
    of = desk()
    of.hold("a", {"A": 10.0, "young": quantity}, USD=100.0)
    for price in (1.0, 2.0):
        of.close_at(PRICES | {"young": price})
    of.slice(PRICES | {"young": 2.0})
    return of


@pytest.mark.parametrize(("quantity", "status"), [(2.0, "ok"), (50.0, "degraded")])
def test_coverage_below_the_minimum_degrades_live_figures_as_it_does_a_close(quantity: float, status: str) -> None:
    read = replica(young(quantity), window=10)
    for name in ("a", "x"):
        assert live(read)[name].uncovered == ("young",)
        assert_alike(live(read)[name], closed(read)[name])
    assert live(read)["a"].methods["historical"].status == status


def test_gaps_in_what_one_book_holds_do_not_shorten_the_scenarios_of_another() -> None:
    of = young(2.0)
    of.book("d", {"A": 1.0})
    of.hold("a", {"A": 10.0, "young": 5.0})
    for price in (3.0, 2.5):
        of.close_at(PRICES | {"young": price})
    of.slice(PRICES | {"young": 2.5}, hours=1.0)
    read = replica(of, window=10)
    assert {name: event.n_obs for name, event in live(read).items()} == {"a": 3, "b": 8, "d": 8, "x": 3}
    for name, event in live(read).items():
        assert_alike(event, closed(read)[name])


@pytest.mark.parametrize("positions", [{"young": 1.0}, {"unknown": 1.0}, {"A": 1e200}])
def test_a_book_of_which_nothing_is_covered_or_priced_has_no_var(positions: Prices) -> None:
    of = young(2.0)
    of.hold("a", positions)
    close = of.close_at(PRICES | {"young": 2.0}).event
    assert isinstance(close, PeriodClosed)
    of.slice(close.prices)
    read = replica(of, window=10, minimum=3)
    assert live(read)["a"].n_obs == 0
    assert live(read)["a"].uncovered == tuple(positions)
    for name in ("a", "b", "x"):
        assert_alike(live(read)[name], closed(read)[name])


def test_prices_beyond_all_reason_concern_only_who_holds_them() -> None:
    of = Log()
    of.instruments("A", "B", "C")
    for name, held in (("a", "A"), ("b", "B"), ("c", "C")):
        of.book(name, {held: 1.0})
    for a, c in ((1.0, 1.0), (1e-200, 1.1), (1.0, 1.2), (1.1, 5e-324), (1.2, 1e10), (1.3, 1.3), (1.4, 1.2)):
        of.close(A=a, B=1.0 + len(of.arrivals), C=c)
    of.slice({"A": 1.4})
    read = replica(of, window=10)
    assert [live(read)[name].methods["historical"].status for name in "abc"] == ["undefined", "ok", "ok"]
    assert [live(read)[name].n_obs for name in "abc"] == [6, 6, 5]
    for name in "abc":
        assert_alike(live(read)[name], closed(read)[name])


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(of=logs())
def test_whatever_the_log_says_a_headline_at_the_prices_of_the_close_is_that_of_the_close(of: Log) -> None:
    of.close_at({"A": 1.25})
    of.slice({"A": 1.25})
    read = replica(of, window=5, stale=1)
    assert set(live(read)) == set(closed(read))
    for name, event in live(read).items():
        assert_alike(event, closed(read)[name])


@pytest.mark.parametrize("sparse_below", [0.0, 2.0], ids=["dense", "sparse"])
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(of=logs(), pace=st.integers(1, 4))
def test_whatever_comes_one_by_one_the_figures_are_those_of_all_of_it_at_once(
    sparse_below: float, monkeypatch: pytest.MonkeyPatch, of: Log, pace: int
) -> None:
    monkeypatch.setattr(matrix, "SPARSE_BELOW", sparse_below)
    of.close_at({"A": 1.25})
    of.slice({"A": 1.25})
    of.hold("a", {"A": 0.3, "E": 7.0}, USD=1.0)
    of.hold("b", {"B": 0.1})
    of.slice({"A": 1.5})
    read = Replica(log.risk(window=5, stale=1)).adopt()
    for start in range(0, len(of.arrivals), pace):
        read.read(of.arrivals[start : start + pace]).measure().refresh()
        for name, event in measured_anew(read.engine.world, scenario_window=5).items():
            assert_alike(live(read)[name], event)


def measured_anew(world: World, *, scenario_window: int) -> dict[str, RiskMeasured]:
    """What live books measure that have seen nothing of how the world came about."""
    books = LiveBooks(world, levels=LEVELS, scenario_window=scenario_window, scenarios_min=2, min_coverage=0.95)
    return {e.portfolio_id: e for events in books.refresh() for e in events if isinstance(e, RiskMeasured)}


quantity = st.floats(-1e8, 1e8, allow_nan=False).map(lambda number: round(number, 4))
"""Less than 100 bits from a sum of 24 of the largest to the last bit of 0.0001, which is as far as a total is exact."""
books = st.lists(st.lists(quantity, min_size=3, max_size=3), min_size=1, max_size=12)


@given(kept=books, sold=books, order=st.randoms(use_true_random=False))
def test_a_total_is_the_exact_sum_of_what_is_left_in_whatever_order_it_came_and_went(
    kept: list[list[float]], sold: list[list[float]], order: Random
) -> None:
    total = Total()
    moves = [np.array(book) for book in kept + sold]
    order.shuffle(moves)
    columns = np.arange(3, dtype=np.int32)
    for values in moves:
        total.add(Line(columns, values))
    for book in sold:
        total.add(Line(columns, -np.array(book)))
    exact = [float(sum(map(Fraction, of_name), Fraction(0))) for of_name in zip(*kept, strict=True)]
    line = total.line()
    assert dict(zip(line.columns.tolist(), line.values.tolist(), strict=True)) == {
        column: value for column, value in enumerate(exact) if value
    }
