"""What a client hands on: snapshots, updates, gaps and ends of its subscriptions; data is read when asked for."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from contracts.alerts import AlertChanged
from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Event
from contracts.gateway import Subscribe
from contracts.limits import LimitState
from contracts.risk import RiskMeasured

_MODELS: dict[str, type[Event]] = {
    "subscribe_analytics": AnalyticsComputed,
    "subscribe_risk": RiskMeasured,
    "subscribe_limits": LimitState,
    "subscribe_risk_alerts": AlertChanged,
}
_VALUATION = "valuation/"


@dataclass(eq=False)
class Subscription:
    """What was asked for, and where it stands; the same object through all reconnects."""

    asked: Subscribe
    position: str | None = None
    """The newest position seen: handed back, it resumes from there."""
    seq: int = 0
    """Frames seen on this connection."""
    state: "dict[str, Update]" = field(default_factory=dict)
    """The newest update of each group; of alerts, those that are open."""

    @property
    def portfolio_id(self) -> str:
        """The portfolio, or ``*``."""
        return self.asked.portfolio_id

    @property
    def kind(self) -> str:
        """``analytics``, ``risk``, ``limits`` or ``risk_alerts``."""
        return self.asked.type.removeprefix("subscribe_")


@dataclass(frozen=True, slots=True)
class Update:
    """The newest value of one group. ``seq`` 0 is part of a snapshot."""

    subscription: Subscription
    group: str
    raw: bytes
    seq: int = 0
    basis: str | None = None
    as_of: datetime | None = None
    conflated: bool = False
    sent_at: datetime | None = None
    """When the gateway wrote it; None in a snapshot."""

    @property
    def data(self) -> dict[str, Any] | None:
        """The event as plain data; None: the group is no more."""
        data: dict[str, Any] | None = msgspec.json.decode(self.raw)
        return data

    def event(self) -> Event | None:
        """The event as its contract's model; None: the group is no more.

        Raises
        ------
        pydantic.ValidationError
            When the gateway is older than the contract, or the figures were chosen by name and a method is left out.
        """
        if self.raw == b"null":
            return None
        model = PortfolioValued if self.group.startswith(_VALUATION) else _MODELS[self.subscription.asked.type]
        return model.from_json(self.raw)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state of a subscription; whatever was known of it before is void."""

    subscription: Subscription
    updates: tuple[Update, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames that the gateway dropped because they were not read in time."""

    subscription: Subscription
    from_seq: int
    to_seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The gateway ended the subscription, or would not take it up again after a reconnect."""

    subscription: Subscription
    reason: str


Item = Update | Snapshot | Gap | Ended
