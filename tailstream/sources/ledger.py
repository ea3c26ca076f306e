"""All books from day to day: who begins, who trades, what flows, who is late and who ends."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime

from contracts.portfolio import HoldingsReplaced, PortfolioDefined
from tailstream.sources.books import DESKS, FIRM, Book
from tailstream.sources.history import Prices
from tailstream.sources.holding import Holding, begun, funded, has_rate, nav, rebalanced, trimmed
from tailstream.sources.passes import Quoted
from tailstream.sources.session import closing, dealing, opening


@dataclass(frozen=True, slots=True)
class Changes:
    """What becomes of the books at one moment; definitions come before the holdings that need them."""

    definitions: tuple[PortfolioDefined, ...] = ()
    holdings: tuple[HoldingsReplaced, ...] = ()
    closed: tuple[str, ...] = ()
    """Portfolios that end here."""

    def __bool__(self) -> bool:
        return bool(self.definitions or self.holdings or self.closed)


NOTHING = Changes()


@dataclass(slots=True)
class _Calendar:
    """Where a day stands in its quarter and month, by the trading days that were seen."""

    yesterday: date | None = None
    today: date | None = None
    day_of_quarter: int = 0
    new_month: bool = False

    def turn_to(self, day: date) -> None:
        self.yesterday, self.today = self.today, day
        self.new_month = self.yesterday is not None and self.yesterday.month != day.month
        new_quarter = self.new_month and day.month % 3 == 1
        self.day_of_quarter = 0 if self.yesterday is None or new_quarter else self.day_of_quarter + 1


@dataclass(slots=True)
class _Account:
    """A book that has begun and not ended."""

    book: Book
    holding: Holding
    version: int = 1
    age_days: int = 0
    """Trading days since it began."""

    def replace(self, holding: Holding) -> None:
        """Hold something else from now on, under the next version."""
        self.holding = holding
        self.version += 1

    def told(self, effective_at: datetime, external_flow: float = 0.0) -> HoldingsReplaced:
        """The event that publishes the version."""
        return HoldingsReplaced(
            portfolio_id=self.book.portfolio_id,
            version=self.version,
            effective_at=effective_at,
            positions=dict(self.holding.positions),
            cash=dict(self.holding.cash),
            external_flow=external_flow,
        )


@dataclass(slots=True)
class Ledger:
    """The books' state; deterministic, driven by one ``pass_day`` for each trading day."""

    waiting: list[Book]
    """Books that have not begun: they begin as soon as their currency has a price."""
    _accounts: list[_Account] = field(default_factory=list)
    _defined: set[str] = field(default_factory=set)
    _calendar: _Calendar = field(default_factory=_Calendar)

    def pass_day(self, now: Quoted, before: Prices) -> tuple[Changes, Changes]:
        """What becomes of the books when the day opens and when it closes.

        Orders are sized, and books begin, at the closes of the day ``before``; on the first day of all, which has
        none, at the day's own.
        """
        known = before or now.prices
        self._calendar.turn_to(now.day)
        for account in self._accounts:
            account.age_days += 1
        late = tuple(self._late(known))
        at_open = self._begin(now.day, known)
        at_close = Changes(closed=tuple(self._end()), holdings=tuple(self._deal(now, known)))
        return Changes(at_open.definitions, (*late, *at_open.holdings)), at_close

    def _begin(self, day: date, known: Prices) -> Changes:
        begins = [book for book in self.waiting if has_rate(book.currency, known)]
        self.waiting = [book for book in self.waiting if book not in begins]
        accounts = [_Account(book, begun(book, known)) for book in begins]
        self._accounts += accounts
        told = (account.told(opening(day), account.book.capital) for account in accounts)
        return Changes(tuple(self._define(begins)), tuple(told))

    def _define(self, begins: Iterable[Book]) -> Iterator[PortfolioDefined]:
        """The books that begin, each after the firm and the desk above it."""
        desks = {desk.definition.portfolio_id: desk.definition for desk in DESKS}
        for book in begins:
            for node in (FIRM, desks[str(book.definition.parent)], book.definition):
                if node.portfolio_id not in self._defined:
                    self._defined.add(node.portfolio_id)
                    yield node

    def _late(self, before: Prices) -> Iterator[HoldingsReplaced]:
        """Trades of yesterday, made at its closing prices, of which the bus hears only now."""
        yesterday = self._calendar.yesterday
        for account in self._accounts:
            if yesterday and account.age_days == account.book.late_after_days:
                account.replace(trimmed(account.holding, before))
                yield account.told(dealing(yesterday))

    def _end(self) -> Iterator[str]:
        for account in self._accounts:
            if account.age_days == account.book.closed_after_days:
                yield account.book.portfolio_id
        self._accounts = [a for a in self._accounts if a.age_days != a.book.closed_after_days]

    def _deal(self, now: Quoted, known: Prices) -> Iterator[HoldingsReplaced]:
        """Flows and trades at the close. A book that began today has none, and one that is ruined cannot deal."""
        for account in self._accounts:
            flows, trades = self._due(account, now)
            if not (flows or trades):
                continue
            worth = nav(account.holding, account.book, known)
            flow = _flow(account.book, worth, now) if flows else 0.0
            if worth + flow > 0:
                account.replace(_dealt(account, flow, trades, known, now.prices))
                yield account.told(closing(now.day), flow)

    def _due(self, account: _Account, now: Quoted) -> tuple[bool, bool]:
        """Whether money flows and whether the book trades."""
        if now.begins_pass or not account.age_days:
            return now.begins_pass, now.begins_pass
        flows = self._calendar.new_month and account.book.monthly_flow != 0
        return flows, self._calendar.day_of_quarter == account.book.lag_days


def _flow(book: Book, worth: float, now: Quoted) -> float:
    """In whole thousands. A further pass begins with the first capital again: gains are paid out, losses paid in."""
    return float(round(book.capital - worth if now.begins_pass else worth * book.monthly_flow, -3))


def _dealt(account: _Account, flow: float, trades: bool, known: Prices, prices: Prices) -> Holding:
    """The account's next holding: what flows is there before the book trades."""
    holding = funded(account.holding, account.book, flow) if flow else account.holding
    return rebalanced(holding, account.book, known=known, dealt=prices) if trades else holding
