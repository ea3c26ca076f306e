"""What a book holds, and what trades and flows make of it: every change is paid for out of the book's own cash."""

from collections.abc import Mapping
from dataclasses import dataclass

from tailstream.sources.books import Book
from tailstream.sources.history import Prices

DOLLAR = "USD"
"""The currency of every stock."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Whole shares by stock and cash by currency."""

    positions: Mapping[str, float]
    cash: Mapping[str, float]


def dollars_for_one(currency: str, prices: Prices) -> float:
    """The price of one unit of a base currency in dollars.

    Raises
    ------
    KeyError
        When the prices have no rate for it.
    """
    return 1.0 if currency == DOLLAR else prices[f"fx:{currency}{DOLLAR}"]


def has_rate(currency: str, prices: Prices) -> bool:
    """Whether the prices say what the currency is worth in dollars."""
    return currency == DOLLAR or f"fx:{currency}{DOLLAR}" in prices


def nav(holding: Holding, book: Book, prices: Prices) -> float:
    """What the holding is worth at ``prices``, in the book's base currency."""
    dollars = sum(quantity * prices[stock] for stock, quantity in holding.positions.items())
    for currency, amount in holding.cash.items():
        dollars += amount * dollars_for_one(currency, prices)
    return dollars / dollars_for_one(book.currency, prices)


def begun(book: Book, prices: Prices) -> Holding:
    """The first holding: the book's capital, invested at ``prices``."""
    paid_in = Holding({}, {book.currency: book.capital})
    return rebalanced(paid_in, book, known=prices, dealt=prices)


def funded(holding: Holding, book: Book, flow: float) -> Holding:
    """The holding after an external flow in base currency."""
    cash = {**holding.cash, book.currency: holding.cash[book.currency] + flow}
    return Holding(holding.positions, cash)


def rebalanced(holding: Holding, book: Book, *, known: Prices, dealt: Prices) -> Holding:
    """Whole shares for the book's weights, sized at the prices ``known`` when the orders were given
    and paid at the prices ``dealt``, so that the NAV at ``dealt`` is what it was before.
    """
    worth = nav(holding, book, known) * dollars_for_one(book.currency, known)
    positions = {stock: float(round(worth * weight / known[stock])) for stock, weight in sorted(book.weights.items())}
    return _exchanged(_dealt(holding, positions, dealt), book, float(round(worth * book.foreign_cash)), dealt)


def trimmed(holding: Holding, dealt: Prices) -> Holding:
    """The holding after half of the largest position was dealt away."""
    largest = max(holding.positions, key=lambda stock: (abs(holding.positions[stock]) * dealt[stock], stock))
    positions = {**holding.positions, largest: float(round(holding.positions[largest] / 2))}
    return _dealt(holding, positions, dealt)


def _dealt(holding: Holding, positions: Mapping[str, float], prices: Prices) -> Holding:
    """Other positions, paid for in dollars."""
    stocks = sorted({*holding.positions, *positions})
    cost = sum((positions.get(s, 0.0) - holding.positions.get(s, 0.0)) * prices[s] for s in stocks)
    cash = {**holding.cash, DOLLAR: holding.cash.get(DOLLAR, 0.0) - cost}
    return Holding(positions, cash)


def _exchanged(holding: Holding, book: Book, dollars_kept: float, prices: Prices) -> Holding:
    """All dollars beyond those to keep, exchanged into the base currency."""
    if book.currency == DOLLAR:
        return holding
    sold = holding.cash[DOLLAR] - dollars_kept
    bought = sold / dollars_for_one(book.currency, prices)
    cash = {**holding.cash, book.currency: holding.cash[book.currency] + bought, DOLLAR: dollars_kept}
    return Holding(holding.positions, cash)
