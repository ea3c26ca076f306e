"""Actual and hypothetical P&L: two numbers on a day with trades and flows, one on any other."""

import pytest

from tailstream.fold.gain import Gain, gain, hypothetical
from tailstream.fold.world import World
from tests.engines import log
from tests.engines.log import Log

pytestmark = pytest.mark.filterwarnings("error")


def world(of: Log) -> World:
    """The world of a replica that has read the whole log."""
    return log.Replica(log.risk()).read(of.arrivals).engine.world


def of_last_close(of: Log, name: str = "a") -> tuple[Gain | None, float | None]:
    """What the portfolio gained since the close before, actually and hypothetically."""
    told = world(of)
    then, now = (told.closed(told.market.end - back) for back in (2, 1))
    portfolio = told.books.tree(now.cut).nodes[name]
    return gain(told, portfolio, then, now), hypothetical(told, portfolio, then, now)


def actual(of: Log, name: str = "a") -> float | None:
    measured, _ = of_last_close(of, name)
    return None if measured is None else measured.pnl


def test_on_a_day_without_a_trade_both_are_the_same() -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 10.0}, USD=50.0)
    of.close(A=100.0)
    of.close(A=103.0)
    assert (actual(of), of_last_close(of)[1]) == (30.0, 30.0)


def test_a_trade_and_a_flow_set_them_apart_by_what_the_trade_made() -> None:
    """Bought 5 for 95 each before the close at 103, with 200 paid in: 30 from what was held, 40 from the trade."""
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 10.0}, USD=1_000.0)
    of.close(A=100.0)
    of.hold("a", {"A": 15.0}, flow=200.0, USD=1_000.0 + 200.0 - 5 * 95.0)
    of.close(A=103.0)
    measured, static = of_last_close(of)
    assert measured is not None
    assert (measured.pnl, measured.flow, static) == (70.0, 200.0, 30.0)


def test_a_book_that_was_sold_out_still_has_its_hypothetical_gain() -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 10.0})
    of.close(A=100.0)
    of.hold("a", {}, USD=1_000.0)
    of.close(A=90.0)
    assert (actual(of), of_last_close(of)[1]) == (0.0, -100.0)


def test_money_abroad_is_held_too() -> None:
    of = Log()
    of.instruments("fx:EURUSD")
    of.book("a", EUR=100.0)
    of.close_at({"fx:EURUSD": 1.1})
    of.close_at({"fx:EURUSD": 1.2})
    assert of_last_close(of)[1] == pytest.approx(10.0)


def test_a_desk_gains_what_its_former_members_would_have() -> None:
    of = Log()
    of.instruments("A")
    of.portfolio("x")
    for name in ("a", "b"):
        of.portfolio(name, parent="x")
        of.hold(name, {"A": 1.0})
    of.close(A=100.0)
    of.portfolio("c", parent="x")
    of.hold("c", {"A": 50.0})
    of.tombstone("b")
    of.close(A=110.0)
    assert of_last_close(of, "x")[1] == 20.0


@pytest.mark.parametrize("closes", [({"A": 1.0}, {"A": 1.0}), ({"A": 1.0, "B": 1.0}, {"A": 1.0})])
def test_without_a_price_at_either_moment_there_is_no_hypothetical_gain(closes: tuple[dict[str, float], ...]) -> None:
    of = Log()
    of.instruments("A", "B")
    of.book("a", {"B": 1.0})
    for prices in closes:
        of.close_at(prices)
    of.close_at({"A": 1.0})
    of.close_at({"A": 1.0})
    assert of_last_close(of)[1] is None


def test_what_held_nothing_gained_nothing_that_could_be_told() -> None:
    of = Log()
    of.instruments("A")
    of.portfolio("a")
    of.close(A=1.0)
    of.hold("a", {"A": 1.0})
    of.close(A=2.0)
    assert of_last_close(of)[1] is None
