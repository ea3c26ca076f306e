"""What risk makes of a stream of price slices, against a bare aiokafka loop: `python benchmarks/stream.py`.

Both read the same records of the same topic from the same broker. The loop throws them away; the service decodes and
folds every one, and measures all its books at the newest as often as it refreshes. It is held still (SIGSTOP) while
the slices are published, so that it finds them all there, as the loop does. The rounds of the two take turns.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from itertools import islice

import httpx
import psutil
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from contracts.market import PricesObserved
from contracts.topics import PRICES, RISK_LIVE
from tailstream.cli.replicas import Replica
from tailstream.runtime.outlets import Outlet
from tailstream.runtime.records import Emission, emission
from tailstream.runtime.settings import ServiceSettings
from tailstream.sources.days import days
from tailstream.sources.history import load_history
from tailstream.sources.passes import Plan
from tailstream.stack import Stack

ROUNDS, SLICES, SLICES_A_DAY, BATCH = 4, 20_000, 1_000, 500
ALONE, ALONE_EVERY_SECONDS = 20, 0.2
FIRST, LAST = date(2007, 1, 1), date(2007, 12, 31)
READY_SECONDS_MAX = READ_SECONDS_MAX = 120.0
POLL_SECONDS = 0.02
SOURCE = "benchmark"
READ = f"tailstream_records_in_total {PRICES.name}"
LIVE = f"tailstream_records_out_total {RISK_LIVE.name}"
REFRESHES = "tailstream_refresh_seconds_count"
REFRESHING = "tailstream_refresh_seconds_sum"
SETTLED = {  # held still for long, it must not lose its shards
    "TAILSTREAM_SESSION_TIMEOUT_MS": "60000",
    "TAILSTREAM_HEARTBEAT_INTERVAL_MS": "3000",
}


@dataclass(frozen=True)
class Spent:
    """What reading the slices of one round cost, in seconds."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Published:
    """Live figures of risk in so many refreshes of all books, and how long those took together."""

    figures: float
    refreshes: float
    seconds: float

    @classmethod
    def since(cls, before: Mapping[str, float], now: Mapping[str, float]) -> "Published":
        """Between two readings of its counters."""
        return cls(*(now[name] - before[name] for name in (LIVE, REFRESHES, REFRESHING)))

    def __str__(self) -> str:
        each_ms = 1e3 * self.seconds / max(1.0, self.refreshes)
        return f"{self.figures:.0f} live figures in {self.refreshes:.0f} refreshes of all books, {each_ms:.0f} ms each"


def slices() -> Iterator[PricesObserved]:
    """Of the days whose books the source prepares, after the last close of its warm-up."""
    for day in days(load_history(), Plan(FIRST, LAST, once=True)):
        if not day.warm_up:
            yield from day.slices(SLICES_A_DAY, SOURCE)


async def publish(settings: ServiceSettings, emissions: Sequence[Emission]) -> None:
    outlet = Outlet(settings, SOURCE, partitions=lambda: 0)
    await outlet.start()
    for begin in range(0, len(emissions), BATCH):
        await outlet.publish(emissions[begin : begin + BATCH])
    await outlet.stop()


async def bare_loop(settings: ServiceSettings) -> Spent:
    """Read the newest round's slices and nothing more."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await consumer.start()
    where = TopicPartition(PRICES.name, 0)
    consumer.assign([where])
    consumer.seek(where, (await consumer.end_offsets([where]))[where] - SLICES)
    left, wall, cpu = SLICES, time.perf_counter(), time.process_time()
    while left > 0:
        fetched = await consumer.getmany(timeout_ms=200, max_records=BATCH)
        left -= sum(len(records) for records in fetched.values())
    spent = Spent(time.perf_counter() - wall, time.process_time() - cpu)
    await consumer.stop()
    return spent


def through(risk: Replica, before: Mapping[str, float]) -> tuple[Spent, Published]:
    """Let risk go on, and wait until it has read all that came since ``before``."""
    process = psutil.Process(risk.pid)
    wall, cpu = time.perf_counter(), cpu_seconds(process)
    deadline = wall + READ_SECONDS_MAX
    risk.thaw()
    while (now := measures(risk))[READ] < before[READ] + SLICES:
        if time.perf_counter() > deadline:
            raise SystemExit(f"risk: expected {SLICES} slices read, was {now[READ] - before[READ]:.0f}")
        time.sleep(POLL_SECONDS)
    spent = Spent(time.perf_counter() - wall, cpu_seconds(process) - cpu)
    return spent, Published.since(before, now)


async def publish_apart(settings: ServiceSettings, emissions: Sequence[Emission]) -> None:
    """One at a time, so that each is measured on its own."""
    outlet = Outlet(settings, SOURCE, partitions=lambda: 0)
    await outlet.start()
    for each in emissions:
        await outlet.publish([each])
        await asyncio.sleep(ALONE_EVERY_SECONDS)
    await outlet.stop()


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measures(risk: Replica) -> dict[str, float]:
    """The replica's own counters; 0 of what it has not counted yet."""
    found = dict.fromkeys((READ, LIVE, REFRESHES, REFRESHING), 0.0)
    for family in text_string_to_metric_families(httpx.get(f"{risk.url}/metrics").text):
        found |= {" ".join((s.name, *s.labels.values())): s.value for s in family.samples}
    return found


def prepared(stack: Stack) -> Replica:
    """Risk, ready, with two years of closes and the demo's books."""
    replay = {"FROM": FIRST.isoformat(), "TO": LAST.isoformat(), "ONCE": "true", "PREPARE": "true"}
    told = {f"TAILSTREAM_REPLAY_{name}": value for name, value in replay.items()}
    source = Replica(stack, "source-1", ("-m", "tailstream.sources.replay"), environment=told)
    source.start()
    source.succeed(within_seconds=READY_SECONDS_MAX)
    risk = Replica.of(stack, "risk", environment=SETTLED)
    risk.start()
    risk.await_ready(within_seconds=READY_SECONDS_MAX)
    return risk


def rounds(settings: ServiceSettings, risk: Replica, every: Iterator[Emission]) -> Iterator[tuple[Spent, Spent]]:
    """The loop and the service in turn, each round on slices of its own."""
    for _ in range(ROUNDS):
        emissions = list(islice(every, SLICES))
        before = measures(risk)
        risk.freeze()
        uvloop.run(publish(settings, emissions))
        bare = uvloop.run(bare_loop(settings))
        spent, published = through(risk, before)
        print(f"{SLICES} slices at once: {published}")
        yield bare, spent


def report(bare: Sequence[Spent], risk: Sequence[Spent], prices: int) -> None:
    """The best round of each: noise only ever adds."""
    print(f"\n{SLICES} slices of {prices} prices, best of {ROUNDS} rounds")
    print(f"{'':<28}{'slices/s':>12}{'prices/s':>12}{'CPU us a slice':>16}")
    cells = {name: [best(spent, name) for spent in (bare, risk)] for name in (field.name for field in fields(Spent))}
    for number, name in enumerate(("bare aiokafka loop", "risk")):
        wall, cpu = cells["wall"][number], cells["cpu"][number]
        print(f"{name:<28}{SLICES / wall:>12,.0f}{SLICES * prices / wall:>12,.0f}{1e6 * cpu / SLICES:>16.1f}")
    ratios = {name: in_service / in_loop for name, (in_loop, in_service) in cells.items()}
    print(f"risk takes {ratios['wall']:.1f} times the loop's wall time and {ratios['cpu']:.1f} times its CPU time")


def best(spent: Sequence[Spent], name: str) -> float:
    return min(float(getattr(each, name)) for each in spent)


def main() -> None:
    prices = len(next(slices()).prices)
    every = (emission(PRICES, piece, key=SOURCE) for piece in slices())
    with Stack.start(progress=print) as stack:
        settings = ServiceSettings(kafka=stack.addresses.kafka)
        risk = prepared(stack)
        spent = list(rounds(settings, risk, every))
        before = measures(risk)
        uvloop.run(publish_apart(settings, list(islice(every, ALONE))))
        print(f"{ALONE} slices one by one: {Published.since(before, measures(risk))}")
    report([bare for bare, _ in spent], [service for _, service in spent], prices)


if __name__ == "__main__":
    main()
