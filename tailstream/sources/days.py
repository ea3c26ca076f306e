"""The replay as a plain iterator: all that happens on each trading day, a function of the history and the plan.

No clock and no bus: a source that was interrupted makes the same days again and goes on where the log ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from contracts.market import PricesObserved
from tailstream.sources.books import books
from tailstream.sources.bridge import quotes
from tailstream.sources.history import History, Prices
from tailstream.sources.ledger import NOTHING, Changes, Ledger
from tailstream.sources.passes import Plan, quoted
from tailstream.sources.session import closing, opening


@dataclass(frozen=True, slots=True)
class TradingDay:
    """One trading day. In order: the changes at the open, the slices, the changes at the close, the close."""

    day: date
    before: Prices
    """The closes of the day before; empty on the first day of all."""
    prices: Prices
    """The closes of the day."""
    seed: int
    warm_up: bool = False
    """Prices only: the books have not begun."""
    synthetic: bool = False
    """True from the second pass on: the prices are made of real returns, but none of them was ever quoted."""
    at_open: Changes = NOTHING
    at_close: Changes = NOTHING

    @property
    def period(self) -> str:
        """The label of the closed period."""
        return self.day.isoformat()

    @property
    def as_of(self) -> datetime:
        """The instant of the close."""
        return closing(self.day)

    def slices(self, count: int, source: str) -> Iterator[PricesObserved]:
        """``count`` synthetic slices, evenly over the session; the same ones for the same day and seed."""
        opened = opening(self.day)
        step = (self.as_of - opened) / (count + 1)
        seen = quotes(self.before, self.prices, count, (self.seed, self.day.toordinal()))
        for number, prices in enumerate(seen, start=1):
            yield PricesObserved(source=source, as_of=opened + number * step, prices=dict(prices), synthetic=True)


def days(history: History, plan: Plan) -> Iterator[TradingDay]:
    """Every day of the plan: the warm-up, the days with their books, then the passes that follow.

    Raises
    ------
    ValueError
        When the history has no day between ``plan.first`` and ``plan.last``.
    """
    ledger = Ledger(list(books(plan.seed)))
    before: Prices = {}
    for now in quoted(history, plan):
        at_open, at_close = (NOTHING, NOTHING) if now.warm_up else ledger.pass_day(now, before)
        yield TradingDay(now.day, before, now.prices, plan.seed, now.warm_up, now.synthetic, at_open, at_close)
        before = now.prices
