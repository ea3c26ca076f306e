"""Analytics at closes: NAV, flows and returns by hand, parents, gaps, ruin, failing analyzers."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from contracts.analytics import PortfolioValued
from contracts.event import Figure, Status
from contracts.topics import HOLDINGS
from services.analytics.analyzers import ANALYZERS, Window
from tailstream.quant import arrays
from tests.engines import log
from tests.engines.drawn import logs
from tests.engines.log import Log, Replica

pytestmark = pytest.mark.filterwarnings("error")


def firm(**instruments: str) -> Log:
    """Two dollar stocks, and a desk whose books are to come."""
    of = Log()
    of.instruments("A", "B", **instruments)
    of.portfolio("desk")
    return of


def child(of: Log, name: str, positions: Mapping[str, float] | None = None, **cash: float) -> None:
    """A book of the desk."""
    of.portfolio(name, parent="desk")
    of.hold(name, positions, **cash)


def valued(of: Log, name: str = "a", **settings: Any) -> list[PortfolioValued]:
    return log.valued(log.measured(log.analytics(**settings), of), name)


def values(figures: list[Figure]) -> list[float | str | None]:
    """The values, or the reasons that there are none."""
    return [figure.value if figure.value is not None else figure.status for figure in figures]


def story(events: list[PortfolioValued]) -> list[tuple[float | str | None, ...]]:
    """NAV, P&L, flow and return of every close."""
    return [tuple(values([e.nav, e.pnl, e.flow, e.period_return])) for e in events]


def test_a_portfolio_that_holds_nothing_yet_is_not_measured() -> None:
    of = firm()
    of.portfolio("a")
    of.close(A=1.0)
    assert log.measured(log.analytics(), of).events == []


def test_the_first_close_has_no_pnl_and_all_of_its_nav_is_flow() -> None:
    of = firm()
    of.book("a", {"A": 10.0}, USD=5.0)
    of.close(A=1.0)
    assert story(valued(of)) == [(15.0, "insufficient", 15.0, "insufficient")]


def test_an_empty_book_is_worth_nothing_and_there_is_nothing_to_earn_on() -> None:
    of = firm()
    of.book("a")
    of.close(A=1.0)
    of.close(A=1.0)
    assert story(valued(of)) == [(0.0, "insufficient", 0.0, "insufficient"), (0.0, 0.0, 0.0, "ruined")]


def test_cash_alone_earns_nothing() -> None:
    of = firm()
    of.book("a", USD=50.0)
    of.close()
    of.close()
    measured = log.measured(log.analytics(), of)
    assert story(log.valued(measured, "a"))[1] == (50.0, 0.0, 0.0, 0.0)
    basic = log.analyzed(measured, "a", "basic")[1].figures
    assert (basic["gross"].value, basic["concentration_hhi"].status) == (0.0, "undefined")


def test_a_flow_is_no_performance() -> None:
    of = firm()
    of.book("a", {"A": 10.0})
    of.close(A=100.0)
    of.hold("a", {"A": 10.0}, USD=500.0, flow=500.0)
    of.close(A=110.0)
    of.hold("a", {"A": 10.0}, USD=100.0, flow=-400.0)
    of.close(A=99.0)
    assert story(valued(of)) == [
        (1000.0, "insufficient", 1000.0, "insufficient"),
        (1600.0, 100.0, 500.0, 0.1),
        (1090.0, -110.0, -400.0, -110 / 1600),
    ]


def test_flows_of_all_versions_between_two_closes_count_once() -> None:
    of = firm()
    of.book("a", USD=100.0)
    of.close()
    for flow, cash in ((10.0, 110.0), (20.0, 130.0)):
        of.hold("a", flow=flow, USD=cash)
    of.close()
    of.close()
    assert story(valued(of))[1:] == [(130.0, 0.0, 30.0, 0.0), (130.0, 0.0, 0.0, 0.0)]


def test_a_late_version_counts_from_the_next_close() -> None:
    of = firm()
    of.book("a", {"A": 1.0})
    before = of.cut()
    of.hold("a", {"A": 2.0}, flow=3.0)
    of.close(A=10.0, cut=before)
    of.close(A=10.0)
    assert [(e.holdings_version, e.nav.value, e.flow.value) for e in valued(of)] == [(1, 10.0, 10.0), (2, 20.0, 3.0)]


@pytest.mark.parametrize("version", [1, 2])
def test_a_repeated_or_lower_version_changes_no_byte(version: int) -> None:
    plain, repeated = firm(), firm()
    for of in (plain, repeated):
        of.book("a")
        of.hold("a", {"A": 1.0}, version=2)
        of.close(A=10.0)
        cut = of.cut()
        if of is repeated:
            of.hold("a", {"A": 7.0}, version=version, flow=9.0)
        of.close(A=11.0, cut=cut)
        of.close(A=12.0, cut=cut)
    assert log.as_bytes(log.measured(log.analytics(), repeated).events) == log.as_bytes(
        log.measured(log.analytics(), plain).events
    )


def test_a_euro_book_of_dollar_stock_by_hand() -> None:
    of = firm()
    of.instruments("fx:EURUSD")
    of.portfolio("a", base="EUR")
    of.hold("a", {"A": 10.0}, EUR=100.0)
    of.close_at({"A": 100.0, "fx:EURUSD": 1.25})
    of.hold("a", {"A": 10.0}, EUR=100.0, USD=300.0, flow=200.0)
    of.close_at({"A": 110.0, "fx:EURUSD": 1.0})
    nav = 1100.0 + 100.0 + 300.0
    first, second = valued(of)
    assert (first.currency, first.nav.value) == ("EUR", 900.0)
    assert story([second]) == [(nav, nav - 200.0 - 900.0, 200.0, (nav - 1100.0) / 900.0)]


def test_a_parent_converts_the_flows_of_its_children_at_the_rate_of_the_close() -> None:
    of = firm()
    of.instruments("fx:EURUSD")
    of.portfolio("a", base="EUR", parent="desk")
    of.hold("a", EUR=100.0)
    of.close_at({"fx:EURUSD": 1.25})
    of.hold("a", EUR=150.0, flow=50.0)
    of.close_at({"fx:EURUSD": 1.5})
    assert story(valued(of, "desk"))[1] == (225.0, 225.0 - 75.0 - 125.0, 75.0, 25 / 125)


def test_a_missing_rate_leaves_the_parent_unpriced_and_the_child_measured() -> None:
    of = firm()
    of.portfolio("a", base="EUR", parent="desk")
    of.hold("a", EUR=100.0)
    of.close()
    of.hold("a", EUR=150.0, flow=50.0)
    of.close()
    assert story(valued(of, "a"))[1] == (150.0, 0.0, 50.0, 0.0)
    assert story(valued(of, "desk")) == [
        ("unpriced", "insufficient", "unpriced", "insufficient"),
        ("unpriced", "unpriced", "unpriced", "unpriced"),
    ]


def test_a_parent_is_the_sum_of_its_descendants_and_has_no_version_of_its_own() -> None:
    of = firm()
    of.portfolio("firm")
    of.portfolio("desk", parent="firm")
    child(of, "a", {"A": 2.0}, USD=1.0)
    of.close(A=10.0, B=5.0)
    child(of, "b", {"A": -2.0, "B": 3.0})
    of.close(A=10.0, B=5.0)
    one, two = valued(of, "firm")
    assert (one.nav.value, one.gross.value, one.holdings_version) == (21.0, 20.0, 0)
    assert (two.nav.value, two.gross.value, two.holdings_version) == (16.0, 15.0, 0)
    assert [e.holdings_version for e in valued(of, "a")] == [1, 1]


def test_a_child_that_joins_is_flow_of_its_parent_and_no_performance() -> None:
    of = firm()
    child(of, "a", {"A": 10.0})
    of.close(A=100.0)
    child(of, "b", USD=300.0)
    of.close(A=110.0)
    of.close(A=121.0)
    assert story(valued(of, "desk"))[1:] == [(1400.0, 100.0, 300.0, 0.1), (1510.0, 110.0, 0.0, 110 / 1400)]


def test_a_child_that_leaves_takes_its_last_nav_with_it() -> None:
    of = firm()
    child(of, "a", {"A": 10.0})
    child(of, "b", {"B": 10.0})
    of.close(A=100.0, B=50.0)
    of.tombstone("b")
    of.close(A=110.0, B=1.0)
    assert story(valued(of, "desk"))[1] == (1100.0, 100.0, -500.0, 0.1)
    assert len(valued(of, "b")) == 1


def test_a_child_that_changes_desks_leaves_one_and_joins_the_other() -> None:
    of = firm()
    of.portfolio("other")
    for name in ("a", "b"):
        child(of, name, USD=100.0)
    of.hold("other", USD=7.0)
    of.close()
    of.portfolio("b", parent="other")
    of.hold("b", USD=130.0, flow=30.0)
    of.close()
    assert story(valued(of, "desk"))[1] == (100.0, 0.0, -100.0, 0.0)
    assert story(valued(of, "other"))[1] == (137.0, 0.0, 130.0, 0.0)
    assert story(valued(of, "b"))[1] == (130.0, 0.0, 30.0, 0.0)


def test_when_all_children_are_replaced_the_nav_still_adds_up_and_there_is_no_return() -> None:
    of = firm()
    child(of, "a", {"A": 10.0})
    of.close(A=100.0)
    of.tombstone("a")
    child(of, "b", {"B": 10.0})
    of.close(A=200.0, B=30.0)
    of.close(B=33.0)
    assert story(valued(of, "desk"))[1:] == [(300.0, 0.0, -700.0, "undefined"), (330.0, 30.0, 0.0, 0.1)]


def test_a_desk_whose_last_child_is_closed_is_not_measured_until_one_comes() -> None:
    of = firm()
    child(of, "a", USD=10.0)
    of.close()
    of.tombstone("a")
    of.close()
    child(of, "b", USD=20.0)
    of.close()
    assert [(e.period, e.flow.value) for e in valued(of, "desk")] == [(log.period(0), 10.0), (log.period(2), 20.0)]


def test_a_circle_of_parents_is_measured_once_for_each_member() -> None:
    of = firm()
    of.portfolio("a", parent="b")
    of.portfolio("b", parent="a")
    of.hold("a", USD=1.0)
    of.hold("b", USD=2.0)
    of.close()
    assert [e.nav.value for name in ("a", "b") for e in valued(of, name)] == [3.0, 3.0]


@pytest.mark.parametrize("cash", [-1000.0, -1500.0])
def test_without_wealth_there_is_no_return_and_money_is_still_reported(cash: float) -> None:
    of = firm()
    of.book("a", {"A": 10.0}, USD=cash)
    of.close(A=100.0)
    of.close(A=110.0)
    measured = log.measured(log.analytics(), of)
    assert story(log.valued(measured, "a"))[1] == (1100.0 + cash, 100.0, 0.0, "ruined")
    basic = log.analyzed(measured, "a", "basic")
    assert basic[0].figures["leverage"].status == basic[1].figures["return"].status == "ruined"
    assert basic[0].figures["gross"].value == 1000.0


def test_the_return_before_never_stands_in_for_one_that_is_missing() -> None:
    of = firm()
    child(of, "a", {"A": 1.0})
    child(of, "b", USD=100.0)
    of.close(A=10.0)
    of.close(A=20.0)
    of.hold("a", {"A": 1.0}, USD=-30.0, flow=-30.0)
    of.close(A=20.0)
    of.tombstone("b")
    of.close(A=21.0)
    measured = log.measured(log.analytics(), of)
    assert values([e.period_return for e in log.valued(measured, "desk")])[1:] == [10 / 110, 0.0, "ruined"]
    assert values([e.figures["return"] for e in log.analyzed(measured, "desk", "basic")])[1:] == [
        10 / 110,
        0.0,
        "ruined",
    ]


def test_an_unpriced_position_leaves_the_nav_unknown_and_the_rest_of_the_book_degraded() -> None:
    of = firm()
    of.book("a", {"A": 10.0, "unknown": 1.0}, USD=5.0)
    of.close(A=100.0)
    measured = log.measured(log.analytics(), of)
    (event,) = log.valued(measured, "a")
    assert (event.unpriced, event.coverage) == (("unknown",), None)
    assert (event.gross, event.net.status) == (Figure(value=1000.0, status=Status.DEGRADED), "degraded")
    basic = log.analyzed(measured, "a", "basic")[0].figures
    assert (basic["nav"].status, basic["leverage"].status, basic["gross"].status) == (
        "unpriced",
        "unpriced",
        "degraded",
    )


def test_a_gap_in_the_prices_fills_no_return() -> None:
    of = firm()
    of.book("a", {"A": 1.0})
    for price in (100.0, None, None, 120.0, 132.0):
        of.close_at({} if price is None else {"A": price})
    measured = log.measured(log.analytics(stale=1, returns=10), of)
    assert story(log.valued(measured, "a"))[1:] == [
        (100.0, 0.0, 0.0, 0.0),
        ("unpriced", "unpriced", "unpriced", "unpriced"),
        (120.0, "unpriced", "unpriced", "unpriced"),
        (132.0, 12.0, 0.0, 0.1),
    ]
    assert [e.stale for e in log.valued(measured, "a")] == [(), ("A",), (), (), ()]
    assert [e.n_obs for e in log.analyzed(measured, "a", "returns")] == [0, 1, 1, 1, 2]
    assert log.analyzed(measured, "a", "basic")[3].figures["pnl"].status == "unpriced"


def test_a_carried_price_is_flagged_and_ends() -> None:
    of = firm()
    of.book("a", {"A": 1.0})
    of.close(A=100.0)
    for _ in range(3):
        of.close()
    assert [(e.nav.value, e.stale, e.unpriced) for e in valued(of, stale=2)] == [
        (100.0, (), ()),
        (100.0, ("A",), ()),
        (100.0, ("A",), ()),
        (None, (), ("A",)),
    ]


def test_the_window_has_its_number_of_returns_and_no_more() -> None:
    of = firm()
    of.book("a", {"A": 1.0})
    for day in range(20):
        of.close(A=2.0**day)
    returns = log.analyzed(log.measured(log.analytics(returns=3), of), "a", "returns")
    assert [e.n_obs for e in returns] == [0, 1, 2] + [3] * 17
    totals = values([e.figures["total_return"] for e in returns])
    assert totals == ["insufficient", 1.0, 3.0] + [7.0] * 17


def test_a_base_currency_that_changes_is_no_performance() -> None:
    of = firm()
    of.instruments("fx:EURUSD")
    of.book("a", USD=125.0)
    of.close_at({"fx:EURUSD": 1.25})
    of.portfolio("a", base="EUR")
    of.close_at({"fx:EURUSD": 1.25})
    assert story(valued(of))[1] == (100.0, 0.0, 0.0, 0.0)


def test_holdings_that_end_take_the_portfolio_with_them() -> None:
    of = firm()
    of.book("a", USD=1.0)
    of.close()
    of.tombstone("a", HOLDINGS)
    of.close()
    assert [e.period for e in valued(of)] == [log.period(0)]


def test_the_inputs_tell_a_close_from_another() -> None:
    of = firm()
    of.book("a", {"A": 1.0})
    of.skip(log.CLOSES)
    closed = of.close(A=1.0)
    of.close(A=2.0)
    first, second = valued(of)
    assert first.inputs is not None
    assert second.inputs is not None
    assert (first.inputs.close_offset, first.inputs.cut) == (closed.offset, of.cut())
    assert first.inputs.models == {name: analyzer.version for name, analyzer in ANALYZERS.items()}
    assert first.inputs.book == second.inputs.book
    assert first.inputs.market != second.inputs.market
    assert first.event_id != second.event_id


@dataclass(frozen=True)
class Answering:
    """An analyzer that answers what it is told to, or raises it."""

    answer: Any
    name: str = "answering"
    version: str = "1"

    def __call__(self, window: Window) -> dict[str, arrays.Figure]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "answer",
    [
        ZeroDivisionError("division by zero"),
        {"x": arrays.Figure(float("nan"), "ok")},
        {"x": arrays.Figure(float("inf"), "ok")},
        {"x": arrays.Figure(1.0, "splendid")},
        {"x": 1.0},
        {"x": SimpleNamespace(value="text", status="ok")},
        None,
    ],
    ids=["raises", "NaN", "infinity", "no status", "no figure", "no number", "nothing"],
)
def test_a_failing_analyzer_is_its_own_degraded_status_and_the_rest_is_published(answer: Any) -> None:
    of = firm()
    of.book("a", {"A": 1.0})
    of.close(A=10.0)
    engine = log.analytics(analyzers={"answering": Answering(answer)} | dict(ANALYZERS))
    measured = log.measured(engine, of)
    (failed,) = log.analyzed(measured, "a", "answering")
    assert (failed.status, failed.figures) == ("degraded", {})
    assert failed.reason
    assert log.analyzed(measured, "a", "basic")[0].figures["nav"].value == 10.0
    assert log.valued(measured, "a")[0].nav.value == 10.0


def test_a_flow_that_is_too_large_to_be_money_is_unpriced_and_the_next_close_goes_on() -> None:
    of = firm()
    of.book("a", USD=1.0)
    of.portfolio("a", parent="desk")
    of.close()
    of.hold("a", USD=2.0, flow=1e308)
    of.close()
    of.close()
    assert story(valued(of))[1:] == [(2.0, "unpriced", "unpriced", "unpriced"), (2.0, 0.0, 0.0, 0.0)]


def test_a_return_that_overflows_is_undefined() -> None:
    of = firm()
    of.book("a", {"A": 1.0})
    of.close(A=1e-300)
    of.close(A=1e100)
    assert story(valued(of))[1] == (1e100, 1e100, 0.0, "undefined")


def test_a_book_that_comes_back_begins_a_history_of_its_own_on_every_replica() -> None:
    of = firm()
    of.book("a", {"A": 1.0})
    of.book("d", {"A": 1.0})
    assert log.partition_of("a") == log.partition_of("d")
    for day in range(12):
        if day == 4:
            of.tombstone("a")
        if day == 8:
            of.portfolio("a")
        of.close(A=100.0 + day * day)
    undisturbed = log.measured(log.analytics(), of)
    assert [e.n_obs for e in log.analyzed(undisturbed, "a", "risk")] == [0, 1, 2, 3, 0, 1, 2, 3]
    for closes in range(13):
        before = Replica(log.analytics()).adopt().read(of.arrivals).measure(closes=closes)
        after = Replica(log.analytics()).read(of.arrivals).adopt(before.events).measure()
        assert log.by_shard(before.events + after.events) == log.by_shard(undisturbed.events)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(of=logs())
def test_a_nav_is_the_one_before_and_pnl_and_flow(of: Log) -> None:
    measured = log.measured(log.analytics(stale=1), of)
    for name in {e.portfolio_id for e in measured.events}:
        for before, event in pairwise(log.valued(measured, name)):
            known = (before.nav.value, event.pnl.value, event.flow.value, event.nav.value)
            if None in known or before.currency != event.currency:
                continue
            size = max(abs(x) for x in known if x is not None) + event.gross.value  # type: ignore[operator]
            assert sum(known[:3]) == pytest.approx(known[3], abs=1e-9 * size)  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(of=logs())
def test_the_figures_of_basic_are_those_of_the_valuation(of: Log) -> None:
    measured = log.measured(log.analytics(stale=1), of)
    for event in measured.events:
        if isinstance(event, PortfolioValued):
            basic = next(e for e in log.analyzed(measured, event.portfolio_id, "basic") if e.period == event.period)
            assert (basic.figures["nav"], basic.figures["return"]) == (event.nav, event.period_return)
            assert basic.figures["pnl"] == event.pnl
            assert basic.figures["gross"].value == pytest.approx(event.gross.value, rel=1e-12)
