"""The limit engine: closes, live figures and commands in; alerts, states and outcomes out. No clock, no bus, no store.

What decides is the log: a portfolio's closes are evaluated in order, each once all its parts have arrived, so the
closing evaluations of a limit are the same for any interleaving of the topics, any batch size and any restart. A
command takes effect for the closes evaluated after it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Arrival, Basis, Event, Measured, event_id
from contracts.limits import Limit, LimitCommandDecided, LimitCommandIssued
from contracts.risk import RiskMeasured
from contracts.topics import OUTCOMES
from services.limits.book import Book, Held
from services.limits.evaluate import at_close, at_live
from services.limits.figures import Measurement, analysed, risked
from services.limits.waiting import CloseKey, ClosingPart, Place, WaitingCloses

YARDSTICK = ("metric", "method", "direction", "base", "currency", "warn_at", "alert_at")
"""The fields of a limit that its streaks were counted against."""


class CommandKey(NamedTuple):
    """What makes a command the same command."""

    portfolio_id: str
    idempotency_key: str


class Decision(NamedTuple):
    """A command that was decided, and its one outcome."""

    command: LimitCommandIssued
    outcome: LimitCommandDecided

    @property
    def key(self) -> CommandKey:
        """What makes it the same command."""
        return CommandKey(self.command.portfolio_id, self.command.idempotency_key)


class Definition(NamedTuple):
    """A new version of a limit."""

    limit: Limit
    version: int
    command: LimitCommandIssued


class Announcement(NamedTuple):
    """An event to be published, and the record that caused it."""

    event: Event
    partition: int
    cause: Place


@dataclass(slots=True)
class Step:
    """What a batch of arrivals led to: all of it is to be stored, and announced, or none of it."""

    announcements: list[Announcement] = field(default_factory=list)
    """In the order of publication: alerts and outcomes as they came about, then the newest state of each limit."""
    books: list[Book] = field(default_factory=list)
    """The books that changed, at their new version."""
    definitions: list[Definition] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    waiting: list[Place] = field(default_factory=list)
    """Records of this batch whose close is not settled yet."""
    consumed: list[Place] = field(default_factory=list)
    """Records that waited since an earlier batch and do no longer."""
    closes: int = 0
    """Closes of portfolios that were evaluated."""


class Engine:
    """The limits of the portfolios that this replica owns."""

    def __init__(self, *, stale_after: int) -> None:
        """``stale_after`` closes in a row without a usable figure raise ``data_stale``."""
        self._stale_after = stale_after
        self._books: dict[str, Book] = {}
        self._closes: dict[str, WaitingCloses] = {}
        self._stored: set[Place] = set()

    def restore(self, books: Iterable[Book], waiting: Sequence[Arrival]) -> None:
        """Replace all state by what was stored: the books, and the records whose closes were not settled."""
        self._books = {book.portfolio_id: book for book in books}
        self._closes = {}
        self._stored = set()
        for arrival in waiting:
            part = _closing_part(arrival)
            if part is not None:
                self._stored.add(part.place)
                self._keep(arrival, part)

    @property
    def closes_behind(self) -> int:
        """Closes that wait for their parts, of the portfolio that has the most."""
        return max((len(waiting.closes) for waiting in self._closes.values()), default=0)

    def step(self, arrivals: Sequence[Arrival], decided: Mapping[CommandKey, Decision]) -> Step:
        """Fold a batch in. ``decided`` has the commands of the batch that were decided before."""
        batch = _Batch(dict(decided))
        for arrival in arrivals:
            match arrival.event:
                case LimitCommandIssued():
                    self._command(batch, arrival, arrival.event)
                case Measured(basis=Basis.CLOSE):
                    self._closing(batch, arrival)
                case AnalyticsComputed() | RiskMeasured():
                    batch.live[arrival.topic, arrival.event.portfolio_id] = arrival
        for arrival in batch.live.values():
            self._live(batch, arrival)
        return self._finish(batch)

    def _closing(self, batch: "_Batch", arrival: Arrival) -> None:
        part = _closing_part(arrival)
        if part is None or not self._keep(arrival, part):
            return
        batch.kept[part.place] = None
        book, closes = self._book(arrival), self._closes[_portfolio(arrival)]
        while (key := closes.next_settled()) is not None:
            self._evaluate(batch, book, key, closes.take(), part.place)

    def _keep(self, arrival: Arrival, part: ClosingPart) -> bool:
        book = self._book(arrival)
        key = _close_key(arrival)
        if book.evaluated is not None and key <= book.evaluated:
            return False
        return self._closes.setdefault(book.portfolio_id, WaitingCloses()).add(key, part)

    def _evaluate(
        self, batch: "_Batch", book: Book, key: CloseKey, parts: Mapping[str, ClosingPart], cause: Place
    ) -> None:
        measured = _joined(parts)
        for held in book.limits.values():
            batch.announce(book, cause, at_close(held, key, measured, self._stale_after))
            batch.changed(book, held, cause)
        book.evaluated, book.evaluated_as_of, book.currency = key, measured.as_of, measured.currency
        batch.books[book.portfolio_id] = book
        batch.step.closes += 1
        self._consume(batch, [part.place for part in parts.values()])

    def _consume(self, batch: "_Batch", places: Iterable[Place]) -> None:
        for place in places:
            if place in self._stored:
                self._stored.discard(place)
                batch.step.consumed.append(place)
            batch.kept.pop(place, None)

    def _live(self, batch: "_Batch", arrival: Arrival) -> None:
        book = self._books.get(_portfolio(arrival))
        measured = _measurement(arrival.event)
        if book is None or (book.evaluated_as_of is not None and measured.as_of <= book.evaluated_as_of):
            return
        for held in book.limits.values():
            news, alerts = at_live(held, measured, book.evaluated)
            batch.announce(book, _place(arrival), alerts)
            if news:
                batch.changed(book, held, _place(arrival))

    def _command(self, batch: "_Batch", arrival: Arrival, command: LimitCommandIssued) -> None:
        book, cause = self._book(arrival), _place(arrival)
        before = batch.decided.get(CommandKey(command.portfolio_id, command.idempotency_key))
        if before is not None:
            batch.announce(book, cause, [_repeated(command, before)])
            return
        decision = Decision(command, self._decide(batch, book, command, cause))
        batch.decided[decision.key] = decision
        batch.step.decisions.append(decision)
        batch.announce(book, cause, [decision.outcome])

    def _decide(self, batch: "_Batch", book: Book, command: LimitCommandIssued, cause: Place) -> LimitCommandDecided:
        limit = command.limit
        if (refusal := _refusal(book, command)) is not None:
            return refusal
        held = book.limits.get(limit.limit_id)
        if held is not None and held.limit == limit:
            return _outcome(command, message=f"{limit.limit_id} is as it was", version=held.version)
        held = _defined(held, limit)
        book.limits[limit.limit_id] = held
        batch.step.definitions.append(Definition(limit, held.version, command))
        batch.changed(book, held, cause)
        return _outcome(command, message=f"{limit.limit_id} is at version {held.version}", version=held.version)

    def _finish(self, batch: "_Batch") -> Step:
        step = batch.step
        for (portfolio_id, _), (held, cause) in batch.states.items():
            book = self._books[portfolio_id]
            held.sequence += 1
            step.announcements.append(Announcement(book.state_of(held), book.partition, cause))
        for book in batch.books.values():
            book.version += 1
        step.books.extend(batch.books.values())
        step.waiting.extend(batch.kept)
        self._stored.update(batch.kept)
        return step

    def _book(self, arrival: Arrival) -> Book:
        portfolio_id = _portfolio(arrival)
        if portfolio_id not in self._books:
            self._books[portfolio_id] = Book(portfolio_id, arrival.partition)
        return self._books[portfolio_id]


class _Batch:
    """A step in the making."""

    def __init__(self, decided: dict[CommandKey, Decision]) -> None:
        self.step = Step()
        self.decided = decided
        self.live: dict[tuple[str, str], Arrival] = {}
        self.kept: dict[Place, None] = {}
        self.books: dict[str, Book] = {}
        self.states: dict[tuple[str, str], tuple[Held, Place]] = {}

    def announce(self, book: Book, cause: Place, events: Sequence[Event]) -> None:
        """Publish ``events`` with the step."""
        self.step.announcements.extend(Announcement(event, book.partition, cause) for event in events)

    def changed(self, book: Book, held: Held, cause: Place) -> None:
        """Publish the limit's state, as it is at the end of the step, and store its book."""
        self.states[book.portfolio_id, held.limit.limit_id] = (held, cause)
        self.books[book.portfolio_id] = book


def _place(arrival: Arrival) -> Place:
    return Place(arrival.topic, arrival.partition, arrival.offset)


def _portfolio(arrival: Arrival) -> str:
    assert isinstance(arrival.event, Measured | LimitCommandIssued)
    return arrival.event.portfolio_id


def _close_key(arrival: Arrival) -> CloseKey:
    assert isinstance(arrival.event, Measured)
    assert arrival.event.period is not None
    return CloseKey(arrival.event.period, arrival.event.revision)


def _closing_part(arrival: Arrival) -> ClosingPart | None:
    match arrival.event:
        case PortfolioValued():
            name = "valuation"
        case RiskMeasured():
            name = "tail_risk"
        case AnalyticsComputed(analyzer="basic" | "risk" | "drawdown" as name):
            pass
        case _:
            return None
    return ClosingPart(_place(arrival), name, _measurement(arrival.event))


def _measurement(event: Event | None) -> Measurement:
    match event:
        case RiskMeasured():
            return risked(event)
        case AnalyticsComputed():
            return analysed(event)
        case PortfolioValued():
            return Measurement(event.as_of, event.currency)
    raise TypeError(f"expected a measurement, was {type(event).__name__}")


def _joined(parts: Mapping[str, ClosingPart]) -> Measurement:
    first, *others = (parts[name].measured for name in sorted(parts))
    for other in others:
        first.join(other)
    return first


def _refusal(book: Book, command: LimitCommandIssued) -> LimitCommandDecided | None:
    limit = command.limit
    if limit.portfolio_id != command.portfolio_id:
        message = f"limit.portfolio_id: expected {command.portfolio_id}, the command's, was {limit.portfolio_id}"
        return _outcome(command, reason="wrong_portfolio", message=message)
    if limit.currency is not None and book.currency is not None and limit.currency != book.currency:
        message = f"limit.currency: expected {book.currency}, the portfolio's, was {limit.currency}"
        return _outcome(command, reason="currency_mismatch", message=message)
    return None


def _repeated(command: LimitCommandIssued, before: Decision) -> LimitCommandDecided:
    """The outcome as it was; a refusal when the key now stands for another command."""
    if command.limit == before.command.limit:
        return before.outcome
    message = f"idempotency_key: expected a new one for another command, was {command.idempotency_key}, decided before"
    content = command.limit.model_dump_json()
    return _outcome(command, reason="key_reused", message=message, identity=(content,))


def _outcome(
    command: LimitCommandIssued,
    *,
    message: str,
    reason: str | None = None,
    version: int | None = None,
    identity: tuple[str, ...] = (),
) -> LimitCommandDecided:
    return LimitCommandDecided(
        event_id=event_id(OUTCOMES.name, command.portfolio_id, command.idempotency_key, *identity),
        idempotency_key=command.idempotency_key,
        portfolio_id=command.portfolio_id,
        command=command.command,
        outcome="rejected" if reason else "accepted",
        reason=reason,
        message=message,
        limit_id=command.limit.limit_id,
        version=version,
    )


def _defined(held: Held | None, limit: Limit) -> Held:
    """The limit newly held, or a new version of it.

    A new version keeps the level, the open alerts and the chain: closes alone resolve, also what another number opened.
    Its streaks start anew when it is held against another figure or number.
    """
    if held is None:
        return Held(limit)
    if any(getattr(held.limit, name) != getattr(limit, name) for name in YARDSTICK):
        held.ladder.forget_streaks()
    if (held.limit.metric, held.limit.method) != (limit.metric, limit.method):
        held.measured, held.closes_missing = False, 0
    held.limit, held.version = limit, held.version + 1
    return held
