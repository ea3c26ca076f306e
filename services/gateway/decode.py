"""What arrives: records of the output topics, read as far as the gateway needs and refused where a client could not.

The payload goes to clients as the bytes that came; nothing is written anew.
"""

from collections.abc import Callable
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
    Topic,
)
from services.gateway.arrivals import (
    CHANNEL_TOPICS,
    VALUATION,
    AlertSeen,
    Arrival,
    ChannelName,
    Defined,
    Reported,
    Update,
)
from tailstream.runtime.records import Record, Rejected, misplaced
from tailstream.runtime.structs import struct_of


def decode(record: Record, partitions: int) -> Arrival | Rejected:
    """Read one record of one of the gateway's topics; refuse it with what was expected and what came."""
    reading = _READINGS[record.topic]
    try:
        arrival = reading.gone(record) if record.value is None else reading.read(record, record.value)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Rejected(record, f"{reading.topic.event.__name__}: {error}")
    if isinstance(arrival, Reported):
        return arrival
    return misplaced(record, arrival.portfolio_id, partitions) or arrival


def _analytics(record: Record, value: bytes) -> Update:
    seen = _ANALYTICS(value)
    return _update(record, ChannelName.ANALYTICS, seen, f"{seen.analyzer}/{seen.basis}", value)


def _valuation(record: Record, value: bytes) -> Update:
    seen = _VALUATION(value)
    return _update(record, ChannelName.ANALYTICS, seen, f"{VALUATION}/{seen.basis}", value)


def _risk(record: Record, value: bytes) -> Update:
    seen = _RISK(value)
    return _update(record, ChannelName.RISK, seen, f"risk/{seen.basis}", value)


def _state(record: Record, value: bytes) -> Update:
    seen = _STATE(value)
    return _update(record, ChannelName.LIMITS, seen, seen.limit_id, value)


def _alert(record: Record, value: bytes) -> Update:
    seen = _ALERT(value)
    alert = AlertSeen(seen.type, seen.severity, seen.state != "resolved")
    return _update(record, ChannelName.ALERTS, seen, str(seen.alert_id), value, alert)


def _definition(_record: Record, value: bytes) -> Defined:
    definition = PortfolioDefined.from_json(value)
    return Defined(definition.portfolio_id, definition)


def _status(record: Record, value: bytes) -> Reported:
    return Reported(record.key or "", ServiceStatus.from_json(value))


def _no_analytics(record: Record) -> Update:
    portfolio_id, analyzer = _key(record, "portfolio/analyzer")
    return _gone(record, ChannelName.ANALYTICS, portfolio_id, f"{analyzer}/live")


def _no_risk(record: Record) -> Update:
    (portfolio_id,) = _key(record, "portfolio")
    return _gone(record, ChannelName.RISK, portfolio_id, "risk/live")


def _no_state(record: Record) -> Update:
    portfolio_id, limit_id = _key(record, "portfolio/limit")
    return _gone(record, ChannelName.LIMITS, portfolio_id, limit_id)


def _no_definition(record: Record) -> Defined:
    (portfolio_id,) = _key(record, "portfolio")
    return Defined(portfolio_id, None)


def _no_status(record: Record) -> Reported:
    return Reported(record.key or "", None)


def _never(_record: Record) -> Update:
    raise ValueError("expected a value, was a tombstone")


def _update(
    record: Record, channel: ChannelName, seen: Any, group: str, value: bytes, alert: AlertSeen | None = None
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
        payload=value.decode(),
        alert=alert,
    )


def _gone(record: Record, channel: ChannelName, portfolio_id: str, group: str) -> Update:
    """A tombstone has no id of its own: its place in the log names it."""
    return Update(
        channel=channel,
        topic_index=_INDEX[record.topic],
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        portfolio_id=portfolio_id,
        group=group,
        basis="live",
        as_of=None,
        event_id=f"{record.topic}:{record.partition}:{record.offset}",
        payload=None,
    )


def _key(record: Record, form: str) -> list[str]:
    found = (record.key or "").split("/", form.count("/"))
    if len(found) != form.count("/") + 1 or not all(found):
        raise ValueError(f"key: expected {form}, was {record.key!r}")
    return found


class _Reading(NamedTuple):
    topic: Topic
    read: Callable[[Record, bytes], Arrival]
    gone: Callable[[Record], Arrival]


_ANALYTICS = msgspec.json.Decoder(struct_of(AnalyticsComputed)).decode
_VALUATION = msgspec.json.Decoder(struct_of(PortfolioValued)).decode
_RISK = msgspec.json.Decoder(struct_of(RiskMeasured)).decode
_STATE = msgspec.json.Decoder(struct_of(LimitState)).decode
_ALERT = msgspec.json.Decoder(struct_of(AlertChanged)).decode
_INDEX = {topic.name: index for topics in CHANNEL_TOPICS.values() for index, topic in enumerate(topics)}
_READINGS = {
    reading.topic.name: reading
    for reading in (
        _Reading(METRICS, _analytics, _never),
        _Reading(ANALYTICS_LIVE, _analytics, _no_analytics),
        _Reading(VALUATIONS, _valuation, _never),
        _Reading(RISK, _risk, _never),
        _Reading(RISK_LIVE, _risk, _no_risk),
        _Reading(STATES, _state, _no_state),
        _Reading(ALERTS, _alert, _never),
        _Reading(DEFINITIONS, _definition, _no_definition),
        _Reading(STATUS, _status, _no_status),
    )
}
