"""The only list of topics: name, events, key, partitions, retention, producers, consumers."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from contracts.alerts import AlertChanged
from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Event
from contracts.limits import LimitCommandDecided, LimitCommandIssued, LimitState
from contracts.market import CorporateAction, InstrumentDefined, PeriodClosed, PricesObserved
from contracts.portfolio import HoldingsReplaced, PortfolioDefined
from contracts.risk import RiskBacktested, RiskMeasured, WhatIfMeasured, WhatIfRequested
from contracts.system import RecordQuarantined, ServiceStatus

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
YEAR_MS = 365 * DAY_MS


class Layout(StrEnum):
    """How a topic's records are spread over partitions."""

    SINGLE = "single"
    """One partition: the order of its records is the system's order."""
    BY_PORTFOLIO = "by_portfolio"
    """``murmur2(portfolio_id) % n``, whatever the record's key; all such topics have the same n."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table. ``retention_ms`` None keeps records for ever."""

    name: str
    event: type[Event]
    key: str
    layout: Layout
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    retention_ms: int | None = None
    compacted: bool = False
    compaction_lag_min_ms: int = 0

    @property
    def config(self) -> Mapping[str, str]:
        """The topic's settings as Kafka names them."""
        expires = self.retention_ms is not None
        policy = ("compact,delete" if expires else "compact") if self.compacted else "delete"
        settings = {"cleanup.policy": policy, "retention.ms": str(self.retention_ms if expires else -1)}
        if self.compaction_lag_min_ms:
            settings["min.compaction.lag.ms"] = str(self.compaction_lag_min_ms)
        return MappingProxyType(settings)


# Versions of instruments are kept for years: a restart reads closes of years ago, below the cuts of then.
INSTRUMENTS = Topic(
    "market.instruments.v1", InstrumentDefined, "instrument", Layout.SINGLE,
    ("source",), ("analytics", "risk"), compacted=True, compaction_lag_min_ms=10 * YEAR_MS,
)  # fmt: skip
ACTIONS = Topic("market.actions.v1", CorporateAction, "instrument", Layout.SINGLE, ("source",), ("analytics", "risk"))
PRICES = Topic(
    "market.prices.v1", PricesObserved, "source", Layout.SINGLE, ("source",), ("analytics", "risk"), retention_ms=DAY_MS
)
CLOSES = Topic("market.closes.v1", PeriodClosed, "source", Layout.SINGLE, ("source",), ("analytics", "risk"))
DEFINITIONS = Topic(
    "portfolio.definitions.v1", PortfolioDefined, "portfolio", Layout.BY_PORTFOLIO,
    ("source",), ("analytics", "risk", "gateway", "cli"), compacted=True,
    compaction_lag_min_ms=30 * DAY_MS,
)  # fmt: skip
HOLDINGS = Topic(
    "portfolio.holdings.v1", HoldingsReplaced, "portfolio", Layout.BY_PORTFOLIO,
    ("source",), ("analytics", "risk", "recorder"), compacted=True, compaction_lag_min_ms=30 * DAY_MS,
)  # fmt: skip
METRICS = Topic(
    "analytics.metrics.v1", AnalyticsComputed, "portfolio", Layout.BY_PORTFOLIO,
    ("analytics",), ("limits", "gateway", "recorder"),
)  # fmt: skip
VALUATIONS = Topic(
    "analytics.valuations.v1", PortfolioValued, "portfolio", Layout.BY_PORTFOLIO,
    ("analytics",), ("analytics", "limits", "gateway", "recorder"),
)  # fmt: skip
ANALYTICS_LIVE = Topic(
    "analytics.live.v1", AnalyticsComputed, "portfolio/analyzer", Layout.BY_PORTFOLIO,
    ("analytics",), ("limits", "gateway"), compacted=True,
)  # fmt: skip
RISK = Topic(
    "risk.metrics.v1", RiskMeasured, "portfolio", Layout.BY_PORTFOLIO,
    ("risk",), ("risk", "limits", "gateway", "recorder"),
)  # fmt: skip
RISK_LIVE = Topic(
    "risk.live.v1", RiskMeasured, "portfolio", Layout.BY_PORTFOLIO, ("risk",), ("limits", "gateway"), compacted=True
)
BACKTESTS = Topic(
    "risk.backtests.v1", RiskBacktested, "portfolio", Layout.BY_PORTFOLIO, ("risk",), ("risk", "recorder")
)
REQUESTS = Topic(
    "risk.requests.v1", WhatIfRequested, "portfolio", Layout.BY_PORTFOLIO,
    ("gateway", "cli"), ("risk",), retention_ms=HOUR_MS,
)  # fmt: skip
REPLIES = Topic(
    "risk.replies.v1", WhatIfMeasured, "portfolio", Layout.BY_PORTFOLIO,
    ("risk",), ("gateway", "cli"), retention_ms=HOUR_MS,
)  # fmt: skip
COMMANDS = Topic(
    "limits.commands.v1", LimitCommandIssued, "portfolio", Layout.BY_PORTFOLIO,
    ("cli",), ("limits",), retention_ms=30 * DAY_MS,
)  # fmt: skip
OUTCOMES = Topic(
    "limits.outcomes.v1", LimitCommandDecided, "portfolio", Layout.BY_PORTFOLIO,
    ("limits",), ("cli",), retention_ms=30 * DAY_MS,
)  # fmt: skip
STATES = Topic(
    "limits.states.v1", LimitState, "portfolio/limit", Layout.BY_PORTFOLIO,
    ("limits",), ("gateway", "recorder"), compacted=True,
)  # fmt: skip
ALERTS = Topic("risk.alerts.v1", AlertChanged, "portfolio", Layout.BY_PORTFOLIO, ("limits",), ("gateway", "recorder"))
STATUS = Topic(
    "system.status.v1", ServiceStatus, "replica", Layout.SINGLE,
    ("analytics", "risk", "limits", "gateway", "recorder"), ("gateway", "source"), retention_ms=DAY_MS, compacted=True,
)  # fmt: skip
QUARANTINE = Topic(
    "quarantine.v1", RecordQuarantined, "original key", Layout.SINGLE,
    ("analytics", "risk", "limits", "gateway", "recorder"), ("cli",), retention_ms=30 * DAY_MS,
)  # fmt: skip

TOPICS: tuple[Topic, ...] = (
    INSTRUMENTS, ACTIONS, PRICES, CLOSES, DEFINITIONS, HOLDINGS, METRICS, VALUATIONS, ANALYTICS_LIVE,
    RISK, BACKTESTS, RISK_LIVE, REQUESTS, REPLIES, COMMANDS, OUTCOMES, STATES, ALERTS, STATUS, QUARANTINE,
)  # fmt: skip
BY_NAME: Mapping[str, Topic] = MappingProxyType({topic.name: topic for topic in TOPICS})
