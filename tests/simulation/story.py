"""A log to be told to a system: real prices and books, limits that they cross, the same bytes every time."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import islice, product
from statistics import median
from typing import NamedTuple

from contracts.event import Arrival, Cut, Event
from contracts.limits import Limit, LimitCommandIssued
from contracts.market import PeriodClosed
from contracts.topics import (
    BACKTESTS,
    CLOSES,
    COMMANDS,
    DEFINITIONS,
    HOLDINGS,
    INSTRUMENTS,
    METRICS,
    PRICES,
    RISK,
    VALUATIONS,
    Topic,
)
from services.analytics import app as analytics
from services.analytics.encode import encode as encode_analytics
from services.analytics.settings import AnalyticsSettings
from services.risk import app as risk
from services.risk.encode import encode as encode_risk
from services.risk.settings import RiskSettings
from tailstream.fold.work import on_the_spot
from tailstream.runtime.closing import ClosingEngine, Encoder
from tailstream.runtime.records import Emission, emission, placement
from tailstream.sources.days import TradingDay, days
from tailstream.sources.history import load_history
from tailstream.sources.instruments import instruments
from tailstream.sources.ledger import Changes
from tailstream.sources.passes import Plan

FIRST, LAST = date(2007, 1, 1), date(2007, 12, 31)
WARM_UP_CLOSES = 520
WINDOWS = {
    "scenario_window": 260,
    "fit_window": 510,
    "refit_every": 8,
    "stressed_window": 60,
    "stressed_every": 8,
    "analytics_window": 30,
}
"""Shorter than a system's own, so that a short story fills them: models are fitted three times in it."""
DESKS = ("long-only", "concentrated", "long-short", "levered", "euro", "mixed")
PORTFOLIOS = ("firm", *DESKS, *(f"{desk}-{number}" for desk in DESKS for number in ("01", "02", "06")))
"""Three of the ten books of each desk, in several shards and currencies; into some of them money flows."""
DIFFERENCES_SHOWN = 8
CLOSING_TOPICS: tuple[Topic, ...] = (METRICS, VALUATIONS, RISK, BACKTESTS)


class Output(NamedTuple):
    """A closing output, as a reader of the bus finds it."""

    topic: str
    key: str
    period: str
    revision: int
    value: bytes


def output(topic: str, key: str, value: bytes) -> Output:
    """The output that stands in a record."""
    body = json.loads(value)
    return Output(topic, key, body["period"], body["revision"], value)


def digest(outputs: Iterable[Output]) -> str:
    """sha256 of the sorted (topic, key, period, revision, value bytes)."""
    sha = hashlib.sha256()
    for one in sorted(outputs):
        sha.update(repr(one).encode())
    return sha.hexdigest()


def differences(outputs: Iterable[Output], expected: Iterable[Output]) -> list[str]:
    """Which outputs are not the expected ones, and in what, for whoever reads a failure; a few of them."""
    found, wanted = ({one[:4]: one.value for one in told} for told in (outputs, expected))
    unlike = sorted(place for place in found.keys() | wanted.keys() if found.get(place) != wanted.get(place))
    shown = [f"{place}: {_unlike(found.get(place), wanted.get(place))}" for place in unlike[:DIFFERENCES_SHOWN]]
    return [f"{len(unlike)} of {len(wanted)}", *shown] if unlike else []


def _unlike(found: bytes | None, wanted: bytes | None) -> list[str]:
    leaves = [dict(_leaves("", json.loads(value or b"{}"))) for value in (found, wanted)]
    names = [name for name in leaves[0].keys() | leaves[1].keys() if leaves[0].get(name) != leaves[1].get(name)]
    return [f"{name}: {leaves[0].get(name)} for {leaves[1].get(name)}" for name in sorted(names)[:DIFFERENCES_SHOWN]]


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}" if name else key, inner)
    else:
        yield name, value


@dataclass(frozen=True)
class Story:
    """What is published, in order: limits first, which are awaited, then the market and the books day by day."""

    partitions: int
    commands: tuple[Emission, ...]
    records: tuple[Emission, ...]
    expected: tuple[Output, ...]
    """The closing outputs that the pure engines make of it."""

    @property
    def evaluations(self) -> dict[str, int]:
        """How often each limit is evaluated at a close."""
        closes = defaultdict(int)
        for one in self.expected:
            closes[one.key] += one.topic == RISK.name
        return {_limit(c).limit_id: closes[_limit(c).portfolio_id] for c in self.commands}


def tell(*, partitions: int, closes: int, slices: int = 0, spoil: "Spoil | None" = None) -> Story:
    """The story of ``closes`` days with books; ``spoil`` may put more onto the log, and change a close."""
    history = load_history()
    plan = Plan(FIRST, LAST, warm_up_closes=WARM_UP_CLOSES, once=True)
    log = Log(partitions, spoil)
    for instrument in instruments(history):
        log.append(INSTRUMENTS, instrument.instrument_id, instrument)
    for day in islice(days(history, plan), WARM_UP_CLOSES + closes):
        log.day(of(PORTFOLIOS, day), slices)
    expected = tuple(_measured(log))
    return Story(partitions, tuple(_commands(expected)), tuple(log.emissions), expected)


def of(portfolios: Container[str], day: TradingDay) -> TradingDay:
    """The day as if there were these portfolios alone."""
    return replace(day, at_open=_of(portfolios, day.at_open), at_close=_of(portfolios, day.at_close))


def _of(portfolios: Container[str], changes: Changes) -> Changes:
    return Changes(
        tuple(defined for defined in changes.definitions if defined.portfolio_id in portfolios),
        tuple(held for held in changes.holdings if held.portfolio_id in portfolios),
        tuple(portfolio_id for portfolio_id in changes.closed if portfolio_id in portfolios),
    )


class Log:
    """Gives every record its offset, and every close its cut."""

    def __init__(self, partitions: int, spoil: "Spoil | None" = None) -> None:
        self.partitions = partitions
        self.emissions: list[Emission] = []
        self.arrivals: list[Arrival] = []
        """What a reader makes of the emissions."""
        self.raw: bytes | None = None
        """The bytes of the next event that is appended, where they are not its own."""
        self._spoil = spoil
        self._days = 0
        self._ends: dict[tuple[str, int], int] = defaultdict(int)

    def append(self, topic: Topic, key: str, event: Event | None, portfolio_id: str | None = None) -> None:
        partition = placement(topic, portfolio_id, self.partitions)
        self.arrivals.append(Arrival(topic.name, partition, self.end(topic, partition), key, event))
        self._ends[topic.name, partition] += 1
        value = self.raw or (event.to_json() if event else None)
        self.raw = None
        self.emissions.append(Emission(topic, key, portfolio_id, value))

    def append_raw(self, topic: Topic, key: str, value: bytes, portfolio_id: str) -> int:
        """Put bytes onto the log that no reader should take; return the partition, that of ``portfolio_id``."""
        partition = placement(topic, portfolio_id, self.partitions)
        self._ends[topic.name, partition] += 1
        self.emissions.append(Emission(topic, key, portfolio_id, value))
        return partition

    def ends(self) -> Iterator[tuple[str, int, int]]:
        return ((topic, partition, end) for (topic, partition), end in self._ends.items())

    def end(self, topic: Topic, partition: int) -> int:
        return self._ends[topic.name, partition]

    def day(self, day: TradingDay, slices: int) -> None:
        self._changes(day.at_open)
        if not day.warm_up:
            self._days += 1
            for seen in day.slices(slices, "story"):
                self.append(PRICES, "story", seen)
        self._changes(day.at_close)
        close = self._close(day)
        if self._spoil is not None:
            close = self._spoil(self, self._days, close)
        self.append(CLOSES, "story", close)

    def _close(self, day: TradingDay) -> PeriodClosed:
        prices = dict(day.prices)
        return PeriodClosed(source="story", period=day.period, as_of=day.as_of, prices=prices, cut=self._cut())

    def _changes(self, changes: Changes) -> None:
        for defined in changes.definitions:
            self.append(DEFINITIONS, defined.portfolio_id, defined, defined.portfolio_id)
        for held in changes.holdings:
            self.append(HOLDINGS, held.portfolio_id, held, held.portfolio_id)
        for portfolio_id in changes.closed:
            self.append(DEFINITIONS, portfolio_id, None, portfolio_id)

    def _cut(self) -> Cut:
        return Cut(
            holdings=tuple(self._ends[HOLDINGS.name, p] for p in range(self.partitions)),
            definitions=tuple(self._ends[DEFINITIONS.name, p] for p in range(self.partitions)),
            instruments=self._ends[INSTRUMENTS.name, 0],
            actions=0,
        )


Spoil = Callable[[Log, int, PeriodClosed], PeriodClosed]


def _measured(log: Log) -> Iterator[Output]:
    engines: tuple[tuple[ClosingEngine, Encoder], ...] = (
        (analytics.make_engine(AnalyticsSettings(**WINDOWS), log.partitions), encode_analytics),
        (risk.make_engine(RiskSettings(**WINDOWS), log.partitions), encode_risk),
    )
    for engine, encode in engines:
        for made in measure(engine, encode, log):
            yield output(made.topic.name, made.key, made.value or b"")


def measure(engine: ClosingEngine, encode: Encoder, log: Log) -> Iterator[Emission]:
    """What a pure engine makes of the log, close by close; it owns all shards from then on."""
    world = engine.world
    for arrival in log.arrivals:
        world.fold(arrival)
    for topic, partition, end in log.ends():
        world.read_to(topic, partition, end)
    world.open()
    for partition in range(log.partitions):
        world.adopt(partition, None)
    for row, partition in product(world.due(0), range(log.partitions)):
        for events in on_the_spot(engine.close(partition, row)):
            yield from (encode(event, "story") for event in events)
        world.done(partition, row)


def _commands(expected: Iterable[Output]) -> Iterator[Emission]:
    """VaR and gross limits about as high as what will be measured, so that some are crossed and resolved."""
    var, gross, currency = defaultdict(list), defaultdict(list), {}
    for one in expected:
        if one.topic == RISK.name:
            body = json.loads(one.value)
            var[one.key].append(body["methods"]["historical"]["levels"]["0.99"]["var_fraction"])
            gross[one.key].append(body["gross"]["value"])
            currency[one.key] = body["currency"]
    for key in sorted(var):
        yield _define(
            Limit(limit_id=f"{key}:var", portfolio_id=key, metric="var_99", base=median(var[key]), owner="test")
        )
        base = 1.02 * median(gross[key])
        yield _define(
            Limit(
                limit_id=f"{key}:gross",
                portfolio_id=key,
                metric="gross",
                base=base,
                currency=currency[key],
                owner="test",
            )
        )


def _define(limit: Limit) -> Emission:
    command = LimitCommandIssued(
        command="define_limit",
        idempotency_key=limit.limit_id,
        portfolio_id=limit.portfolio_id,
        issued_by="test",
        issued_at=datetime(2007, 1, 1, tzinfo=UTC),
        limit=limit,
    )
    return emission(COMMANDS, command, key=limit.portfolio_id, portfolio_id=limit.portfolio_id)


def _limit(command: Emission) -> Limit:
    return LimitCommandIssued.from_json(command.value or b"").limit
