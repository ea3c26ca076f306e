"""Raising and resolving a limit's alerts; an id is a function of the limit, the alert's type and where it began."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple

from contracts.alerts import AlertChanged
from contracts.event import Basis, Level, Period, event_id
from contracts.limits import Limit
from contracts.topics import ALERTS
from services.limits.book import AlertType, Held, OpenAlert
from services.limits.figures import Assessment, threshold
from services.limits.waiting import CloseKey

SEVERITY: Mapping[AlertType, Literal["warning", "critical"]] = MappingProxyType(
    {"limit_warning": "warning", "limit_breach": "critical", "data_stale": "warning", "engine_error": "critical"}
)
LEVEL_ALERTS: Mapping[Level, AlertType] = MappingProxyType({"warn": "limit_warning", "breach": "limit_breach"})


class Occasion(NamedTuple):
    """What changes an alert: a close, or a live figure seen after the close ``since``."""

    basis: Basis
    period: Period | None
    since: CloseKey | None
    """The close itself, or the last one evaluated before a live figure: what the alert's id is made of."""
    as_of: datetime


def raise_alert(
    held: Held, kind: AlertType, occasion: Occasion, assessed: Assessment, message: str
) -> list[AlertChanged]:
    """Open an alert of this kind and of the occasion's basis; nothing when one is open already."""
    alerts = held.open_alerts(occasion.basis)
    if kind in alerts:
        return []
    alerts[kind] = _opened(held.limit, kind, occasion)
    return [_changed(held.limit, alerts[kind], "raised", occasion, assessed, message)]


def resolve_alert(
    held: Held, kind: AlertType, basis: Basis, occasion: Occasion, assessed: Assessment, message: str
) -> list[AlertChanged]:
    """Close the open alert of this kind and basis; nothing when none is open."""
    opened = held.open_alerts(basis).pop(kind, None)
    return [_changed(held.limit, opened, "resolved", occasion, assessed, message)] if opened else []


def _opened(limit: Limit, kind: AlertType, occasion: Occasion) -> OpenAlert:
    identity = (limit.portfolio_id, limit.limit_id, kind, occasion.basis, *(occasion.since or ()))
    used = limit.warn_at if kind == "limit_warning" else 1.0
    return OpenAlert(event_id(ALERTS.name, *identity), kind, occasion.basis, threshold(limit, used), occasion.as_of)


def _changed(
    limit: Limit,
    alert: OpenAlert,
    state: Literal["raised", "resolved"],
    occasion: Occasion,
    assessed: Assessment,
    message: str,
) -> AlertChanged:
    return AlertChanged(
        event_id=event_id(ALERTS.name, str(alert.alert_id), state),
        alert_id=alert.alert_id,
        portfolio_id=limit.portfolio_id,
        limit_id=limit.limit_id,
        type=alert.kind,
        severity=SEVERITY[alert.kind],
        state=state,
        basis=alert.basis,
        period=occasion.period,
        as_of=occasion.as_of,
        value=assessed.value,
        threshold=alert.threshold,
        utilisation=assessed.utilisation,
        message=message,
        raised_at=alert.raised_at,
    )
