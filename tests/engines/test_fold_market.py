"""Closes as a table: carried prices, currencies, the board between closes, scenarios with proxies and options."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from contracts.market import InstrumentDefined, OptionTerms, PeriodClosed
from contracts.topics import INSTRUMENTS
from tailstream.fold.market import Board, Market, Prices
from tailstream.fold.scenarios import Scenarios
from tailstream.quant.options import Option, QuotedOption
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


# -- windows and horizons ------------------------------------------------------------------------------------------


def days(count: int) -> list[dict[str, float]]:
    return [{"A": 2.0**day, "B": 3.0 + day % 2} for day in range(count)]


def test_fewer_periods_than_the_market_holds_are_the_newest() -> None:
    folded = market(quoted(*days(7)), window=6)
    whole, newest = folded.scenarios(6, "USD"), folded.scenarios(6, "USD", 2)
    assert newest.periods == whole.periods[-2:] == (log.period(5), log.period(6))
    assert (newest.returns == whole.returns[:, -2:]).all()
    assert folded.scenarios(6, "USD", 99).periods == whole.periods


def test_scenarios_asked_for_again_are_the_same_object() -> None:
    folded = market(quoted(*days(7)), window=6)
    assert folded.scenarios(6, "USD") is folded.scenarios(6, "USD", 6) is folded.history(6, "USD")
    assert folded.scenarios(6, "USD", 3) is folded.scenarios(6, "USD", 3)
    assert folded.scenarios(5, "USD", 3) is not folded.scenarios(6, "USD", 3)


def test_scenarios_are_forgotten_when_they_grow_large(monkeypatch: pytest.MonkeyPatch) -> None:
    folded = market(quoted(*days(7)), window=6)
    monkeypatch.setattr("tailstream.fold.market.REMEMBERED_BYTES_MAX", 100)
    first = folded.scenarios(5, "USD")
    assert folded.scenarios(6, "USD") is folded.scenarios(6, "USD")
    again = folded.scenarios(5, "USD")
    assert again is not first
    assert again.content_hash == first.content_hash


def test_a_horizon_compounds_price_and_rate_from_one_end_to_the_other() -> None:
    closes = [{"A": a, "fx:EURUSD": fx} for a, fx in ((100.0, 1.0), (110.0, 2.0), (120.0, 1.5), (150.0, 1.2))]
    folded = market(quoted(*closes, instruments=("A", "fx:EURUSD")))
    long = folded.horizon_scenarios(3, "EUR", 3, 2)
    assert returns_of(long, "A") == pytest.approx([1.2 / 1.5 - 1, (150 / 110) / (1.2 / 2.0) - 1])
    assert returns_of(long, "cash:USD") == pytest.approx([1 / 1.5 - 1, 2.0 / 1.2 - 1])
    assert (long.horizon, long.periods) == (2, (log.period(2), log.period(3)))


def test_a_horizon_reaches_no_further_back_than_its_window() -> None:
    folded = market(quoted(*days(7)), window=6)
    assert folded.horizon_scenarios(6, "USD", 4, 3).returns.shape == (2, 2)
    assert folded.horizon_scenarios(6, "USD", 4, 4).returns.shape == (2, 1)
    assert folded.horizon_scenarios(6, "USD", 4, 5).returns.shape == (0, 0)
    assert folded.horizon_scenarios(6, "USD", 99, 2).returns.shape == (2, 5)


def test_a_horizon_needs_no_price_in_between() -> None:
    folded = market(quoted({"A": 1.0}, {}, {"A": 3.0}, {"A": 4.0}))
    assert returns_of(folded.horizon_scenarios(3, "USD", 3, 2), "A") == pytest.approx([2.0, np.nan], nan_ok=True)


def test_a_window_of_the_past_has_the_returns_whose_closes_lie_in_it() -> None:
    folded = market(quoted(*days(7)), window=6)
    past = folded.window_scenarios(6, "USD", log.period(2), log.period(3))
    assert past.periods == (log.period(2), log.period(3))
    assert returns_of(past, "B") == pytest.approx([-0.25, 1 / 3])


@pytest.mark.parametrize(
    ("first", "last", "held"), [("1990-01-01", "2030-01-01", 6), ("2008-09-04", "2008-09-04", 1), ("1990", "1991", 0)]
)
def test_a_window_is_as_long_as_the_closes_that_are_held(first: str, last: str, held: int) -> None:
    folded = market(quoted(*days(7)), window=6)
    assert len(folded.window_scenarios(6, "USD", first, last).periods) == held


def test_a_window_of_the_past_knows_no_later_close_and_none_that_left_the_market_s_window() -> None:
    folded = market(quoted(*days(9)), window=3)
    assert folded.window_scenarios(5, "USD", "1990", "2030").periods == tuple(log.period(day) for day in (3, 4, 5))
    assert folded.window_scenarios(5, "USD", log.period(7), log.period(8)).periods == ()


def test_a_window_is_known_from_its_beginning_where_a_close_before_it_is_held() -> None:
    folded = market(quoted(*days(7)), window=3)
    assert [folded.reaches(5, log.period(day)) for day in (1, 2, 3, 6)] == [False, False, True, True]


# -- proxies -------------------------------------------------------------------------------------------------------


def proxied(*closes: dict[str, float], proxy: str = "P", currency: str = "USD") -> Log:
    of = Log()
    of.instruments("P", "fx:EURUSD")
    of.instruments("A", proxy=proxy, currency=currency)
    for prices in closes:
        of.close_at(prices)
    return of


def test_a_proxy_fills_what_an_instrument_lacks_and_its_own_returns_win() -> None:
    closes = ({"P": 1.0}, {"P": 2.0, "A": 10.0}, {"P": 3.0, "A": 11.0}, {"P": 6.0}, {"P": 9.0, "A": 12.0})
    scenarios = market(proxied(*closes)).scenarios(4, "USD")
    assert returns_of(scenarios, "A") == pytest.approx([1.0, 0.1, 1.0, 0.5])
    assert scenarios.proxied == {"A": "P"}
    assert scenarios.observations.tolist() == [4, 4]
    assert scenarios.complete


def test_a_proxy_that_is_not_needed_is_not_named() -> None:
    scenarios = market(proxied({"P": 1.0, "A": 1.0}, {"P": 3.0, "A": 2.0})).scenarios(1, "USD")
    assert returns_of(scenarios, "A") == [1.0]
    assert scenarios.proxied == {}


def test_a_proxy_that_has_no_return_either_fills_nothing() -> None:
    scenarios = market(proxied({"P": 1.0}, {"A": 2.0}, {"A": 3.0})).scenarios(2, "USD")
    assert returns_of(scenarios, "A") == pytest.approx([np.nan, 0.5], nan_ok=True)
    assert scenarios.proxied == {}


def test_an_unknown_proxy_is_none() -> None:
    scenarios = market(proxied({"P": 1.0}, {"P": 2.0, "A": 2.0}, proxy="nowhere")).scenarios(1, "USD")
    assert list(scenarios.rows) == ["P"]


def test_a_proxy_lends_its_local_return_and_the_currency_stays_the_instrument_s_own() -> None:
    closes = ({"P": 1.0, "fx:EURUSD": 1.0}, {"P": 1.1, "A": 5.0, "fx:EURUSD": 1.2})
    scenarios = market(proxied(*closes, currency="EUR")).scenarios(1, "USD")
    assert returns_of(scenarios, "A") == pytest.approx([1.1 * 1.2 - 1])


def test_a_proxy_of_a_proxy_is_not_followed() -> None:
    of = Log()
    of.instruments("Q")
    of.instruments("P", proxy="Q")
    of.instruments("A", proxy="P")
    for prices in ({"Q": 1.0}, {"Q": 2.0, "P": 1.0, "A": 1.0}, {"Q": 3.0, "P": 1.1, "A": 1.2}):
        of.close_at(prices)
    scenarios = market(of).scenarios(2, "USD")
    assert returns_of(scenarios, "P") == pytest.approx([1.0, 0.1])
    assert returns_of(scenarios, "A") == pytest.approx([np.nan, 0.2], nan_ok=True)
    assert scenarios.proxied == {"P": "Q"}


def test_a_proxy_stands_in_over_a_horizon_and_in_a_window_before_the_instrument_was_listed() -> None:
    closes = [{"P": 2.0**day} | ({"A": 1.0} if day == 4 else {}) for day in range(5)]
    folded = market(proxied(*closes))
    assert returns_of(folded.horizon_scenarios(4, "USD", 4, 2), "A") == [3.0, 3.0, 3.0]
    past = folded.window_scenarios(4, "USD", log.period(1), log.period(2))
    assert returns_of(past, "A") == [1.0, 1.0]
    assert past.proxied == {"A": "P"}


def test_a_proxy_fills_nothing_for_an_instrument_whose_last_price_left_the_market_s_window() -> None:
    """A replica that began to read after that price would not even know the instrument."""
    closes = [{"P": 1.0 + day} | ({"A": 1.0} if day == 0 else {}) for day in range(5)]
    folded = market(proxied(*closes), window=2)
    assert list(folded.scenarios(2, "USD").rows) == ["A", "P"]
    assert list(folded.scenarios(3, "USD").rows) == ["P"]


# -- options -------------------------------------------------------------------------------------------------------

SPOTS, RATES = (100.0, 90.0, 99.0, 110.0), (1.0, 1.1, 1.2, 1.1)
PREMIUM, STRIKE = 8.0, 105.0
EXPIRY = FIRST_DAY + timedelta(days=3 + 73)
TERMS = Option("call", STRIKE, 0.02, 0.01)


def optional(
    *,
    premium: float | None = PREMIUM,
    underlying: str = "A",
    currency: str = "EUR",
    expires_at: datetime = EXPIRY,
    strike: float = STRIKE,
    quotes: Sequence[Mapping[str, float]] | None = None,
) -> Log:
    """An option on A in euros, four closes, and the price of the option at the last of them."""
    of = Log()
    of.instruments("fx:EURUSD")
    of.instruments("A", currency="EUR")
    terms = OptionTerms(
        underlying=underlying, right="call", strike=strike, expires_at=expires_at, rate=0.02, dividend_yield=0.01
    )
    of.instruments("O", kind="option", option=terms, currency=currency)
    days = quotes or [{"A": spot, "fx:EURUSD": rate} for spot, rate in zip(SPOTS, RATES, strict=True)]
    for prices in days[:-1]:
        of.close_at(prices)
    of.close_at({**days[-1], **({"O": premium} if premium is not None else {})})
    return of


def revalued_by_hand(local: Sequence[float], *, periods: float = 1.0) -> list[float]:
    """Returns of the option in euros."""
    held = QuotedOption.of(TERMS, PREMIUM, SPOTS[-1], 0.2)
    assert held is not None
    return [float(r) for r in held.revalued(np.array(local), periods / 252)]


LOCAL = [after / before - 1 for before, after in pairwise(SPOTS)]
FX = [after / before - 1 for before, after in pairwise(RATES)]


def test_an_option_is_revalued_under_the_local_returns_of_its_underlying() -> None:
    scenarios = market(optional()).scenarios(3, "EUR")
    assert returns_of(scenarios, "O") == pytest.approx(revalued_by_hand(LOCAL), rel=1e-12)
    assert list(scenarios.rows) == ["A", "O", "cash:USD"]


def test_an_option_in_another_currency_compounds_with_it_and_is_not_revalued_under_it() -> None:
    by_hand = [(1 + o) * (1 + f) - 1 for o, f in zip(revalued_by_hand(LOCAL), FX, strict=True)]
    assert returns_of(market(optional()).scenarios(3, "USD"), "O") == pytest.approx(by_hand, rel=1e-9)


def test_over_a_horizon_an_option_grows_older_by_it() -> None:
    over_two = [SPOTS[2] / SPOTS[0] - 1, SPOTS[3] / SPOTS[1] - 1]
    scenarios = market(optional()).horizon_scenarios(3, "EUR", 3, 2)
    assert returns_of(scenarios, "O") == pytest.approx(revalued_by_hand(over_two, periods=2.0), rel=1e-12)


def test_an_option_has_no_return_where_its_underlying_has_none() -> None:
    quotes = [{"A": 100.0}, {}, {"A": 99.0}, {"A": 110.0}]
    scenarios = market(optional(quotes=quotes)).scenarios(3, "EUR")
    assert np.isnan(returns_of(scenarios, "O")).tolist() == [True, True, False]


def test_an_option_whose_underlying_is_proxied_is_flagged_with_it() -> None:
    of = Log()
    of.instruments("P")
    of.instruments("A", proxy="P")
    of.instruments("O", kind="option", option=OptionTerms(underlying="A", right="put", strike=9.0, expires_at=EXPIRY))
    for prices in ({"P": 1.0}, {"P": 0.9, "A": 10.0, "O": 0.5}):
        of.close_at(prices)
    scenarios = market(of).scenarios(1, "USD")
    assert scenarios.proxied == {"A": "P", "O": "P"}
    assert returns_of(scenarios, "O")[0] > 0.0


@pytest.mark.parametrize(
    "terms",
    [
        {"premium": None},
        {"premium": 1_000.0},  # dearer than its underlying
        {"premium": 0.5, "strike": 80.0},  # cheaper than exercising it
        {"underlying": "nowhere"},
        {"underlying": "fx:EURUSD"},  # which is quoted in dollars
        {"currency": "USD"},
        {"expires_at": FIRST_DAY + timedelta(days=3)},
        {"quotes": [{"A": 100.0}, {}, {}, {}]},  # a spot too old
    ],
)
def test_an_option_that_cannot_be_valued_has_no_row(terms: dict[str, Any]) -> None:
    scenarios = market(optional(**terms)).scenarios(3, "EUR")
    assert "O" not in scenarios.rows
    assert scenarios.options == {}


def test_an_option_on_an_option_has_no_row() -> None:
    of = optional()
    terms = OptionTerms(underlying="O", right="call", strike=1.0, expires_at=EXPIRY)
    of.instruments("OO", kind="option", option=terms, currency="EUR")
    of.close_at({"A": 100.0, "O": 3.0, "OO": 2.5})
    assert list(market(of).scenarios(4, "EUR").rows) == ["A", "O", "cash:USD"]


@pytest.mark.parametrize(("base", "moves"), [("USD", FX), ("EUR", FX)])
def test_an_option_on_a_rate_moves_with_the_money_it_is_on(base: str, moves: list[float]) -> None:
    of = Log()
    of.instruments("fx:EURUSD")
    terms = OptionTerms(underlying="fx:EURUSD", right="call", strike=1.1, expires_at=EXPIRY)
    of.instruments("O", kind="option", option=terms, currency="USD")
    for rate in RATES[:-1]:
        of.close_at({"fx:EURUSD": rate})
    of.close_at({"fx:EURUSD": RATES[-1], "O": 0.05})
    held = QuotedOption.of(Option("call", 1.1), 0.05, 1.1, 0.2)
    assert held is not None
    dollars = held.revalued(np.array(moves), 1 / 252)
    by_hand = dollars if base == "USD" else (1 + dollars) / (1 + np.array(FX)) - 1
    assert returns_of(market(of).scenarios(3, base), "O") == pytest.approx(list(by_hand), rel=1e-9)


def test_delta_gamma_replaces_the_options_alone() -> None:
    scenarios = market(optional()).scenarios(3, "EUR")
    by_parabola = scenarios.delta_gamma()
    rows = scenarios.rows
    held = scenarios.options["O"].quoted
    assert by_parabola[rows["O"]] == pytest.approx(held.delta_gamma(np.array(LOCAL), 1 / 252))
    assert (by_parabola[rows["A"]] == scenarios.returns[rows["A"]]).all()
    assert not np.allclose(by_parabola[rows["O"]], scenarios.returns[rows["O"]], atol=1e-3)


def test_other_returns_revalue_the_options_whatever_stood_in_their_rows() -> None:
    scenarios = market(optional()).scenarios(3, "USD")
    other = np.full((len(scenarios.rows), 2), np.nan)
    other[scenarios.rows["A"]] = [(1 - 0.2) * 1.1 - 1, 0.1]
    other[scenarios.rows["cash:EUR"]] = 0.1
    made = scenarios.revalued(other, periods=0)
    by_hand = [(1 + o) * 1.1 - 1 for o in revalued_by_hand([-0.2, 0.0], periods=0.0)]
    assert made[scenarios.rows["O"]] == pytest.approx(by_hand, abs=1e-12)
    assert np.isnan(other[scenarios.rows["O"]]).all()


def test_the_returns_of_the_scenarios_revalue_to_themselves() -> None:
    scenarios = market(optional()).scenarios(3, "USD")
    assert scenarios.revalued(scenarios.returns).tobytes() == scenarios.returns.tobytes()


def test_without_options_nothing_is_copied() -> None:
    scenarios = market(quoted(*days(4))).scenarios(3, "USD")
    assert scenarios.delta_gamma() is scenarios.returns
    other = np.zeros((2, 5))
    assert scenarios.revalued(other) is other


def test_over_a_whole_window_an_option_ends_where_its_underlying_does_and_no_older() -> None:
    scenarios = market(optional()).scenarios(3, "EUR")
    over_all = scenarios.cumulative()
    assert over_all[scenarios.rows["A"]] == pytest.approx(SPOTS[-1] / SPOTS[0] - 1)
    assert over_all[scenarios.rows["O"]] == pytest.approx(revalued_by_hand([0.1], periods=0.0)[0], rel=1e-12)


def test_an_option_changes_no_bit_of_what_is_beside_it() -> None:
    with_option, without = market(optional()).scenarios(3, "USD"), market(optional(premium=None)).scenarios(3, "USD")
    for name, row in without.rows.items():
        assert with_option.returns[with_option.rows[name]].tobytes() == without.returns[row].tobytes()


TERMS_OF_A = OptionTerms(underlying="A", right="call", strike=100.0, expires_at=FIRST_DAY + timedelta(days=400))
ALL_KINDS: tuple[Callable[[Market, int], Scenarios], ...] = (
    lambda market, row: market.scenarios(row, "USD"),
    lambda market, row: market.scenarios(row, "EUR", 4),
    lambda market, row: market.horizon_scenarios(row, "USD", 8, 3),
    lambda market, row: market.window_scenarios(row, "USD", log.period(0), log.period(80)),
)


def test_a_market_that_began_to_read_later_makes_the_same_scenarios_of_every_kind() -> None:
    drawn = np.random.default_rng(11)
    of = Log()
    of.instruments("fx:EURUSD", "P")
    of.instruments("A", currency="EUR", proxy="P")
    of.instruments("O", kind="option", currency="EUR", option=TERMS_OF_A)
    closes = [
        {
            name: float(drawn.uniform(0.9, 1.1)) * level
            for name, level in (("A", 100.0), ("P", 50.0), ("O", 12.0), ("fx:EURUSD", 1.1))
            if drawn.random() < (0.05 if name == "A" else 0.8)
        }
        for _ in range(120)
    ]
    for prices in closes:
        of.close_at(prices)
    whole, late = market(of, window=8), log.world(window=8).market
    began = 60
    for arrival in of.arrivals:
        if isinstance(arrival.event, InstrumentDefined):
            late.define(arrival.offset, arrival.key, arrival.event)
        elif isinstance(arrival.event, PeriodClosed) and arrival.offset >= began:
            late.append(arrival.offset, arrival.event)
    kinds = set()
    for row in range(began + 11, 120):
        for ask in ALL_KINDS:
            seen, again = ask(whole, row), ask(late, row - began)
            assert seen.content_hash == again.content_hash
            assert (seen.periods, seen.proxied, list(seen.options)) == (
                again.periods,
                again.proxied,
                list(again.options),
            )
            kinds |= {bool(seen.proxied), bool(seen.options)}
    assert kinds == {True, False}
