"""What limits read, for their tests: the parts of closes, live figures and commands, as arrivals or records."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Arrival, Basis, Cut, Event, Figure, Inputs, Status, event_id
from contracts.limits import Limit, LimitCommandIssued
from contracts.risk import MethodRisk, RiskMeasured, TailRisk
from contracts.topics import ANALYTICS_LIVE, COMMANDS, METRICS, RISK, RISK_LIVE, VALUATIONS, Topic
from tailstream.runtime.records import Record, partition_of

PARTITIONS = 4
BOOK = "book-01"
FIRST_DAY = datetime(2008, 9, 1, 21, tzinfo=UTC)
CUT = Cut(holdings=(0,) * PARTITIONS, definitions=(0,) * PARTITIONS, instruments=0, actions=0)
INPUTS = Inputs(close_offset=0, cut=CUT, book="b", market="m", models={})
OK = Figure(value=1.0)

Published = tuple[Topic, Event]


def as_of(day: int) -> datetime:
    """The close of the given day, counted from 0."""
    return FIRST_DAY + timedelta(days=day)


def period(day: int) -> str:
    """The label of that day's close."""
    return as_of(day).date().isoformat()


def figure(value: float | None, status: Status = Status.OK) -> Figure:
    """A figure; without a value it is stale unless told otherwise."""
    return Figure(value=value, status=Status.STALE if value is None and status is Status.OK else status)


def close(
    day: int,
    *,
    book: str = BOOK,
    var_99: float | None = 0.01,
    status: Status = Status.OK,
    revision: int = 0,
    without: Sequence[str] = (),
    currency: str = "USD",
    **figures: float | None,
) -> list[Published]:
    """All parts of one close: the valuation, VaR, and the analyzers; ``without`` leaves parts out by name."""
    about = _about(book, period(day), revision, as_of(day), Basis.CLOSE, currency)
    basic = {name: figures.get(name, 1.0) for name in ("gross", "net", "leverage", "concentration_hhi")}
    parts: dict[str, Published] = {
        "valuation": (VALUATIONS, _valued(about)),
        "basic": (METRICS, _analysed(about, "basic", basic)),
        "returns": (METRICS, _analysed(about, "returns", {"best": 0.1})),
        "risk": (METRICS, _analysed(about, "risk", {"volatility": figures.get("volatility", 0.1)})),
        "drawdown": (METRICS, _analysed(about, "drawdown", {"drawdown": figures.get("drawdown", 0.0)})),
        "tail_risk": (RISK, _risk(about, var_99, status)),
    }
    return [part for name, part in parts.items() if name not in without]


def live(day: int, minutes_before: int, *, book: str = BOOK, var_99: float = 0.01) -> list[Published]:
    """A live VaR, so long before that day's close."""
    when = as_of(day) - timedelta(minutes=minutes_before)
    return [(RISK_LIVE, _risk(_about(book, None, 0, when, Basis.LIVE, "USD"), var_99, Status.OK))]


def live_basic(day: int, minutes_before: int, *, book: str = BOOK, **figures: float | None) -> list[Published]:
    """Live figures of the analyzer ``basic``."""
    when = as_of(day) - timedelta(minutes=minutes_before)
    return [(ANALYTICS_LIVE, _analysed(_about(book, None, 0, when, Basis.LIVE, "USD"), "basic", figures))]


def var_limit(base: float = 0.02, *, book: str = BOOK, limit_id: str = "var", **changes: Any) -> Limit:
    """A limit on the 99 % VaR, as a fraction of NAV."""
    fields: dict[str, Any] = {"metric": "var_99", "owner": "desk head", **changes}
    return Limit(limit_id=limit_id, portfolio_id=book, base=base, **fields)


def define(limit: Limit, *, key: str | None = None, portfolio_id: str | None = None) -> list[Published]:
    """The command that defines ``limit``."""
    command = LimitCommandIssued(
        command="define_limit",
        idempotency_key=key or f"define {limit.limit_id} {limit.base}",
        portfolio_id=portfolio_id or limit.portfolio_id,
        issued_by="risk manager",
        issued_at=FIRST_DAY,
        limit=limit,
    )
    return [(COMMANDS, command)]


class Log:
    """Numbers what is published: the next offset of each shard."""

    def __init__(self) -> None:
        self._next: Counter[tuple[str, int]] = Counter()

    def records(self, published: Iterable[Published]) -> list[Record]:
        """As the bus would deliver them."""
        return [self._record(topic, event) for topic, event in published]

    def arrivals(self, published: Iterable[Published]) -> list[Arrival]:
        """As the engine would see them."""
        published = list(published)
        return [
            Arrival(r.topic, r.partition, r.offset, r.key or "", event)
            for r, (_, event) in zip(self.records(published), published, strict=True)
        ]

    def _record(self, topic: Topic, event: Event) -> Record:
        portfolio_id = event.portfolio_id  # type: ignore[attr-defined]
        partition = partition_of(portfolio_id, PARTITIONS)
        offset = self._next[topic.name, partition]
        self._next[topic.name, partition] += 1
        return Record(topic.name, partition, offset, key_of(topic, event), event.to_json(), 0)


def key_of(topic: Topic, event: Event) -> str:
    """The key that a record of ``event`` has on ``topic``."""
    portfolio_id: str = event.portfolio_id  # type: ignore[attr-defined]
    return f"{portfolio_id}/{event.analyzer}" if topic is ANALYTICS_LIVE else portfolio_id  # type: ignore[attr-defined]


def _about(book: str, label: str | None, revision: int, when: datetime, basis: Basis, currency: str) -> dict[str, Any]:
    return {
        "portfolio_id": book,
        "period": label,
        "revision": revision,
        "as_of": when,
        "basis": basis,
        "currency": currency,
        "coverage": 1.0,
        "inputs": INPUTS if basis is Basis.CLOSE else None,
    }


def _identity(about: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(about[name]) for name in ("portfolio_id", "period", "revision", "as_of"))


def _valued(about: Mapping[str, Any]) -> PortfolioValued:
    return PortfolioValued(
        event_id=event_id(VALUATIONS.name, *_identity(about)),
        nav=figure(100.0),
        pnl=figure(1.0),
        flow=figure(0.0),
        period_return=figure(0.01),
        gross=figure(100.0),
        net=figure(100.0),
        holdings_version=1,
        **about,
    )


def _analysed(about: Mapping[str, Any], analyzer: str, figures: Mapping[str, float | None]) -> AnalyticsComputed:
    return AnalyticsComputed(
        event_id=event_id(METRICS.name, analyzer, *_identity(about)),
        analyzer=analyzer,
        n_obs=252,
        figures={name: figure(value) for name, value in figures.items()},
        **about,
    )


def _risk(about: Mapping[str, Any], var_99: float | None, status: Status) -> RiskMeasured:
    tail = TailRisk(
        var=None if var_99 is None else var_99 * 100.0,
        es=None if var_99 is None else var_99 * 120.0,
        var_fraction=var_99,
        es_fraction=None if var_99 is None else var_99 * 1.2,
    )
    shown = status if var_99 is not None or status is not Status.OK else Status.STALE
    method = MethodRisk(status=shown, levels=dict.fromkeys(("0.95", "0.975", "0.99", "0.995"), tail))
    return RiskMeasured(
        event_id=event_id(RISK.name, *_identity(about)),
        nav=figure(100.0),
        gross=figure(100.0),
        n_obs=500,
        methods={"historical": method},
        **about,
    )
