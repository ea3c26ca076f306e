"""What a close costs, and one at which every model of every book is fitted: `python benchmarks/refit.py`.

The engine alone, with 1,000 books: where the time of a close goes, at one with all fits and at one whose fits are in
turns. Then the real service under prices that keep coming: 200 books and closes at each of which all fits are due;
1,000 books on two replicas, fits in turns as delivered. Measured are how long it takes until all books are out, the
liveness probe's answers and the live figures a second, between closes and while one is measured.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import NamedTuple

import httpx
import numpy as np
import uvloop

from contracts.event import Arrival, Cut, Event
from contracts.market import PeriodClosed, PricesObserved
from contracts.portfolio import HoldingsReplaced, PortfolioDefined
from contracts.topics import CLOSES, DEFINITIONS, HOLDINGS, INSTRUMENTS, PRICES, RISK, RISK_LIVE, Topic
from services.risk.app import make_engine
from services.risk.encode import encode
from services.risk.engine import Engine
from services.risk.settings import RiskSettings
from tailstream.cli.replicas import Replica
from tailstream.fold.work import Work
from tailstream.runtime.outlets import Outlet
from tailstream.runtime.records import Emission, emission, placement
from tailstream.runtime.restore import Shard, read_back
from tailstream.runtime.run import collect_garbage_less_often
from tailstream.runtime.settings import ServiceSettings
from tailstream.sources.history import load_history
from tailstream.sources.instruments import INDEX, STOCKS, instruments
from tailstream.stack import Stack

ENGINE_BOOKS, HELD = 1_000, 12
FIRST_DAY, WARM_UP, CLOSES_SERVED, CLOSES_ALONE = 5_000, 1_040, 4, 3
PARTITIONS = 4
SLICES_A_SECOND, PROBES_A_SECOND = 50.0, 100.0
QUIET_SECONDS, CLOSE_SECONDS_MAX, READY_SECONDS_MAX = 4.0, 120.0, 300.0
PROBE_AIM_MS, CLOSE_AIM_SECONDS = 50.0, 5.0
SOURCE = "benchmark"
LONGEST = "longest step"


class Log:
    """Real prices and drawn books, as records for a bus and as arrivals for an engine."""

    def __init__(self, books: int) -> None:
        self._history = load_history()
        self._ends: Counter[tuple[str, int]] = Counter()
        self._day = FIRST_DAY
        self._books = books
        self.emissions: list[Emission] = []
        self.arrivals: list[Arrival] = []
        for instrument in instruments(self._history):
            self.append(INSTRUMENTS, instrument.instrument_id, instrument)
        for _ in range(WARM_UP):
            self.close()
        for number in range(books):
            self._book(f"book-{number:04}", np.random.default_rng(number))

    @property
    def ends(self) -> Iterator[tuple[str, int, int]]:
        """How far every partition goes."""
        return ((topic, partition, end) for (topic, partition), end in self._ends.items())

    @property
    def prices(self) -> dict[str, float]:
        """Of the day that comes next."""
        return dict(self._history.prices(self._day))

    def append(self, topic: Topic, key: str, event: Event, portfolio_id: str | None = None) -> None:
        partition = placement(topic, portfolio_id, PARTITIONS)
        self.arrivals.append(Arrival(topic.name, partition, self._ends[topic.name, partition], key, event))
        self._ends[topic.name, partition] += 1
        self.emissions.append(emission(topic, event, key=key, portfolio_id=portfolio_id))

    def close(self) -> Emission:
        """The close of the next day."""
        day = self._history.dates[self._day]
        as_of = datetime(day.year, day.month, day.day, 21, tzinfo=UTC)
        closed = PeriodClosed(source=SOURCE, period=day.isoformat(), as_of=as_of, prices=self.prices, cut=self._cut())
        self.append(CLOSES, SOURCE, closed)
        self._day += 1
        return self.emissions[-1]

    def _cut(self) -> Cut:
        holdings, definitions = (
            tuple(self._ends[topic.name, p] for p in range(PARTITIONS)) for topic in (HOLDINGS, DEFINITIONS)
        )
        return Cut(holdings=holdings, definitions=definitions, instruments=self._ends[INSTRUMENTS.name, 0], actions=0)

    def _book(self, name: str, draw: np.random.Generator) -> None:
        base = "EUR" if draw.random() < 0.25 else "USD"
        names = draw.choice([*STOCKS, INDEX], HELD, replace=False).tolist()
        held = {instrument: float(draw.integers(-200, 1_000)) for instrument in sorted(names)}
        self.append(DEFINITIONS, name, PortfolioDefined(portfolio_id=name, name=name, base_currency=base), name)
        at = datetime(2000, 1, 1, tzinfo=UTC)
        replaced = HoldingsReplaced(
            portfolio_id=name, version=1, effective_at=at, positions=held, cash={base: 1e6, "GBP": 1e4}
        )
        self.append(HOLDINGS, name, replaced, name)


# -- the service -------------------------------------------------------------------------------------------------------


class Served(NamedTuple):
    """What a run of the service has to bear."""

    books: int
    replicas: int
    refit_every: int


SERVED = (Served(200, 1, 1), Served(1_000, 2, 20))


@dataclass
class Probes:
    """When each probe was sent, and how long its answer took; milliseconds."""

    sent: list[float] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)

    async def send(self, url: str) -> None:
        """Until cancelled: the next one after the answer."""
        async with httpx.AsyncClient(timeout=30) as client:
            while True:
                self.sent.append(time.time())
                started = time.perf_counter()
                (await client.get(f"{url}/livez")).raise_for_status()
                self.took_ms.append(1e3 * (time.perf_counter() - started))
                await asyncio.sleep(1 / PROBES_A_SECOND)

    def within(self, begin: float, end: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        answered = zip(self.sent, self.took_ms, strict=False)
        return np.array([took for sent, took in answered if begin <= sent < end])


@dataclass(frozen=True)
class Stretch:
    """Some seconds of the service's life; times of day."""

    name: str
    begin: float
    end: float


async def observe(outlet: Outlet, log: Log) -> None:
    """Prices that move a little with every slice, until cancelled."""
    prices = log.prices
    since = datetime.now(UTC)
    for number in count():
        moved = {name: price * (1 + 1e-4 * (number % 50)) for name, price in prices.items()}
        seen = PricesObserved(source=SOURCE, as_of=since.replace(microsecond=number % 1_000_000), prices=moved)
        await outlet.publish([emission(PRICES, seen, key=SOURCE)])
        await asyncio.sleep(1 / SLICES_A_SECOND)


async def measured(settings: ServiceSettings, expected: int) -> float:
    """Wait until that many measurements are out; when the last of them was published."""
    deadline = time.monotonic() + CLOSE_SECONDS_MAX
    while True:
        records = [r for p in range(PARTITIONS) for r in await read_back(settings, Shard(RISK.name, p))]
        if len(records) >= expected:
            return max(record.timestamp_ms for record in records) / 1e3
        if time.monotonic() > deadline:
            raise SystemExit(f"risk: expected {expected} measurements, was {len(records)}")
        await asyncio.sleep(0.5)


async def served(settings: ServiceSettings, log: Log, books: int, url: str) -> tuple[list[Stretch], Probes]:
    """Let the service live through some closes, under prices and probes."""
    probes, stretches = Probes(), []
    async with published(settings) as outlet:
        tasks = [asyncio.create_task(probes.send(url)), asyncio.create_task(observe(outlet, log))]
        for number in range(CLOSES_SERVED):
            begin = time.time()
            await outlet.publish([log.close()])
            out = await measured(settings, (number + 1) * books)
            stretches.append(Stretch(f"close {number + 1}", begin, out))
            await asyncio.sleep(QUIET_SECONDS)
            stretches.append(Stretch("between", time.time() - QUIET_SECONDS + 0.5, time.time()))
            if dead := [task for task in tasks if task.done()]:
                await dead[0]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return stretches, probes


@asynccontextmanager
async def published(settings: ServiceSettings) -> AsyncIterator[Outlet]:
    outlet = Outlet(settings, SOURCE, partitions=lambda: PARTITIONS)
    await outlet.start()
    try:
        yield outlet
    finally:
        await outlet.stop()


async def tell(settings: ServiceSettings, log: Log) -> None:
    async with published(settings) as outlet:
        for begin in range(0, len(log.emissions), 100):
            await outlet.publish(log.emissions[begin : begin + 100])


async def live_times(settings: ServiceSettings) -> list[float]:
    """When each live figure that the topic still has was published."""
    records = [r for p in range(PARTITIONS) for r in await read_back(settings, Shard(RISK_LIVE.name, p))]
    return [record.timestamp_ms / 1e3 for record in records]


def report_served(run: Served, stretches: Sequence[Stretch], probes: Probes, live: Sequence[float]) -> None:
    fits = f"fits every {run.refit_every} closes"
    print(f"\n{run.books:,} books, {run.replicas} replica(s), {fits}, {SLICES_A_SECOND:.0f} slices/s")
    print(f"{'':<12}{'seconds':>9}{'probes':>8}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'live/s':>9}")
    published = np.array(live)
    worst = 0.0
    for each in stretches:
        took, seconds = probes.within(each.begin, each.end), each.end - each.begin
        figures = np.count_nonzero((published >= each.begin) & (published < each.end))
        p50, p99 = np.percentile(took, [50, 99])
        worst = max(worst, float(took.max()))
        print(
            f"{each.name:<12}{seconds:>9.2f}{took.size:>8}{p50:>9.1f}{p99:>9.1f}{took.max():>9.1f}"
            f"{figures / seconds:>9.0f}"
        )
    print(f"worst probe {worst:.0f} ms, the aim is {PROBE_AIM_MS:.0f} ms")


def service(run: Served) -> None:
    log = Log(run.books)
    with Stack.start(progress=print) as stack:
        stack.create_topics(partitions=PARTITIONS)
        settings = ServiceSettings(kafka=stack.addresses.kafka)
        uvloop.run(tell(settings, log))
        environment = {"TAILSTREAM_REFIT_EVERY": str(run.refit_every)}
        numbers = range(1, run.replicas + 1)
        replicas = [Replica.of(stack, "risk", number=number, environment=environment) for number in numbers]
        for replica in replicas:
            replica.start()
        for replica in replicas:
            replica.await_ready(within_seconds=READY_SECONDS_MAX)
        stretches, probes = uvloop.run(served(settings, log, run.books, replicas[0].url))
        report_served(run, stretches, probes, uvloop.run(live_times(settings)))
        for replica in replicas:
            replica.stop()


# -- the engine --------------------------------------------------------------------------------------------------------


def opened(engine: Engine, arrivals: Sequence[Arrival], ends: Iterator[tuple[str, int, int]]) -> None:
    """Let the engine's world know all of the log."""
    for arrival in arrivals:
        engine.world.fold(arrival)
    for topic, partition, end in ends:
        engine.world.read_to(topic, partition, end)
    engine.world.open()


def close_all(engine: Engine) -> Counter[str]:
    """Measure the newest close of every shard; CPU seconds by what they were spent on, and the longest step's."""
    spent: Counter[str] = Counter()
    row = engine.world.opened - 1
    for partition in range(PARTITIONS):
        steps, result = engine.close(partition, row), None
        while True:
            begin = time.process_time()
            step = next(steps, None) if result is None else steps.send(result)
            now = time.process_time()
            result = None
            spent[LONGEST] = max(spent[LONGEST], now - begin)
            if step is None:
                break
            if isinstance(step, Work):
                spent["arrays"] += now - begin
                result = step.run()
                spent["work beside the loop"] += time.process_time() - now
                continue
            spent["figures and events"] += now - begin
            bodies = [encode(event, SOURCE) for event in step]
            spent["encoding"] += time.process_time() - now
            spent["bytes"] += sum(len(body.value or b"") for body in bodies)
        engine.world.done(partition, row)
    return spent


def alone(refit_every: int) -> None:
    log = Log(ENGINE_BOOKS)
    engine = make_engine(RiskSettings(refit_every=refit_every), PARTITIONS)
    opened(engine, log.arrivals, log.ends)
    for partition in range(PARTITIONS):
        engine.world.adopt(partition, None)
    for _ in range(CLOSES_ALONE):
        log.close()
        opened(engine, log.arrivals[-1:], log.ends)
        report_alone(close_all(engine), refit_every)


def report_alone(spent: Counter[str], refit_every: int) -> None:
    size, longest = spent.pop("bytes"), spent.pop(LONGEST)
    total = sum(spent.values())
    shares = ", ".join(f"{name} {seconds:.2f} s ({seconds / total:.0%})" for name, seconds in spent.most_common())
    print(
        f"{ENGINE_BOOKS} books, fits every {refit_every} closes: {total:.2f} CPU s, the aim is "
        f"{CLOSE_AIM_SECONDS:.0f} s; {size / 1e6:.1f} MB; {shares}; "
        f"the longest step takes {1e3 * longest:.0f} ms"
    )


def main() -> None:
    collect_garbage_less_often()  # as the service does
    for refit_every in (20, 1):
        alone(refit_every)
    for run in SERVED:
        service(run)


if __name__ == "__main__":
    main()
