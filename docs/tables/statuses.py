"""What became of every method at each shipped close: the risk engine over a shard of the demonstration's portfolios."""

import multiprocessing
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date

from contracts.event import Status
from contracts.risk import MethodRisk, RiskMeasured
from contracts.topics import INSTRUMENTS
from services.risk.app import make_engine
from services.risk.engine import Engine
from services.risk.settings import RiskSettings
from tailstream.fold.work import on_the_spot
from tailstream.sources.days import days
from tailstream.sources.history import load_history
from tailstream.sources.instruments import instruments
from tailstream.sources.passes import Plan
from tests.simulation.story import Log

ERAS = tuple((date(first, 1, 1), date(first + 3, 12, 31)) for first in range(2007, 2023, 4))
"""The demonstration is run through each anew, so that they may be run side by side."""
SHARDS, SHARD = 12, 11
"""As in production; this shard has books of both base currencies, long, short and concentrated, and a desk."""


@dataclass
class Tally:
    """Of one method: measurements by status, with the reasons of those that are not ok; and how many were matched."""

    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    matched: int = 0

    def count(self, risk: MethodRisk) -> None:
        """Count one measurement."""
        self.statuses[risk.status] += 1
        self.matched += risk.parameters.get("matched") == 1.0
        if risk.status != Status.OK:
            self.reasons[risk.reason or risk.status] += 1

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.statuses + other.statuses, self.reasons + other.reasons, self.matched + other.matched)


@dataclass(frozen=True)
class Census:
    """Tallies by method, of so many closes of these portfolios."""

    portfolios: tuple[str, ...]
    closes: int
    tallies: Mapping[str, Tally]


def census(jobs: int = 1) -> Census:
    """Measure each close of all eras, in so many processes, and count."""
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        return together(list(pool.map(counted, *zip(*ERAS, strict=True))))


def counted(first: date, last: date) -> Census:
    """Measure each close from `first` to `last`, a whole fit window of closes before it, and count."""
    tallies: dict[str, Tally] = {}
    portfolios, periods = set(), set()
    for event in _measured(_engine(RiskSettings(), first, last)):
        portfolios.add(event.portfolio_id)
        periods.add(event.period)
        for name, risk in event.methods.items():
            tallies.setdefault(name, Tally()).count(risk)
    return Census(tuple(sorted(portfolios)), len(periods), tallies)


def together(parts: Sequence[Census]) -> Census:
    """One census of all closes, the same portfolios and methods in each part."""
    tallies = {name: sum((part.tallies[name] for part in parts), Tally()) for name in parts[0].tallies}
    return Census(parts[0].portfolios, sum(part.closes for part in parts), tallies)


def _engine(settings: RiskSettings, first: date, last: date) -> Engine:
    """The engine that has read all of the log."""
    history, log = load_history(), Log(SHARDS)
    engine = make_engine(settings, SHARDS)
    for instrument in instruments(history):
        log.append(INSTRUMENTS, instrument.instrument_id, instrument)
    for day in days(history, Plan(first, last, warm_up_closes=settings.fit_window + 1, once=True)):
        log.day(day, 0)
    for arrival in log.arrivals:
        engine.world.fold(arrival)
    for topic, partition, end in log.ends():
        engine.world.read_to(topic, partition, end)
    engine.world.open()
    return engine


def _measured(engine: Engine) -> Iterator[RiskMeasured]:
    """What the shard publishes, close by close."""
    engine.world.adopt(SHARD, None)
    for row in engine.world.due(SHARD):
        for events in on_the_spot(engine.close(SHARD, row)):
            yield from (event for event in events if isinstance(event, RiskMeasured))
        engine.world.done(SHARD, row)
