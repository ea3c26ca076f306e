"""The state of the engine, portfolio by portfolio: its limits and where each of them stands."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import TypeAdapter

from contracts.event import Basis, Currency, Level, Period, PortfolioId, Status, event_id
from contracts.limits import Limit, LimitId, LimitState
from contracts.topics import STATES
from services.limits.figures import Assessment
from services.limits.levels import Ladder, worse
from services.limits.waiting import CloseKey

AlertType = Literal["limit_warning", "limit_breach", "data_stale", "engine_error"]
GENESIS = "0" * 64
"""The chain before the first evaluation."""


@dataclass(slots=True)
class OpenAlert:
    """An alert that was raised and not resolved yet."""

    alert_id: UUID
    kind: AlertType
    basis: Basis
    threshold: float
    raised_at: datetime


@dataclass(slots=True)
class Evaluation:
    """What a limit was held against, when, and what came of it."""

    basis: Basis
    period: Period | None
    as_of: datetime
    value: float | None
    status: Status
    utilisation: float | None


@dataclass(slots=True)
class Early:
    """What live figures said since the last close, never read by a closing evaluation."""

    level: Level = "ok"
    as_of: datetime | None = None
    """Of the newest figure that made it what it is."""
    alerts: dict[AlertType, OpenAlert] = field(default_factory=dict)


@dataclass(slots=True)
class Held:
    """A limit and where it stands."""

    limit: Limit
    version: int = 1
    ladder: Ladder = field(default_factory=Ladder)
    measured: bool = False
    """Whether it ever had a usable figure; before that, an ``insufficient`` one is young, not stale."""
    closes_missing: int = 0
    """Closes in a row without a usable figure."""
    evaluations: int = 0
    chain: str = GENESIS
    newest: Evaluation | None = None
    alerts: dict[AlertType, OpenAlert] = field(default_factory=dict)
    """Open alerts that closes raised."""
    early: Early = field(default_factory=Early)
    sequence: int = 0

    def open_alerts(self, basis: Basis) -> dict[AlertType, OpenAlert]:
        """The open alerts that closes raised, or those that live figures did."""
        return self.alerts if basis == Basis.CLOSE else self.early.alerts

    def count(self, key: CloseKey, assessed: Assessment) -> None:
        """Add a closing evaluation, at the level that it led to, to the chain."""
        level = self.ladder.level
        canonical = json.dumps([*key, assessed.value, assessed.status, assessed.utilisation, level])
        self.chain = hashlib.sha256((self.chain + canonical).encode()).hexdigest()
        self.evaluations += 1


@dataclass(slots=True)
class Book:
    """One portfolio's limits, and how far its closes are evaluated."""

    portfolio_id: PortfolioId
    partition: int
    version: int = 0
    """Of the stored row; 0 before it was stored."""
    currency: Currency | None = None
    """Base currency, once a close has told it."""
    evaluated: CloseKey | None = None
    evaluated_as_of: datetime | None = None
    limits: dict[LimitId, Held] = field(default_factory=dict)

    def state_of(self, held: Held) -> LimitState:
        """What there is to say of one limit now."""
        limit, newest = held.limit, held.newest
        return LimitState(
            event_id=event_id(STATES.name, self.portfolio_id, limit.limit_id, held.sequence),
            limit_id=limit.limit_id,
            portfolio_id=self.portfolio_id,
            metric=limit.metric,
            version=held.version,
            base=limit.base,
            effective=limit.base,
            currency=limit.currency,
            basis=newest.basis if newest else Basis.CLOSE,
            period=newest.period if newest else None,
            as_of=newest.as_of if newest else None,
            value=newest.value if newest else None,
            status=newest.status if newest else Status.INSUFFICIENT,
            utilisation=newest.utilisation if newest else None,
            level=held.ladder.level,
            live_level=worse(held.ladder.level, held.early.level),
            evaluations=held.evaluations,
            chain=held.chain,
            sequence=held.sequence,
        )


_BOOK = TypeAdapter(Book)


def book_to_json(book: Book) -> bytes:
    """The book as it is stored."""
    return _BOOK.dump_json(book)


def book_from_json(document: str | bytes) -> Book:
    """A stored book.

    Raises
    ------
    pydantic.ValidationError
        When it was stored by an incompatible version.
    """
    return _BOOK.validate_json(document)
