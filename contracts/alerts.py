"""Alerts: one event for each step of a breach, with what was measured and what was allowed."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime

from contracts.event import Basis, Event, Period, PortfolioId
from contracts.limits import LimitId


class AlertChanged(Event):
    """An alert was raised, or went a step further. ``alert_id`` stays the same from raised to resolved."""

    event_id: UUID
    alert_id: UUID
    portfolio_id: PortfolioId
    limit_id: LimitId
    type: Literal["limit_warning", "limit_breach", "data_stale", "engine_error"]
    severity: Literal["info", "warning", "critical"]
    state: Literal["raised", "acknowledged", "waived", "escalated", "resolved"]
    basis: Basis
    """``live``: an early warning; the close confirms it with an alert of its own or resolves it."""
    period: Period | None
    as_of: AwareDatetime
    value: float | None
    threshold: float
    utilisation: float | None
    message: str
    raised_at: AwareDatetime
    """``as_of`` of the figure that raised it."""
