"""The replay's books: who is there, what they trade and pay, and what happens to them on the way."""

from collections.abc import Iterator
from datetime import date
from functools import cache
from itertools import islice, pairwise

import pytest

from contracts.portfolio import HoldingsReplaced
from tailstream.runtime.records import partition_of
from tailstream.sources.books import DESKS, FIRM, Book, books
from tailstream.sources.days import TradingDay, days
from tailstream.sources.history import History, Prices, load_history
from tailstream.sources.passes import Plan
from tailstream.sources.session import closing

BOOKS = {book.portfolio_id: book for book in books(1)}


@cache
def real_history() -> History:
    return load_history()


def replay(first: str, last: str, **options: object) -> list[TradingDay]:
    plan = Plan(date.fromisoformat(first), date.fromisoformat(last), **{"once": True, **options})  # type: ignore[arg-type]
    return list(days(real_history(), plan))


@cache
def three_years() -> list[TradingDay]:
    return replay("2007-01-01", "2009-12-31", warm_up_closes=1)


def worth(told: HoldingsReplaced, base: str, prices: Prices) -> float:
    """NAV by hand, apart from the code under test."""
    dollar = 1.0 if base == "USD" else 1.0 / prices["fx:EURUSD"]
    cash = sum(amount * (1.0 if currency == base else dollar) for currency, amount in told.cash.items())
    return cash + sum(quantity * prices[stock] for stock, quantity in told.positions.items()) * dollar


def told(all_days: list[TradingDay]) -> Iterator[tuple[TradingDay, HoldingsReplaced, bool]]:
    for day in all_days:
        yield from ((day, event, True) for event in day.at_open.holdings)
        yield from ((day, event, False) for event in day.at_close.holdings)


def versions(portfolio_id: str, all_days: list[TradingDay]) -> list[tuple[TradingDay, HoldingsReplaced]]:
    return [(day, event) for day, event, _ in told(all_days) if event.portfolio_id == portfolio_id]


def test_there_are_sixty_books_in_six_desks_under_one_firm() -> None:
    opened = three_years()[1].at_open
    parents = {node.portfolio_id: node.parent for node in opened.definitions}
    assert len(BOOKS) == 60
    assert len(parents) == 67
    assert parents[FIRM.portfolio_id] is None
    assert {parents[desk.definition.portfolio_id] for desk in DESKS} == {FIRM.portfolio_id}
    assert {event.portfolio_id for event in opened.holdings} == BOOKS.keys()
    assert all(1e6 <= book.capital <= 50e6 for book in BOOKS.values())


def test_a_node_is_defined_after_its_parent() -> None:
    seen = set()
    for node in three_years()[1].at_open.definitions:
        assert node.parent is None or node.parent in seen
        seen.add(node.portfolio_id)


@pytest.mark.parametrize("partitions", [4, 12])
def test_every_partition_has_books(partitions: int) -> None:
    assert {partition_of(portfolio_id, partitions) for portfolio_id in BOOKS} == set(range(partitions))


def test_the_desks_are_what_their_names_say() -> None:
    def of(desk: str) -> list[Book]:
        return [book for book in BOOKS.values() if book.definition.parent == desk]

    assert all(weight > 0 for book in of("long-only") for weight in book.weights.values())
    assert all(max(book.weights.values()) >= 0.45 for book in of("concentrated"))
    assert all(min(book.weights.values()) < 0 for book in of("long-short"))
    assert all(sum(book.weights.values()) == pytest.approx(1.5, abs=1e-3) for book in of("levered"))
    assert all(book.currency == "EUR" and book.foreign_cash > 0 for book in of("euro"))


def test_a_book_begins_with_its_capital_at_the_close_before() -> None:
    day = three_years()[1]
    for event in day.at_open.holdings:
        book = BOOKS[event.portfolio_id]
        assert event.version == 1
        assert event.external_flow == book.capital
        assert worth(event, book.currency, day.before) == pytest.approx(book.capital, rel=1e-12)


def test_no_trade_changes_the_nav_at_the_price_it_was_dealt_at_but_by_its_flow() -> None:
    current: dict[str, HoldingsReplaced] = {}
    trades = 0
    for day, event, at_open in told(three_years()):
        if (held := current.get(event.portfolio_id)) is not None:
            base, prices = BOOKS[event.portfolio_id].currency, day.before if at_open else day.prices
            expected = worth(held, base, prices) + event.external_flow
            assert worth(event, base, prices) == pytest.approx(expected, rel=1e-11), (day.period, event.portfolio_id)
            trades += event.positions != held.positions
        current[event.portfolio_id] = event
    assert trades > 500


def test_versions_count_up_by_one() -> None:
    for portfolio_id in BOOKS:
        numbers = [event.version for _, event in versions(portfolio_id, three_years())]
        assert numbers == list(range(1, len(numbers) + 1))


def test_quantities_are_whole_shares() -> None:
    assert all(q == int(q) for _, event, _ in told(three_years()) for q in event.positions.values())


def test_each_book_trades_once_a_quarter_near_its_target_weights() -> None:
    for book in BOOKS.values():
        traded = [
            (day, after)
            for (_, before), (day, after) in pairwise(versions(book.portfolio_id, three_years()))
            if before.positions != after.positions and after.effective_at == closing(day.day)
        ]
        quarters = [(day.day.year, (day.day.month - 1) // 3) for day, _ in traded]
        assert len(quarters) == len(set(quarters))
        assert len(quarters) >= (1 if book.closed_after_days else 11)
        day, after = traded[-1]
        dollars = worth(after, book.currency, day.prices) * (day.prices["fx:EURUSD"] if book.currency == "EUR" else 1)
        for stock, weight in book.weights.items():
            assert after.positions[stock] * day.prices[stock] / dollars == pytest.approx(weight, abs=0.08)


def test_money_flows_in_and_out_of_some_books() -> None:
    flows = {
        portfolio_id: [event.external_flow for _, event in versions(portfolio_id, three_years())][1:]
        for portfolio_id in BOOKS
    }
    assert all(any(flow > 0 for flow in flows[name]) for name in ("long-only-01", "euro-01"))
    assert all(any(flow < 0 for flow in flows[name]) for name in ("long-only-02", "mixed-02"))
    assert sum(any(found) for found in flows.values()) == 4


def test_one_book_tells_of_a_trade_after_the_close_it_belongs_to() -> None:
    late = [
        (day, event)
        for day, event, _ in told(three_years())
        if day.before and event.version > 1 and event.effective_at < closing(day.day)
    ]
    [(day, event)] = late
    assert event.portfolio_id == "mixed-01"
    yesterday = max(other.day for other in three_years() if other.day < day.day)
    assert event.effective_at < closing(yesterday)
    assert event.effective_at.date() == yesterday


def test_one_book_is_closed_on_the_way_and_never_heard_of_again() -> None:
    closed = [(number, name) for number, day in enumerate(three_years()) for name in day.at_close.closed]
    [(number, name)] = closed
    assert name == "concentrated-10"
    later = three_years()[number:]
    assert not [event for _, event, _ in told(later) if event.portfolio_id == name]


def test_the_euro_desk_begins_with_the_euro_and_the_other_books_before() -> None:
    opened = [day for day in replay("1998-12-01", "1999-01-29", warm_up_closes=10) if day.at_open.definitions]
    assert [day.period for day in opened] == ["1998-12-01", "1999-01-05"]
    assert len(opened[0].at_open.holdings) == 50
    assert {event.portfolio_id[:5] for event in opened[1].at_open.holdings} == {"euro-"}
    assert {node.portfolio_id for node in opened[1].at_open.definitions} == {"euro"} | {
        name for name in BOOKS if name.startswith("euro-")
    }


def test_books_begin_on_the_very_first_day_of_the_history_at_its_own_close() -> None:
    first = replay("1990-01-02", "1990-01-03", warm_up_closes=500)[0]
    assert not first.before
    for event in first.at_open.holdings:
        capital = BOOKS[event.portfolio_id].capital
        assert worth(event, "USD", first.prices) == pytest.approx(capital, rel=1e-12)


def test_no_book_is_ruined_in_thirty_three_years() -> None:
    held: dict[str, HoldingsReplaced] = {}
    for day in replay("1990-01-02", "2022-12-28", warm_up_closes=0):
        held |= {event.portfolio_id: event for event in (*day.at_open.holdings, *day.at_close.holdings)}
        for portfolio_id, event in held.items():
            assert worth(event, BOOKS[portfolio_id].currency, day.prices) > 0, (day.period, portfolio_id)


def test_a_further_pass_begins_with_the_first_capital_again() -> None:
    looped = islice(days(real_history(), Plan(date(2020, 1, 2), date(2020, 12, 31), 1)), 1 + 3 * 253)
    second, third = [day for day in looped if len(day.at_close.holdings) >= 59 and day.synthetic]
    for day in (second, third):
        for event in day.at_close.holdings:
            book = BOOKS[event.portfolio_id]
            assert worth(event, book.currency, day.before) == pytest.approx(book.capital, abs=1e3, rel=0.05)


def test_another_seed_makes_other_books() -> None:
    assert books(1) == books(1)
    assert [book.weights for book in books(1)] != [book.weights for book in books(2)]
