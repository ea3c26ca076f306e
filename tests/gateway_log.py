"""A log of the gateway's topics for tests: events with running numbers, as records with offsets."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from contracts import topics
from contracts.alerts import AlertChanged
from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Basis, Cut, Event, Figure, Inputs, event_id
from contracts.examples import EXAMPLES
from contracts.limits import LimitState
from contracts.portfolio import PortfolioDefined
from contracts.risk import RiskMeasured
from contracts.topics import Topic
from tailstream.runtime.records import Record, placement

PARTITIONS = 4
START = datetime(2008, 1, 1, 21, tzinfo=UTC)
_INPUTS = Inputs(
    close_offset=1, cut=Cut(holdings=(0,), definitions=(0,), instruments=0, actions=0), book="b", market="m", models={}
)


class Log:
    """Appends events to the partitions of their topics; offsets leave gaps, as transaction markers do."""

    def __init__(self) -> None:
        self.ends: Counter[tuple[str, int]] = Counter()

    def append(self, topic: Topic, event: Event | None, key: str, **overrides: Any) -> Record:
        """The event as a record, keyed and placed as its producer would."""
        portfolio_id = key.split("/")[0]
        partition = placement(topic, portfolio_id, PARTITIONS)
        offset = self.ends[topic.name, partition]
        self.ends[topic.name, partition] += 1 + offset % 2
        value = None if event is None else event.to_json()
        record = Record(topic.name, partition, offset, key, value, int(START.timestamp() * 1000))
        return record._replace(**overrides)

    def defined(self, portfolio_id: str) -> Record:
        """A portfolio is defined."""
        definition = PortfolioDefined(portfolio_id=portfolio_id, name=portfolio_id, base_currency="USD")
        return self.append(topics.DEFINITIONS, definition, portfolio_id)

    def computed(self, portfolio_id: str, number: int, analyzer: str = "basic", basis: Basis = Basis.LIVE) -> Record:
        """Figures of an analyzer, live or of a close."""
        live = basis is Basis.LIVE
        topic = topics.ANALYTICS_LIVE if live else topics.METRICS
        return self.append(topic, computed(portfolio_id, number, analyzer, basis), _key(portfolio_id, analyzer, live))

    def valued(self, portfolio_id: str, number: int) -> Record:
        """A close's valuation."""
        example = EXAMPLES[topics.VALUATIONS.name]
        assert isinstance(example, PortfolioValued)
        event = _numbered(example, topics.VALUATIONS, portfolio_id, number)
        return self.append(topics.VALUATIONS, event, portfolio_id)

    def measured(self, portfolio_id: str, number: int, basis: Basis = Basis.LIVE) -> Record:
        """VaR and ES."""
        topic = topics.RISK_LIVE if basis is Basis.LIVE else topics.RISK
        example = EXAMPLES[topic.name]
        assert isinstance(example, RiskMeasured)
        return self.append(topic, _numbered(example, topic, portfolio_id, number), portfolio_id)

    def state(self, portfolio_id: str, number: int, limit: str = "var_99") -> Record:
        """Where a limit stands."""
        example = EXAMPLES[topics.STATES.name]
        assert isinstance(example, LimitState)
        limit_id = f"{portfolio_id}:{limit}"
        changed = {"limit_id": limit_id, "value": float(number)}
        event = _numbered(example, topics.STATES, portfolio_id, number, limit_id).model_copy(update=changed)
        return self.append(topics.STATES, event, f"{portfolio_id}/{limit_id}")

    def alert(
        self,
        portfolio_id: str,
        number: int,
        state: Literal["raised", "resolved"] = "raised",
        severity: str = "critical",
        alert: int | None = None,
    ) -> Record:
        """A step of an alert: of the one that ``alert`` numbers, else of one of its own."""
        example = EXAMPLES[topics.ALERTS.name]
        assert isinstance(example, AlertChanged)
        alert_id = event_id("alert", portfolio_id, number if alert is None else alert)
        changed = {"alert_id": alert_id, "state": state, "severity": severity}
        event = _numbered(example, topics.ALERTS, portfolio_id, number).model_copy(update=changed)
        return self.append(topics.ALERTS, event, portfolio_id)


def computed(portfolio_id: str, number: int, analyzer: str = "basic", basis: Basis = Basis.LIVE) -> AnalyticsComputed:
    """Figures of an analyzer; ``nav`` is the number."""
    live = basis is Basis.LIVE
    return AnalyticsComputed(
        event_id=event_id("computed", portfolio_id, analyzer, basis, number),
        portfolio_id=portfolio_id,
        period=None if live else "2008-01-01",
        as_of=START + timedelta(seconds=number),
        basis=basis,
        currency="USD",
        coverage=1.0,
        inputs=None if live else _INPUTS,
        analyzer=analyzer,
        n_obs=250,
        figures={"nav": Figure(value=float(number)), "pnl": Figure(value=-1.0)},
    )


def _key(portfolio_id: str, analyzer: str, live: bool) -> str:
    return f"{portfolio_id}/{analyzer}" if live else portfolio_id


def _numbered(event: Any, topic: Topic, portfolio_id: str, number: int, *identity: str) -> Any:
    identified: UUID = event_id(topic.name, portfolio_id, number, *identity)
    at = START + timedelta(seconds=number)
    return event.model_copy(update={"event_id": identified, "portfolio_id": portfolio_id, "as_of": at})
