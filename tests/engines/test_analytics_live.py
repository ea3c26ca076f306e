"""Analytics between closes: the headline of every owned book, once for each state of the board."""

import pytest
from hypothesis import HealthCheck, given, settings

from contracts.analytics import AnalyticsComputed
from contracts.event import Basis
from tests.engines import log
from tests.engines.drawn import QUOTED, logs
from tests.engines.log import FIRST_DAY, Log, Replica

pytestmark = pytest.mark.filterwarnings("error")


def desk() -> Log:
    """A dollar book and a euro book of one desk, closed once."""
    of = Log()
    of.instruments("A", "fx:EURUSD")
    of.instruments("E", currency="EUR")
    of.portfolio("x")
    of.portfolio("a", parent="x")
    of.portfolio("b", base="EUR", parent="x")
    of.hold("a", {"A": 10.0, "E": -3.0}, USD=100.0)
    of.hold("b", {"E": 7.0}, EUR=11.0, USD=13.0)
    of.close_at({"A": 10.0, "E": 3.0, "fx:EURUSD": 1.1})
    return of


def replica(of: Log, *, closes: int | None = None) -> Replica:
    return Replica(log.analytics()).adopt().read(of.arrivals).measure(closes)


def figures(replica: Replica) -> dict[str, dict[str, object]]:
    """The newest live figures of every portfolio."""
    live = {event.portfolio_id: event for event in replica.live if isinstance(event, AnalyticsComputed)}
    return {
        name: {key: f.value if f.status == "ok" else f.status for key, f in e.figures.items()}
        for name, e in live.items()
    }


def test_nothing_is_shown_before_the_first_close_or_the_first_slice() -> None:
    assert replica(Log()).refresh().live == []
    assert replica(desk()).refresh().live == []
    early = Log()
    early.instruments("A")
    early.book("a", {"A": 1.0})
    early.slice({"A": 1.0})
    assert replica(early).refresh().live == []


def test_a_slice_that_is_older_than_the_close_shows_nothing() -> None:
    of = desk()
    of.slice({"A": 11.0}, hours=-1)
    assert replica(of).refresh().live == []


def test_the_headline_is_measured_against_the_last_close() -> None:
    of = desk()
    of.slice({"A": 11.0})
    read = replica(of).refresh()
    assert figures(read)["a"]["nav"] == pytest.approx(10 * 11 - 3 * 3 * 1.1 + 100, rel=1e-15)
    assert figures(read)["a"]["pnl"] == pytest.approx(10.0, rel=1e-12)
    assert figures(read)["b"]["pnl"] == figures(read)["b"]["return"] == 0.0
    event = read.live[0]
    assert (event.basis, event.period, event.inputs, event.as_of.hour) == (Basis.LIVE, None, None, FIRST_DAY.hour + 1)


def test_each_state_of_the_board_is_measured_once() -> None:
    of = desk()
    of.slice({"A": 11.0})
    read = replica(of).refresh().refresh()
    assert len(read.live) == 3
    read.read([of.slice({"A": 11.5}, hours=2)]).refresh()
    assert len(read.live) == 6
    assert len({event.event_id for event in read.live}) == 6


def test_only_the_owned_shards_are_measured() -> None:
    of = desk()
    of.slice({"A": 11.0})
    shards = [log.partition_of("a")]
    read = Replica(log.analytics(), shards).adopt().read(of.arrivals).measure().refresh()
    assert {event.portfolio_id for event in read.live} == {"a"}


def test_new_holdings_and_their_flow_count_at_once() -> None:
    of = desk()
    of.hold("a", {"A": 10.0, "E": -3.0}, USD=150.0, flow=50.0)
    of.slice({"A": 10.0})
    shown = figures(replica(of).refresh())
    assert shown["a"]["pnl"] == shown["x"]["pnl"] == pytest.approx(0.0, abs=1e-12)
    assert shown["a"]["nav"] == pytest.approx(100 - 9 * 1.1 + 150)


def test_a_portfolio_that_is_closed_is_shown_no_more() -> None:
    of = desk()
    of.tombstone("a")
    of.slice({"A": 11.0})
    assert set(figures(replica(of).refresh())) == {"b", "x"}


def test_a_live_price_brings_back_a_position_that_was_unpriced() -> None:
    of = desk()
    for _ in range(4):
        of.close_at({"E": 3.0, "fx:EURUSD": 1.1})
    of.slice({"E": 3.0})
    assert figures(replica(of).refresh())["a"]["nav"] == "unpriced"
    of.slice({"A": 20.0}, hours=2)
    shown = figures(replica(of).refresh())["a"]
    assert shown["nav"] == pytest.approx(200 - 9 * 1.1 + 100)
    assert (shown["pnl"], shown["return"]) == ("unpriced", "unpriced")


def test_a_shard_that_is_behind_is_measured_against_its_own_last_close() -> None:
    of = desk()
    of.close_at({"A": 20.0, "E": 3.0, "fx:EURUSD": 1.1})
    of.slice({"A": 21.0})
    behind = replica(of, closes=1).refresh()
    assert figures(behind)["a"]["pnl"] == pytest.approx(110.0)
    assert figures(replica(of).refresh())["a"]["pnl"] == pytest.approx(10.0)


def test_live_figures_at_the_prices_of_the_next_close_are_those_of_the_close() -> None:
    of = desk()
    of.hold("b", {"E": 5.0, "A": 1.0}, EUR=20.0, flow=-3.0)
    prices = {"A": 12.0, "E": 2.5, "fx:EURUSD": 1.3}
    of.slice(prices)
    read = replica(of).refresh()
    read.read([of.close_at(prices)]).measure()
    for name, shown in figures(read).items():
        closed = log.analyzed(read, name, "basic")[-1].figures
        assert shown == {key: pytest.approx(figure.value, rel=1e-12) for key, figure in closed.items()}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(of=logs())
def test_whatever_the_log_says_live_figures_at_the_prices_of_the_next_close_are_those_of_the_close(of: Log) -> None:
    of.close_at(dict.fromkeys(QUOTED, 1.5))
    prices = {"A": 1.25, "B": 3.0, "E": 0.9, "unknown": 2.0, "fx:EURUSD": 1.25, "fx:USDEUR": 0.8}
    of.slice(prices)
    read = Replica(log.analytics(stale=1)).adopt().read(of.arrivals).measure().refresh()
    read.read([of.close_at(prices)]).measure()
    closed = {
        event.portfolio_id: event.figures
        for event in read.events
        if isinstance(event, AnalyticsComputed) and (event.analyzer, event.period) == ("basic", log.period(of.days - 1))
    }
    live = {event.portfolio_id: event.figures for event in read.live if isinstance(event, AnalyticsComputed)}
    assert set(live) == set(closed)
    for name, figures in live.items():
        for key, figure in figures.items():
            expected = closed[name][key]
            assert figure.status == expected.status
            assert expected.value is None or figure.value == pytest.approx(expected.value, rel=1e-12, abs=1e-9)
