"""What a limit is, the command that defines one, its outcome, and the state it is in."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from contracts.event import Basis, Currency, Event, Level, Part, Period, PortfolioId, Status

Metric = Literal[
    "var_95", "var_975", "var_99", "var_995", "es_95", "es_975", "es_99", "es_995",
    "volatility", "drawdown", "gross", "net", "leverage", "concentration_hhi",
]  # fmt: skip
MONEY_METRICS = frozenset({"gross", "net"})
"""Metrics that are money only; VaR and ES are money when the limit names a currency, else fractions of NAV."""
RATIO_METRICS = frozenset({"volatility", "drawdown", "leverage", "concentration_hhi"})
"""Metrics that are never money."""
Label = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]
"""A name that people or programs gave: no control characters, which a database would refuse."""
LimitId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,96}$")]


class Limit(Part):
    """An approved number that a human owns; ``base`` is money when ``currency`` is named, else a fraction or ratio."""

    limit_id: LimitId
    portfolio_id: PortfolioId
    metric: Metric
    direction: Literal["max", "min"] = "max"
    base: Annotated[float, Field(gt=0)]
    currency: Currency | None = None
    method: Label = "historical"
    """Which VaR method's figures a VaR or ES limit is held against."""
    warn_at: Annotated[float, Field(gt=0, lt=1)] = 0.75
    alert_at: Annotated[float, Field(gt=0, le=1)] = 0.90
    owner: Label

    @model_validator(mode="after")
    def _consistent(self) -> "Limit":
        if self.warn_at > self.alert_at:
            raise ValueError(f"warn_at: expected at most alert_at {self.alert_at}, was {self.warn_at}")
        if self.metric in MONEY_METRICS and self.currency is None:
            raise ValueError(f"currency: expected one for {self.metric}, which is money, was null")
        if self.metric in RATIO_METRICS and self.currency is not None:
            raise ValueError(f"currency: expected null for {self.metric}, which is a ratio, was {self.currency}")
        return self


class LimitCommandIssued(Event):
    """A command to the limit engine; answered by exactly one LimitCommandDecided with the same key."""

    command: Literal["define_limit"]
    idempotency_key: Label
    portfolio_id: PortfolioId
    issued_by: Label
    issued_at: AwareDatetime
    limit: Limit


class LimitCommandDecided(Event):
    """The one outcome of a command."""

    event_id: UUID
    idempotency_key: str
    portfolio_id: PortfolioId
    command: str
    outcome: Literal["accepted", "rejected"]
    reason: str | None = None
    """Code of a refusal: ``wrong_portfolio``, ``currency_mismatch``, ``key_reused``."""
    message: str
    limit_id: LimitId | None = None
    version: int | None = None


class LimitState(Event):
    """Where a limit stands after its newest evaluation.

    ``evaluations`` counts closing evaluations; ``chain`` is the sha256 over them in order, so that two runs that
    evaluated the same closes to the same figures end in the same chain.
    """

    event_id: UUID
    limit_id: LimitId
    portfolio_id: PortfolioId
    metric: Metric
    version: Annotated[int, Field(ge=1)]
    base: float
    effective: float
    currency: Currency | None
    basis: Basis
    period: Period | None
    as_of: AwareDatetime | None
    value: float | None
    status: Status
    utilisation: float | None
    """value / effective (net by its size), and ``2 - value / effective`` of a ``min`` limit; null without a usable
    value. Above 1 is over the limit."""
    level: Level
    """Decided by closes alone."""
    live_level: Level
    """The early warning of live figures since the last close; the close overrules it."""
    evaluations: Annotated[int, Field(ge=0)]
    chain: str
    sequence: Annotated[int, Field(ge=0)] = 0
    """Counts the states published of this limit: of two states the newer is the one with the greater sequence."""
