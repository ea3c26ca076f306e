"""The books that are replayed: 60 in six desks under one firm, the same ones for the same seed.

What a book is, and what it aims at; what it holds from day to day is in ``holding.py``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random

from contracts.portfolio import PortfolioDefined
from tailstream.sources.instruments import INDEX, STOCKS

FIRM = PortfolioDefined(portfolio_id="firm", name="The firm", base_currency="USD", benchmark=INDEX)
BOOKS_PER_DESK = 10
CAPITAL_MIN, CAPITAL_MAX = 1e6, 50e6

Weights = Mapping[str, float]
"""Share of NAV in each stock; negative is short. What is missing to one is cash, what is beyond it is borrowed."""


@dataclass(frozen=True, slots=True)
class Desk:
    """A desk and how its books choose what to hold; ``lag_days`` is how late in a quarter they trade."""

    definition: PortfolioDefined
    choose: Callable[[Random, int], Weights]
    lag_days: int


@dataclass(frozen=True, slots=True)
class Book:
    """A leaf of the tree. Day counts are trading days since its first; None is never."""

    definition: PortfolioDefined
    capital: float
    """What it starts with, in its base currency."""
    weights: Weights
    lag_days: int
    """It trades this many trading days after the first one of each quarter."""
    foreign_cash: float = 0.0
    """Share of NAV that is kept in dollars by a book of another base currency."""
    monthly_flow: float = 0.0
    """External flow on the first trading day of each month, as a share of NAV; negative is paid out."""
    late_after_days: int | None = None
    """When a trade of the day before is told of only after that day's close."""
    closed_after_days: int | None = None

    @property
    def portfolio_id(self) -> str:
        """The id of the portfolio."""
        return self.definition.portfolio_id

    @property
    def currency(self) -> str:
        """The base currency."""
        return self.definition.base_currency


def _spread(random: Random, stocks: list[str], total: float) -> dict[str, float]:
    """Uneven weights that add up to ``total``."""
    raw = [0.5 + random.random() for _ in stocks]
    return {stock: round(total * share / sum(raw), 4) for stock, share in zip(stocks, raw, strict=True)}


def _long_only(random: Random, _number: int) -> Weights:
    return _spread(random, random.sample(STOCKS, 12), 0.97)


def _concentrated(random: Random, _number: int) -> Weights:
    first, *others = random.sample(STOCKS, 4)
    return {first: 0.45} | _spread(random, others, 0.53)


def _long_short(random: Random, _number: int) -> Weights:
    chosen = random.sample(STOCKS, 14)
    return _spread(random, chosen[:8], 1.1) | _spread(random, chosen[8:], -0.6)


def _levered(random: Random, _number: int) -> Weights:
    return _spread(random, random.sample(STOCKS, 10), 1.5)


def _euro(random: Random, _number: int) -> Weights:
    return _spread(random, random.sample(STOCKS, 10), 0.9)


def _mixed(random: Random, number: int) -> Weights:
    """One of every kind in turn."""
    return (_long_only, _concentrated, _long_short, _levered)[number % 4](random, number)


def _desk(portfolio_id: str, name: str, choose: Callable[[Random, int], Weights], lag: int, base: str = "USD") -> Desk:
    definition = PortfolioDefined(
        portfolio_id=portfolio_id, name=name, base_currency=base, parent=FIRM.portfolio_id, benchmark=INDEX
    )
    return Desk(definition, choose, lag)


DESKS = (
    _desk("long-only", "Long only", _long_only, 0),
    _desk("concentrated", "Concentrated", _concentrated, 1),
    _desk("long-short", "Long-short", _long_short, 2),
    _desk("levered", "Levered", _levered, 3),
    _desk("euro", "In euro", _euro, 4, "EUR"),
    _desk("mixed", "Mixed", _mixed, 5),
)


def books(seed: int) -> tuple[Book, ...]:
    """All leaves, desk by desk."""
    plain = (_book(desk, number, seed) for desk in DESKS for number in range(1, BOOKS_PER_DESK + 1))
    return tuple(_with_its_story(book) for book in plain)


def _book(desk: Desk, number: int, seed: int) -> Book:
    portfolio_id = f"{desk.definition.portfolio_id}-{number:02}"
    random = Random(f"{seed}/{portfolio_id}")
    definition = desk.definition.model_copy(
        update={
            "portfolio_id": portfolio_id,
            "name": f"{desk.definition.name} {number}",
            "parent": desk.definition.portfolio_id,
        }
    )
    capital = round(CAPITAL_MIN * (CAPITAL_MAX / CAPITAL_MIN) ** random.random(), -5)
    foreign_cash = 0.0 if definition.base_currency == "USD" else 0.05
    return Book(definition, capital, desk.choose(random, number), desk.lag_days, foreign_cash)


def _with_its_story(book: Book) -> Book:
    """The few books to which something happens beside their quarterly trades."""
    match book.portfolio_id:
        case "long-only-01" | "euro-01":
            return replace(book, monthly_flow=0.01)
        case "long-only-02" | "mixed-02":
            return replace(book, monthly_flow=-0.005)
        case "mixed-01":
            return replace(book, late_after_days=40)
        case "concentrated-10":
            return replace(book, closed_after_days=125)
        case _:
            return book
