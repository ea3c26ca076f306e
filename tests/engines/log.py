"""A log to be folded, and a replica that reads it as the runtime would: for the tests of the fold and its engines."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from contracts.analytics import AnalyticsComputed, PortfolioValued
from contracts.event import Arrival, Basis, Cut, Event, Measured
from contracts.market import InstrumentDefined, PeriodClosed, PricesObserved
from contracts.portfolio import HoldingsReplaced, PortfolioDefined
from contracts.risk import RiskBacktested, RiskMeasured, WhatIfMeasured, WhatIfRequested
from contracts.topics import (
    BACKTESTS,
    CLOSES,
    DEFINITIONS,
    HOLDINGS,
    INSTRUMENTS,
    METRICS,
    PRICES,
    RISK,
    VALUATIONS,
    Layout,
    Topic,
)
from services.analytics.analyzers import ANALYZERS, Analyzer
from services.analytics.engine import Engine as Analytics
from services.risk.decode import READERS
from services.risk.engine import Engine as Risk
from services.risk.stress import StressBook
from services.risk.terms import Terms
from tailstream.fold.work import on_the_spot
from tailstream.fold.world import Refusal, World
from tailstream.quant.var import AgeWeighted, Historical, Method, Normal

PARTITIONS = 3
FIRST_DAY = datetime(2008, 9, 1, 21, tzinfo=UTC)
LEVELS = (0.95, 0.99)

Engine = Analytics | Risk
Prices = Mapping[str, float]


def partition_of(portfolio_id: str) -> int:
    """The shard of a portfolio: that of its last letter, so that a test can choose."""
    return ord(portfolio_id[-1]) % PARTITIONS


def period(day: int) -> str:
    """The label of a day, counted from 0."""
    return (FIRST_DAY + timedelta(days=day)).date().isoformat()


class Log:
    """Events in the order they were written, each at the next offset of its topic and partition."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.days = 0
        self._ends: Counter[tuple[str, int]] = Counter()
        self._versions: Counter[str] = Counter()

    def write(self, topic: Topic, key: str, event: Event | None) -> Arrival:
        """Append ``event`` to ``topic``."""
        partition = partition_of(key) if topic.layout is Layout.BY_PORTFOLIO else 0
        arrival = Arrival(topic.name, partition, self._ends[topic.name, partition], key, event)
        self._ends[topic.name, partition] += 1
        self.arrivals.append(arrival)
        return arrival

    def skip(self, topic: Topic, partition: int = 0) -> None:
        """Let an offset pass that is never folded: a record that was refused, or a transaction's marker."""
        self._ends[topic.name, partition] += 1

    def instruments(self, *names: str, currency: str = "USD", **terms: Any) -> None:
        """Define instruments; ``fx:`` pairs have the kind and the currency that their name says."""
        for name in names:
            pair = name.removeprefix("fx:") if name.startswith("fx:") else None
            about = {"kind": "fx", "currency": pair[3:]} if pair else {"kind": "equity", "currency": currency}
            defined = {"instrument_id": name, "version": 1, "effective_at": FIRST_DAY, **about, **terms}
            self.write(INSTRUMENTS, name, InstrumentDefined(**defined))

    def portfolio(self, name: str, base: str = "USD", parent: str | None = None) -> None:
        """Define a portfolio."""
        defined = PortfolioDefined(portfolio_id=name, name=name, base_currency=base, parent=parent)
        self.write(DEFINITIONS, name, defined)

    def tombstone(self, name: str, topic: Topic = DEFINITIONS) -> None:
        """Write the tombstone of ``name``; of a definition it closes the portfolio."""
        self.write(topic, name, None)

    def hold(
        self,
        name: str,
        positions: Mapping[str, float] | None = None,
        *,
        version: int | None = None,
        flow: float = 0.0,
        **cash: float,
    ) -> None:
        """Replace what ``name`` holds, ``USD=100.0`` being money; the next version unless one is given."""
        self._versions[name] = version or self._versions[name] + 1
        held = HoldingsReplaced(
            portfolio_id=name,
            version=self._versions[name],
            effective_at=FIRST_DAY,
            positions=dict(positions or {}),
            cash=cash,
            external_flow=flow,
        )
        self.write(HOLDINGS, name, held)

    def book(self, name: str, positions: Mapping[str, float] | None = None, **cash: float) -> None:
        """Define a dollar portfolio without a parent and what it holds."""
        self.portfolio(name)
        self.hold(name, positions, **cash)

    def cut(self) -> Cut:
        """Where the reference topics end now."""
        holdings, definitions = (
            tuple(self._ends[topic.name, p] for p in range(PARTITIONS)) for topic in (HOLDINGS, DEFINITIONS)
        )
        return Cut(holdings=holdings, definitions=definitions, instruments=self._ends[INSTRUMENTS.name, 0], actions=0)

    def close(self, *, day: int | None = None, cut: Cut | None = None, **prices: float) -> Arrival:
        """Close a period, the next one unless a day is given."""
        return self.close_at(prices, day=day, cut=cut)

    def close_at(self, prices: Prices, *, day: int | None = None, cut: Cut | None = None) -> Arrival:
        """Close a period at prices whose names are no identifiers."""
        if day is None:
            day, self.days = self.days, self.days + 1
        as_of = FIRST_DAY + timedelta(days=day)
        closed = PeriodClosed(source="log", period=period(day), as_of=as_of, prices=dict(prices), cut=cut or self.cut())
        return self.write(CLOSES, "log", closed)

    def slice(self, prices: Prices, *, hours: float = 1.0) -> Arrival:
        """Observe prices, so many hours after the last close."""
        as_of = FIRST_DAY + timedelta(days=self.days - 1, hours=hours)
        return self.write(PRICES, "log", PricesObserved(source="log", as_of=as_of, prices=dict(prices)))


def world(*, window: int = 1, stale: int = 2, kept: int = 1_024) -> World:
    """A world of three shards."""
    return World(
        partition_of=partition_of,
        partitions=PARTITIONS,
        window_periods=window,
        stale_after_periods=stale,
        min_rows_kept=kept,
    )


def analytics(
    *, returns: int = 3, stale: int = 2, kept: int = 1_024, analyzers: Mapping[str, Analyzer] = ANALYZERS
) -> Analytics:
    """Analytics over a window of so many returns."""
    return Analytics(world(stale=stale, kept=kept), analyzers, window_returns=returns, periods_per_year=252.0)


def methods(minimum: int = 2) -> dict[str, Method]:
    """Every method, content with few scenarios."""
    made: tuple[Method, ...] = (Historical(minimum), AgeWeighted(minimum), Normal(minimum))
    return {method.id: method for method in made}


def risk(
    *,
    window: int = 4,
    minimum: int = 2,
    stale: int = 2,
    kept: int = 1_024,
    measured_by: Mapping[str, Method] | None = None,
    coverage: float = 0.95,
    history: int | None = None,
    stress: StressBook = StressBook(),  # noqa: B008  # it is frozen
    **asked: Any,
) -> Risk:
    """Risk over so many scenarios, at two levels; ``asked`` are other terms.

    ``history`` is how far back the market's window reaches, as far as the scenarios do unless told.
    """
    terms = {
        "var_levels": LEVELS,
        "scenario_window": window,
        "fit_window": window,
        "scenarios_min": minimum,
        "min_coverage": coverage,
        "refit_every": 3,
        "horizons": (),
        "backtest_window": 3,
        "contribution_level": 0.975,
        "stressed_window": 3,
        "stressed_every": 2,
    }
    return Risk(
        world(window=history or window, stale=stale, kept=kept),
        methods(minimum) if measured_by is None else measured_by,
        Terms(**(terms | asked)),
        stress,
    )


class Identity(NamedTuple):
    """What a closing output is about; no two outputs of one log have the same."""

    topic: str
    portfolio_id: str
    analyzer: str
    period: str


class Replica:
    """An engine that reads the log and measures the closes of its shards."""

    def __init__(self, engine: Engine, shards: Iterable[int] = range(PARTITIONS)) -> None:
        self.engine = engine
        self.shards = tuple(shards)
        self.refusals: list[Refusal] = []
        self.events: list[Measured] = []
        self.live: list[Measured] = []

    def adopt(self, published: Sequence[Measured] = ()) -> "Replica":
        """Own the shards and go on after what they published, read back from its bytes."""
        state = self.state(published)
        for shard in self.shards:
            self.engine.world.adopt(shard, self.engine.restore(shard, state[shard]))
        return self

    def state(self, published: Sequence[Measured]) -> dict[int, list[Arrival]]:
        """The records of each shard that the engine restores from: as few of the newest as it says are enough."""
        topics = (VALUATIONS,) if isinstance(self.engine, Analytics) else (RISK, BACKTESTS)
        state: dict[int, list[Arrival]] = defaultdict(list)
        for topic in topics:
            for shard, arrivals in self._of_topic(topic, published).items():
                state[shard] += self._enough(arrivals)
        return state

    @staticmethod
    def _of_topic(topic: Topic, published: Sequence[Measured]) -> dict[int, list[Arrival]]:
        found: dict[int, list[Arrival]] = defaultdict(list)
        for event in published:
            if topic_of(event) is topic:
                shard = partition_of(event.portfolio_id)
                read = READERS.get(topic.name, topic.event.from_json)(event.to_json())
                found[shard].append(Arrival(topic.name, shard, len(found[shard]), event.portfolio_id, read))
        return found

    def _enough(self, arrivals: list[Arrival]) -> list[Arrival]:
        fewest = bisect_left(
            range(len(arrivals)), x=True, key=lambda n: self.engine.enough(arrivals[len(arrivals) - n :])
        )
        return arrivals[len(arrivals) - fewest :]

    def read(self, arrivals: Iterable[Arrival]) -> "Replica":
        """Fold what arrived, and open what can be."""
        world = self.engine.world
        for arrival in arrivals:
            self.refusals += world.fold(arrival)
            world.read_to(arrival.topic, arrival.partition, arrival.offset + 1)
            self.refusals += world.open()
        return self

    def measure(self, closes: int | None = None) -> "Replica":
        """Measure the closes that are due, at most so many of each shard."""
        world = self.engine.world
        for shard in self.shards:
            for row in world.due(shard)[:closes]:
                for events in on_the_spot(self.engine.close(shard, row)):
                    self.events += events  # type: ignore[arg-type]  # all that engines publish is measured
                world.done(shard, row)
            world.trim()
        return self

    def ask(self, portfolio_id: str, **trades: float) -> WhatIfMeasured:
        """What the risk of the portfolio would be after the trades."""
        asked = WhatIfRequested(
            request_id="r1", portfolio_id=portfolio_id, requested_by="test", requested_at=FIRST_DAY, trades=trades
        )
        assert isinstance(self.engine, Risk)
        (answer,) = (event for events in on_the_spot(self.engine.answer(asked)) for event in events)
        assert isinstance(answer, WhatIfMeasured)
        return answer

    def refresh(self) -> "Replica":
        """Measure the books between closes."""
        for events in on_the_spot(self.engine.live()):
            self.live += events  # type: ignore[arg-type]
        return self


def measured(engine: Engine, log: Log) -> Replica:
    """A replica that has read the log and measured all of its closes."""
    return Replica(engine).adopt().read(log.arrivals).measure()


def measured_last(engine: Engine, log: Log) -> Replica:
    """A replica that has read the log and measured the last of its closes alone, as if the others were published."""
    replica = Replica(engine).read(log.arrivals)
    market = engine.world.market
    for shard in replica.shards:
        engine.world.adopt(shard, market.point(market.end - 2).period if market.end > 1 else None)
    return replica.measure()


def restored(make: Callable[..., Engine], log: Log, before: Replica, start: int, kept: int = 1_024) -> Replica:
    """A replica that reads closes from offset ``start``, all else whole, and takes over where ``before`` ended."""
    engine = make(kept=kept)
    engine.world.closes_from(start)
    arrivals = [a for a in log.arrivals if a.topic != CLOSES.name or a.offset >= start]
    return Replica(engine, before.shards).read(arrivals).adopt(before.events)


def first_close(make: Callable[..., Engine], before: Replica) -> int:
    """Where a replica begins to read closes: as far before the last published ones as it says it needs."""
    published = last_closes(before.events)
    return max(0, min(published.values()) - make().world.needed_rows) if len(published) == PARTITIONS else 0


def topic_of(event: Measured) -> Topic:
    """Where a closing output goes."""
    assert event.basis == Basis.CLOSE
    return {PortfolioValued: VALUATIONS, AnalyticsComputed: METRICS, RiskMeasured: RISK, RiskBacktested: BACKTESTS}[
        type(event)
    ]


def identity(event: Measured) -> Identity:
    """What the output is about."""
    analyzer = event.analyzer if isinstance(event, AnalyticsComputed) else ""
    return Identity(topic_of(event).name, event.portfolio_id, analyzer, event.period or "")


def as_bytes(events: Iterable[Measured]) -> dict[Identity, bytes]:
    """The closing outputs by what they are about; none may stand twice."""
    outputs: dict[Identity, bytes] = {}
    for event in events:
        assert identity(event) not in outputs, f"measured twice: {identity(event)}"
        outputs[identity(event)] = event.to_json()
    return outputs


def by_shard(events: Iterable[Measured]) -> dict[int, list[tuple[Identity, bytes]]]:
    """The closing outputs in the order of publishing, shard by shard."""
    outputs: dict[int, list[tuple[Identity, bytes]]] = defaultdict(list)
    for event in events:
        outputs[partition_of(event.portfolio_id)].append((identity(event), event.to_json()))
    return outputs


def valued(replica: Replica, portfolio_id: str) -> list[PortfolioValued]:
    """The valuations of one portfolio, close by close."""
    return [e for e in replica.events if isinstance(e, PortfolioValued) and e.portfolio_id == portfolio_id]


def analyzed(replica: Replica, portfolio_id: str, analyzer: str) -> list[AnalyticsComputed]:
    """The figures of one analyzer for one portfolio, close by close."""
    return [
        e
        for e in replica.events
        if isinstance(e, AnalyticsComputed) and (e.portfolio_id, e.analyzer) == (portfolio_id, analyzer)
    ]


def risked(replica: Replica, portfolio_id: str) -> list[RiskMeasured]:
    """The risk of one portfolio, close by close."""
    return [e for e in replica.events if isinstance(e, RiskMeasured) and e.portfolio_id == portfolio_id]


def backtested(replica: Replica, portfolio_id: str) -> list[RiskBacktested]:
    """The backtests of one portfolio, close by close."""
    return [e for e in replica.events if isinstance(e, RiskBacktested) and e.portfolio_id == portfolio_id]


def in_queues(arrivals: Sequence[Arrival]) -> dict[tuple[str, int], list[Arrival]]:
    """The log as it stands on the bus: an order within each topic and partition, and none between them."""
    queues: dict[tuple[str, int], list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        queues[arrival.topic, arrival.partition].append(arrival)
    return queues


def last_closes(events: Iterable[Measured]) -> dict[int, int]:
    """The offset of the last close that each shard published."""
    last: dict[int, int] = {}
    for event in events:
        if event.inputs is not None:
            last[partition_of(event.portfolio_id)] = event.inputs.close_offset
    return last
