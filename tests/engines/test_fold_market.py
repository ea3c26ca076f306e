"""Closes as a table: carried prices, currencies, the board between closes, scenario returns."""

from datetime import timedelta

import numpy as np
import pytest

from contracts.topics import INSTRUMENTS
from tailstream.fold.market import Board, Market, Prices, Scenarios
from tests.engines import log
from tests.engines.log import FIRST_DAY, Log

pytestmark = pytest.mark.filterwarnings("error")


def market(of: Log, *, window: int = 4, stale: int = 2) -> Market:
    """The market of a world that has read the whole log."""
    replica = log.Replica(log.risk(window=window, stale=stale)).read(of.arrivals)
    assert replica.engine.world.opened == replica.engine.world.market.end
    return replica.engine.world.market


def quoted(*closes: dict[str, float], instruments: tuple[str, ...] = ("A", "B"), **terms: str) -> Log:
    """A log of these closes alone."""
    of = Log()
    of.instruments(*instruments, **terms)
    for prices in closes:
        of.close_at(prices)
    return of


def returns_of(scenarios: Scenarios, name: str) -> list[float]:
    """The scenario returns of one instrument."""
    return [float(r) for r in scenarios.returns[scenarios.rows[name]]]


def test_an_instrument_that_never_had_a_price_has_none_and_is_not_stale() -> None:
    prices = market(quoted({"A": 1.0}, {"B": 2.0})).prices(0)
    assert prices.of("B") == prices.of("nowhere") == (None, False)


def test_a_missing_price_is_carried_flagged_and_then_given_up() -> None:
    folded = market(quoted({"A": 5.0}, {}, {}, {}, {"A": 6.0}), stale=2)
    assert [folded.prices(row).of("A") for row in range(5)] == [
        (5.0, False),
        (5.0, True),
        (5.0, True),
        (None, True),
        (6.0, False),
    ]


def test_nothing_is_carried_where_nothing_may_be() -> None:
    assert market(quoted({"A": 5.0}, {}), stale=0).prices(1).of("A")[0] is None


def test_a_close_without_any_price_is_a_close() -> None:
    folded = market(quoted({}, {}))
    assert folded.end == 2
    assert folded.scenarios(1, "USD").returns.shape == (0, 1)


def test_money_is_worth_itself_without_any_rate() -> None:
    assert market(quoted({"A": 1.0})).prices(0).fx("EUR", "EUR") == (1.0, False)


@pytest.mark.parametrize(("pair", "rate"), [("fx:EURUSD", 1.25), ("fx:USDEUR", 0.8)])
def test_a_rate_serves_both_ways_round(pair: str, rate: float) -> None:
    prices = market(quoted({pair: rate}, instruments=(pair,))).prices(0)
    assert prices.fx("USD", "EUR") == (1.25, False)
    assert prices.fx("EUR", "USD") == (0.8, False)


def test_a_missing_rate_is_none_and_never_one() -> None:
    prices = market(quoted({"A": 1.0, "fx:EURUSD": 1.25}, instruments=("A", "fx:EURUSD"))).prices(0)
    assert prices.fx("USD", "GBP") == prices.fx("GBP", "EUR") == (None, False)


def test_a_rate_that_is_too_old_gives_way_to_the_other_quotation() -> None:
    of = quoted({"fx:EURUSD": 1.25}, {}, {"fx:USDEUR": 0.5}, instruments=("fx:EURUSD", "fx:USDEUR"))
    assert market(of, stale=1).prices(2).fx("EUR", "USD") == (0.5, False)


def test_a_carried_rate_is_flagged() -> None:
    assert market(quoted({"fx:EURUSD": 1.25}, {}, instruments=("fx:EURUSD",))).prices(1).fx("EUR", "USD") == (0.8, True)


def test_scenarios_are_simple_returns_oldest_first() -> None:
    scenarios = market(quoted({"A": 100.0}, {"A": 110.0}, {"A": 99.0})).scenarios(2, "USD")
    assert returns_of(scenarios, "A") == pytest.approx([0.1, -0.1], rel=1e-15)
    assert scenarios.complete


def test_the_first_close_has_no_scenario() -> None:
    scenarios = market(quoted({"A": 100.0})).scenarios(0, "USD")
    assert scenarios.returns.shape == (0, 0)
    assert scenarios.complete


def test_a_gap_costs_both_its_returns_and_none_is_filled() -> None:
    scenarios = market(quoted({"A": 1.0}, {"A": 2.0}, {}, {"A": 4.0}, {"A": 6.0})).scenarios(4, "USD")
    assert returns_of(scenarios, "A") == pytest.approx([1.0, np.nan, np.nan, 0.5], nan_ok=True)
    assert scenarios.observations.tolist() == [2]
    assert not scenarios.complete


def test_the_window_holds_its_number_of_returns_and_no_more() -> None:
    folded = market(quoted(*({"A": 2.0**day} for day in range(7))), window=3)
    assert [folded.scenarios(row, "USD").returns.shape[1] for row in range(7)] == [0, 1, 2, 3, 3, 3, 3]


def test_an_instrument_whose_last_price_left_the_window_has_no_row() -> None:
    folded = market(quoted({"A": 1.0, "B": 1.0}, {"A": 2.0, "B": 2.0}, {"A": 3.0}, {"A": 4.0}), window=2)
    assert list(folded.scenarios(1, "USD").rows) == ["A", "B"]
    assert list(folded.scenarios(3, "USD").rows) == ["A"]


def test_returns_compound_with_those_of_their_currency() -> None:
    of = quoted({"A": 100.0, "fx:EURUSD": 1.0}, {"A": 110.0, "fx:EURUSD": 1.25}, instruments=("A", "fx:EURUSD"))
    folded = market(of)
    assert returns_of(folded.scenarios(1, "EUR"), "A") == pytest.approx([1.1 * 0.8 - 1], rel=1e-14)
    assert returns_of(folded.scenarios(1, "USD"), "A") == pytest.approx([0.1], rel=1e-14)
    assert returns_of(folded.scenarios(1, "EUR"), "cash:USD") == pytest.approx([-0.2], rel=1e-14)
    assert returns_of(folded.scenarios(1, "USD"), "cash:EUR") == pytest.approx([0.25], rel=1e-14)


def test_scenarios_in_a_currency_without_a_rate_leave_the_instrument_out() -> None:
    scenarios = market(quoted({"A": 1.0}, {"A": 2.0})).scenarios(1, "GBP")
    assert dict(scenarios.rows) == {}


def test_a_rate_is_no_instrument_to_be_held_in_scenarios() -> None:
    folded = market(quoted({"fx:EURUSD": 1.0}, {"fx:EURUSD": 2.0}, instruments=("fx:EURUSD",)))
    assert list(folded.scenarios(1, "USD").rows) == ["cash:EUR"]


@pytest.mark.parametrize("once", [{"fx:EURUSD": 1.25}, {"fx:EURUSD": 1.25, "A": 1.0}])
def test_a_pair_that_was_quoted_once_does_not_hide_the_other_quotation(once: dict[str, float]) -> None:
    day = {"A": 1.0, "fx:USDEUR": 0.8}
    with_it = quoted(once, day, day | {"A": 2.0}, instruments=("A", "fx:EURUSD", "fx:USDEUR"))
    without = quoted({}, day, day | {"A": 2.0}, instruments=("A", "fx:USDEUR"))
    assert returns_of(market(with_it).scenarios(2, "EUR"), "A")[-1] == 1.0
    assert market(with_it, window=1).scenarios(2, "EUR").content_hash == (
        market(without, window=1).scenarios(2, "EUR").content_hash
    )


def test_hashes_know_prices_and_ages_and_nothing_that_cannot_be_used() -> None:
    plain = market(quoted({"A": 1.0}, {"A": 1.0}))
    carried = market(quoted({"A": 1.0}, {}))
    given_up = market(quoted({"A": 1.0, "B": 9.0}, {"A": 1.0}), stale=0)
    assert plain.prices_hash(0) == plain.prices_hash(1) == given_up.prices_hash(1)
    assert carried.prices_hash(1) != plain.prices_hash(1)


def test_closes_that_were_forgotten_change_no_later_price_or_scenario() -> None:
    closes = [{"A": 1.0 + day, "B": 2.0} if day % 3 else {"A": 1.0 + day} for day in range(90)]
    whole, trimmed = market(quoted(*closes)), market(quoted(*closes))
    trimmed.forget_before(40)
    trimmed.forget_before(60)
    assert (trimmed.first, trimmed.end, trimmed.point(60)) == (60, 90, whole.point(60))
    for row in range(64, 90):
        assert trimmed.prices_hash(row) == whole.prices_hash(row)
        assert trimmed.scenarios(row, "USD").content_hash == whole.scenarios(row, "USD").content_hash


def test_rows_are_found_by_their_period_after_closes_were_forgotten() -> None:
    folded = market(quoted(*({"A": 1.0} for _ in range(6))))
    folded.forget_before(2)
    assert [folded.row_after(log.period(day)) for day in (0, 1, 2, 5, 9)] == [2, 2, 3, 6, 6]
    assert [folded.has(log.period(day)) for day in (1, 2, 5, 6)] == [False, True, True, False]


def test_a_hundred_instruments_more_than_the_table_was_made_for_fit() -> None:
    names = tuple(f"I{number:03}" for number in range(117))
    folded = market(quoted({"I000": 1.0}, dict.fromkeys(names, 3.0), instruments=names))
    assert folded.prices(1).of("I116") == (3.0, False)
    assert folded.prices(0).of("I116") == (None, False)


def test_an_instrument_ends_with_its_tombstone() -> None:
    of = quoted({"A": 1.0})
    of.tombstone("A", INSTRUMENTS)
    folded = market(of)
    assert folded.instrument("A") is None
    assert folded.instrument("A", cut=1) is not None


def board_over(close: Prices, *, hours: float = 1.0, **prices: float) -> Prices:
    board = Board()
    board.observe(FIRST_DAY + timedelta(hours=hours), prices)
    return board.over(close, FIRST_DAY)


def test_the_board_shows_live_prices_over_those_of_the_close() -> None:
    close = market(quoted({"A": 1.0, "B": 2.0})).prices(0)
    live = board_over(close, A=3.0)
    assert (live.of("A"), live.of("B"), close.of("A")) == ((3.0, False), (2.0, False), (1.0, False))


def test_a_live_price_makes_a_carried_one_fresh() -> None:
    close = market(quoted({"A": 1.0}, {})).prices(1)
    assert board_over(close, A=1.0).of("A") == (1.0, False)


@pytest.mark.parametrize("hours", [0.0, -1.0])
def test_a_live_price_that_is_no_younger_than_the_close_is_not_shown(hours: float) -> None:
    close = market(quoted({"A": 1.0})).prices(0)
    assert board_over(close, hours=hours, A=3.0).of("A") == (1.0, False)


def test_an_older_slice_changes_nothing_and_one_of_the_same_instant_counts() -> None:
    close = market(quoted({"A": 1.0})).prices(0)
    board = Board()
    for hours, price in ((2.0, 20.0), (1.0, 10.0), (2.0, 21.0)):
        board.observe(FIRST_DAY + timedelta(hours=hours), {"A": price})
    assert board.over(close, FIRST_DAY).of("A") == (21.0, False)
    assert board.as_of == FIRST_DAY + timedelta(hours=2)


def test_a_live_price_of_an_instrument_that_no_close_had_yet_is_not_shown() -> None:
    close = market(quoted({"A": 1.0})).prices(0)
    assert board_over(close, B=3.0).of("B") == (None, False)
