"""The demo while it runs: figures from the gateway, the day from the bus, and whoever dies started again."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from contracts.event import Basis
from contracts.topics import PRICES
from tailstream.cli.board import Board
from tailstream.cli.bus import STARTS, Bus
from tailstream.cli.latency import Delays
from tailstream.cli.summary import Summary
from tailstream.cli.system import System
from tailstream.cli.tally import history, publishers, recorded_to
from tailstream.client import Client, Ended, Item, Snapshot, Update
from tailstream.runtime.admin import wait_for_topics
from tailstream.runtime.inlets import BroadcastReader
from tailstream.runtime.service import Service

FIGURES = ("nav", "pnl")
FIGURES_PER_SECOND_MAX = 4.0
STALLED_SECONDS_MAX = 60.0
"""In the end, what was published may take as long as it needs to come through, but something must always come."""
_LOOK_SECONDS = 0.25
_RATE_SECONDS = 5.0


@dataclass(frozen=True)
class Pulse:
    """How the system does at a moment."""

    seconds: float
    period: str | None
    closes_per_second: float
    slices_per_second: float
    closes_behind: int
    quarantined: int


class Live:
    """One run, from the first replayed day until told to stop or the source is done."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.board = Board()
        self.bus = Bus(self.board)
        self.delays = Delays()
        self._settings = system.settings("demo")
        self._partitions = 0
        self._began = 0.0
        self._ended: float | None = None
        self._warm_up = 0
        self._first_period: str | None = None
        self._history: deque[tuple[float, int, int]] = deque()
        self._lost: list[str] = []

    async def run(self, stopping: asyncio.Event, seconds: float | None, show: Callable[["Live"], None]) -> Summary:
        """Let the source go and follow it; ``show`` is called a few times a second.

        Raises
        ------
        TailstreamError
            When something dies three times in a row, or the gateway refuses.
        """
        async with AsyncExitStack() as resources:
            await self._read_the_bus(resources)
            client = await resources.enter_async_context(Client(self._system.websocket_url, self._system.token()))
            following = asyncio.create_task(self._follow(client))
            resources.callback(following.cancel)
            await self._subscribe(client)
            self._go()
            await self._watch(following, stopping, seconds, show)
            return await self._finish(following, stopping, show)

    def pulse(self) -> Pulse:
        """How the system does now."""
        now = time.monotonic()
        self._history.append((now, self._closes, self.bus.records[PRICES.name]))
        while now - self._history[0][0] > _RATE_SECONDS:
            self._history.popleft()
        then, closes, slices = self._history[0]
        elapsed = max(now - then, _LOOK_SECONDS)
        return Pulse(
            seconds=now - self._began,
            period=self.bus.newest_period,
            closes_per_second=(self._closes - closes) / elapsed,
            slices_per_second=(self.bus.records[PRICES.name] - slices) / elapsed,
            closes_behind=self.bus.closes_behind,
            quarantined=len(self.bus.refused),
        )

    @property
    def _closes(self) -> int:
        return len(self.bus.periods) - self._warm_up

    async def _read_the_bus(self, resources: AsyncExitStack) -> None:
        service = Service("demo", self._settings, topics=tuple(STARTS))
        service.partitions = await wait_for_topics(self._settings.kafka, prefix=self._settings.topic_prefix)
        self._partitions = service.partitions
        reader = BroadcastReader(service, STARTS, self.bus.apply)
        resources.push_async_callback(reader.stop)
        await reader.start()
        await reader.caught_up.wait()

    async def _subscribe(self, client: Client) -> None:
        for portfolio_id in sorted(self.board.rows):
            timed = self._is_timed(portfolio_id)
            await client.analytics(portfolio_id, metrics=FIGURES, max_rate_hz=FIGURES_PER_SECOND_MAX)
            await client.risk(portfolio_id, max_rate_hz=None if timed else FIGURES_PER_SECOND_MAX)
            await client.limits(portfolio_id, max_rate_hz=FIGURES_PER_SECOND_MAX)
        await client.alerts()

    def _go(self) -> None:
        self._warm_up = len(self.bus.periods)
        self._first_period = self.bus.newest_period
        self._system.source.start()
        self._began = time.monotonic()

    async def _follow(self, client: Client) -> None:
        async for item in client:
            for update in self._updates(item):
                event = update.event()
                if event is not None:
                    self.board.apply(event)
                self._measure(update)

    def _updates(self, item: Item) -> Iterable[Update]:
        match item:
            case Update():
                return (item,)
            case Snapshot():
                return item.updates
            case Ended():
                self._lost.append(f"gateway: ended {item.subscription.asked.type} of a portfolio: {item.reason}")
        return ()

    def _is_timed(self, portfolio_id: str) -> bool:
        """Whether the risk of this portfolio comes as fast as it can, to time it: the firm's does, of all books."""
        row = self.board.rows.get(portfolio_id)
        return row is not None and row.definition.parent is None

    def _measure(self, update: Update) -> None:
        subscription, as_of = update.subscription, update.as_of
        if update.basis != Basis.LIVE or update.sent_at is None or as_of is None:
            return
        if subscription.kind == "risk" and self._is_timed(subscription.portfolio_id):
            published_ms = self.bus.published_ms(as_of)
            if published_ms is not None:
                self.delays.add(time.time() * 1000 - published_ms)

    async def _watch(
        self,
        following: "asyncio.Task[None]",
        stopping: asyncio.Event,
        seconds: float | None,
        show: Callable[["Live"], None],
    ) -> None:
        while not stopping.is_set() and not following.done() and not self._is_over(seconds):
            self._system.all.tend()
            show(self)
            await asyncio.sleep(_LOOK_SECONDS)
        self._ended = time.monotonic()

    def _is_over(self, seconds: float | None) -> bool:
        if not self.bus.records[PRICES.name]:
            self._began = time.monotonic()  # the source still reads its history
        return self._system.source.exit_code == 0 or (seconds is not None and time.monotonic() - self._began >= seconds)

    async def _finish(
        self, following: "asyncio.Task[None]", stopping: asyncio.Event, show: Callable[["Live"], None]
    ) -> Summary:
        """Stop the source and wait until what it published has come through everywhere; not when told to stop."""
        if following.done():
            following.result()
        interrupted = stopping.is_set()
        await asyncio.to_thread(self._system.source.stop)
        unfinished = ["interrupted"] if interrupted else await self._settle(stopping, show)
        return await self._summary([*unfinished, *self._lost])

    async def _settle(self, stopping: asyncio.Event, show: Callable[["Live"], None]) -> list[str]:
        reached, since = await self._recorded_to(), time.monotonic()
        while self._closes and reached != self.bus.newest_period:
            if stopping.is_set():
                return ["interrupted"]
            if time.monotonic() - since > STALLED_SECONDS_MAX:
                return [f"history: expected all closes to {self.bus.newest_period}, was at {reached}"]
            self._system.services.tend()
            show(self)
            await asyncio.sleep(_LOOK_SECONDS)
            before, reached = reached, await self._recorded_to()
            if reached != before:
                since = time.monotonic()
        return []

    async def _recorded_to(self) -> str | None:
        """The last close that stands in history for every portfolio."""
        return await asyncio.to_thread(recorded_to, self._database, tuple(self.board.rows))

    async def _summary(self, unfinished: list[str]) -> Summary:
        portfolios = tuple(sorted(self.board.rows))
        published = await publishers(self._settings, portfolios, self._partitions)
        return Summary(
            seconds=(self._ended or time.monotonic()) - self._began,
            first_period=min((p for p in self.bus.periods if p > (self._first_period or "")), default=None),
            last_period=self.bus.newest_period,
            closes=self._closes,
            slices=self.bus.records[PRICES.name],
            portfolios=portfolios,
            published={**published, "gateway": self.board.complete()},
            history=await asyncio.to_thread(history, self._database),
            quarantined={name: _reason(self.bus, name) for name in self.bus.refused},
            alerts_raised=self.board.alerts_raised,
            restarts=self._system.all.restarts,
            latency=self.delays.measured(),
            unfinished=tuple(unfinished),
        )

    @property
    def _database(self) -> str:
        return self._system.stack.addresses.postgres


def _reason(bus: Bus, name: str) -> str:
    refused = bus.refused[name]
    return f"{refused.service} refused {refused.topic} {refused.partition}:{refused.offset}: {refused.reason}"
