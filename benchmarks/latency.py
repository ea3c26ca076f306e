"""How long a price takes from the source to a client's socket: `python benchmarks/latency.py`.

The demo's whole system on one stack, at 10 and at 1,000 slices a second, then as fast as it goes. A delay is from the
broker's timestamp of a slice, or of a close, to the client's reading of the firm's Value at Risk at it; the firm is all
books.

At full speed the source outruns the services until it waits for them, so the delays are those of a queue of closes; and
a service that is closes behind measures nothing between them, so few slices are followed by a live figure.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from contracts.event import Basis
from tailstream.cli.demo import AHEAD_CLOSES_MAX
from tailstream.cli.latency import Delays, Latency
from tailstream.cli.live import Live
from tailstream.cli.summary import Summary
from tailstream.cli.system import System
from tailstream.client import Client, Update
from tailstream.stack import Stack

SECONDS = 15.0
FIRM = "firm"


@dataclass(frozen=True)
class Pace:
    """How the source replays."""

    name: str
    slices_a_day: int
    days_a_second: str


PACES = (
    Pace("10 slices a second", 20, "0.5"),
    Pace("1,000 slices a second", 1_000, "1"),
    Pace("full speed", 20, "max"),
)


@dataclass(frozen=True)
class Measured:
    """One stretch of the replay."""

    pace: Pace
    summary: Summary
    closes: Latency


class Closes:
    """How long closes take to the firm's subscriber, by the timestamps that ``live`` reads from the bus."""

    def __init__(self, system: System, live: Live) -> None:
        self._system = system
        self._live = live
        self.delays = Delays()

    async def follow(self) -> None:
        """Until cancelled."""
        async with Client(self._system.websocket_url, self._system.token()) as client:
            await client.risk(FIRM)
            async for item in client:
                if isinstance(item, Update) and item.basis == Basis.CLOSE and item.as_of is not None:
                    self._measure(item)

    def _measure(self, update: Update) -> None:
        published_ms = self._live.bus.published_ms(update.as_of) if update.as_of else None
        if published_ms is not None:
            self.delays.add(time.time() * 1000 - published_ms)


async def replayed(system: System, pace: Pace) -> Measured:
    """Let the source go on at ``pace`` for a while."""
    system.source.environment["TAILSTREAM_REPLAY_SPEED"] = pace.days_a_second
    system.source.environment["TAILSTREAM_REPLAY_SLICES"] = str(pace.slices_a_day)
    live = Live(system)
    closes = Closes(system, live)
    following = asyncio.create_task(closes.follow())
    try:
        summary = await live.run(asyncio.Event(), SECONDS, lambda live: None)
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    return Measured(pace, summary, closes.delays.measured())


def report(measured: Measured) -> None:
    summary, closes = measured.summary, measured.closes
    slices_per_second, closes_per_second = (count / summary.seconds for count in (summary.slices, summary.closes))
    print(
        f"\n{measured.pace.name}: {slices_per_second:.0f} slices/s, {closes_per_second:.1f} closes/s, "
        f"{len(summary.portfolios)} portfolios"
    )
    for what, count, latency in (("slices", summary.slices, summary.latency), ("closes", summary.closes, closes)):
        print(f"  {what}: {shown(latency)} ({latency.samples} figures of {count} {what})")
    for problem in summary.problems:
        print(f"  problem: {problem}")


def shown(latency: Latency) -> str:
    if latency.p50_ms is None:
        return "nothing came"
    return f"p50 {latency.p50_ms:.0f} ms, p99 {latency.p99_ms:.0f} ms"


def main() -> None:
    replay = {"TAILSTREAM_REPLAY_AHEAD_CLOSES_MAX": AHEAD_CLOSES_MAX}
    with Stack.start(progress=print) as stack:
        system = System(stack, replay=replay)
        system.prepare(print)
        stretches = [asyncio.run(replayed(system, pace)) for pace in PACES]
    for measured in stretches:
        report(measured)


if __name__ == "__main__":
    main()
