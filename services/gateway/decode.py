"""What arrives: records of the output topics, read as far as the gateway needs and refused where a client could not.

The payload goes to clients as the bytes that came; nothing is written anew.
"""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from contracts.alerts import AlertChanged
from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.limits import LimitState
from contracts.portfolio import PortfolioDefined
from contracts.risk import RiskMeasured
from contracts.system import ServiceStatus
from contracts.topics import (
    ALERTS,
    ANALYTICS_LIVE,
    DEFINITIONS,
    METRICS,
    RISK,
    RISK_LIVE,
    STATES,
    STATUS,
    VALUATIONS,
    Layout,
    Topic,
)
from services.gateway.structs import struct_of
from tailstream.runtime.records import Record, Rejected, misplaced


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
_Reader = Callable[[Record, str | None], Arrival]


def decode(record: Record, partitions: int) -> Arrival | Rejected:
    """Read one record of one of the gateway's topics; refuse it with what was expected and what came."""
    topic, reader = _READERS[record.topic]
    try:
        text = None if record.value is None else record.value.decode()
        arrival = reader(record, text)
    except (msgspec.MsgspecError, ValueError) as error:
        return Rejected(record, f"{topic.event.__name__}: {error}")
    if topic.layout is Layout.SINGLE or isinstance(arrival, Reported):
        return arrival
    return misplaced(record, arrival.portfolio_id, partitions) or arrival


def _analytics(record: Record, text: str | None) -> Update:
    if text is None:
        portfolio_id, analyzer = _key(record, 2)
        return _gone(record, ChannelName.ANALYTICS, portfolio_id, f"{analyzer}/live")
    seen = _ANALYTICS(text)
    return _measured(record, text, ChannelName.ANALYTICS, seen, seen.analyzer)


def _valuation(record: Record, text: str | None) -> Update:
    text = _present(text)
    return _measured(record, text, ChannelName.ANALYTICS, _VALUATION(text), VALUATION)


def _risk(record: Record, text: str | None) -> Update:
    if text is None:
        return _gone(record, ChannelName.RISK, _key(record, 1)[0], "risk/live")
    return _measured(record, text, ChannelName.RISK, _RISK(text), "risk")


def _measured(record: Record, text: str, channel: ChannelName, seen: Any, kind: str) -> Update:
    return _update(record, channel, seen, f"{kind}/{seen.basis}", text)


def _state(record: Record, text: str | None) -> Update:
    if text is None:
        portfolio_id, limit_id = _key(record, 2)
        return _gone(record, ChannelName.LIMITS, portfolio_id, limit_id)
    seen = _STATE(text)
    return _update(record, ChannelName.LIMITS, seen, seen.limit_id, text)


def _alert(record: Record, text: str | None) -> Update:
    seen = _ALERT(text := _present(text))
    alert = AlertSeen(seen.type, seen.severity, seen.state != "resolved")
    return _update(record, ChannelName.ALERTS, seen, str(seen.alert_id), text, alert)


def _update(
    record: Record, channel: ChannelName, seen: Any, group: str, text: str, alert: AlertSeen | None = None
) -> Update:
    return Update(
        channel=channel,
        topic_index=_INDEX[record.topic],
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        portfolio_id=seen.portfolio_id,
        group=group,
        basis=seen.basis.value,
        as_of=seen.as_of,
        event_id=str(seen.event_id),
        payload=text,
        alert=alert,
    )


def _gone(record: Record, channel: ChannelName, portfolio_id: str, group: str) -> Update:
    """A tombstone has no id of its own: its place in the log names it."""
    place = f"{record.topic}:{record.partition}:{record.offset}"
    return Update(
        channel, _INDEX[record.topic], record.partition, record.offset, record.timestamp_ms,
        portfolio_id, group, "live", None, place, None,
    )  # fmt: skip


def _definition(record: Record, text: str | None) -> Defined:
    if text is None:
        return Defined(_key(record, 1)[0], None)
    definition = PortfolioDefined.from_json(text.encode())
    return Defined(definition.portfolio_id, definition)


def _status(record: Record, text: str | None) -> Reported:
    return Reported(_key(record, 1)[0], None if text is None else ServiceStatus.from_json(text.encode()))


def _present(text: str | None) -> str:
    if text is None:
        raise ValueError("value: expected one, was a tombstone")
    return text


def _key(record: Record, parts: int) -> list[str]:
    found = (record.key or "").split("/", parts - 1)
    if len(found) != parts or not all(found):
        raise ValueError(f"key: expected {parts} parts, was {record.key!r}")
    return found


_ANALYTICS = msgspec.json.Decoder(struct_of(AnalyticsComputed)).decode
_VALUATION = msgspec.json.Decoder(struct_of(PortfolioValued)).decode
_RISK = msgspec.json.Decoder(struct_of(RiskMeasured)).decode
_STATE = msgspec.json.Decoder(struct_of(LimitState)).decode
_ALERT = msgspec.json.Decoder(struct_of(AlertChanged)).decode
_INDEX = {topic.name: index for topics in CHANNEL_TOPICS.values() for index, topic in enumerate(topics)}
_READERS: dict[str, tuple[Topic, _Reader]] = {
    METRICS.name: (METRICS, _analytics),
    ANALYTICS_LIVE.name: (ANALYTICS_LIVE, _analytics),
    VALUATIONS.name: (VALUATIONS, _valuation),
    RISK.name: (RISK, _risk),
    RISK_LIVE.name: (RISK_LIVE, _risk),
    STATES.name: (STATES, _state),
    ALERTS.name: (ALERTS, _alert),
    DEFINITIONS.name: (DEFINITIONS, _definition),
    STATUS.name: (STATUS, _status),
}
