"""What arrives, once it is read: updates of the channels, definitions of portfolios, the word of replicas."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from contracts.portfolio import PortfolioDefined
from contracts.system import ServiceStatus
from contracts.topics import ALERTS, ANALYTICS_LIVE, METRICS, RISK, RISK_LIVE, STATES, VALUATIONS, Topic


class ChannelName(StrEnum):
    """What can be subscribed to."""

    ANALYTICS = "analytics"
    RISK = "risk"
    LIMITS = "limits"
    ALERTS = "alerts"


CHANNEL_TOPICS: dict[ChannelName, tuple[Topic, ...]] = {
    ChannelName.ANALYTICS: (METRICS, ANALYTICS_LIVE, VALUATIONS),
    ChannelName.RISK: (RISK, RISK_LIVE),
    ChannelName.LIMITS: (STATES,),
    ChannelName.ALERTS: (ALERTS,),
}
"""Each channel's topics; a position counts their offsets in this order."""
VALUATION = "valuation"


class AlertSeen(NamedTuple):
    """What of an alert subscriptions choose by."""

    type: str
    severity: str
    open: bool


class Update(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A newer value of one group of one portfolio; ``payload`` None: the group is gone."""

    channel: ChannelName
    topic_index: int
    partition: int
    offset: int
    timestamp_ms: int
    portfolio_id: str
    group: str
    basis: str
    as_of: datetime | None
    event_id: str
    payload: str | None
    alert: AlertSeen | None = None


class Defined(NamedTuple):
    """A portfolio is defined, or closed where ``definition`` is None."""

    portfolio_id: str
    definition: PortfolioDefined | None


class Reported(NamedTuple):
    """A replica said how it is; None: it is forgotten."""

    replica: str
    status: ServiceStatus | None


Arrival = Update | Defined | Reported
