"""How analytics and risk live: every replica reads everything, one publishes a shard, a close is whole or not at all.

A consumer group on the holdings decides *who publishes which shard*; its partitions stay paused. Adopting a shard is
always the same: fence its former owner, read back what it published, measure every close after that.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition

from contracts.event import Arrival, Event
from contracts.topics import (
    ACTIONS,
    CLOSES,
    DEFINITIONS,
    HOLDINGS,
    INSTRUMENTS,
    PRICES,
    Topic,
)
from tailstream.fold.work import Steps, Work
from tailstream.fold.world import Refusal, World
from tailstream.runtime.failpoints import failpoint
from tailstream.runtime.inlets import At, Beginning, BroadcastReader, Since, Start, subscribe
from tailstream.runtime.outlets import ShardOutlet
from tailstream.runtime.records import Emission, Record, Rejected, Shard
from tailstream.runtime.restore import read_back, read_tail
from tailstream.runtime.service import Service
from tailstream.runtime.settings import ClosingSettings

log = structlog.get_logger()

LIVE_PRICES_SECONDS = 60.0
LIVE_CLOSES_BEHIND_MAX = 1
"""Further behind, a live figure would compare the newest prices with a close that is long past: closes go first."""
LIVE_RESTS = 3.0
"""While a close is measured, live figures rest so many times as long as their refresh took, so that closes go first."""
TURN_SECONDS = 0.005
"""After how long of measuring the loop goes round: heartbeats and probes wait no longer, but for one portfolio."""
TRANSACTION_BYTES_MAX = 4_000_000
REQUEST_SECONDS = 60.0
"""How long a request waits for its shard to have an owner; whoever asked has gone by then.

One that was published so shortly before a replica took over its shard may be answered twice, with one event_id."""
INPUTS: tuple[Topic, ...] = (INSTRUMENTS, ACTIONS, CLOSES, PRICES, DEFINITIONS, HOLDINGS)


class ClosingEngine(Protocol):
    """What a service that measures closes must be able to do; pure, no clock, no bus."""

    world: World

    def restore(self, partition: int, published: Sequence[Arrival]) -> str | None:
        """Take the shard's own closing outputs, oldest first; return the last period published."""

    def enough(self, published: Sequence[Arrival]) -> bool:
        """Whether these outputs, the newest of the shard on one topic, reach back as far as the windows need."""

    def close(self, partition: int, row: int) -> Steps:
        """The events of one close of one shard, portfolio by portfolio, and the work in between."""

    def live(self) -> Steps:
        """The newest live figures of the owned shards' books that changed."""

    def release(self, partition: int) -> None:
        """Forget the shard's state."""


Answer = Callable[[Event], Steps]
"""The reply to a request, as events; for the owner of the shard that the request is about."""


Decoder = Callable[[Sequence[Record], int], tuple[list[Arrival], list[Rejected]]]
Encoder = Callable[[Event, str], Emission]


class ClosingService(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is published without types
    """The part of analytics and risk that reads, measures and publishes."""

    def __init__(
        self,
        service: Service,
        settings: ClosingSettings,
        *,
        engine: Callable[[int], ClosingEngine],
        decode: Decoder,
        encode: Encoder,
        states: Sequence[Topic],
        requests: Topic | None = None,
    ) -> None:
        """``engine`` is made once the number of partitions is known; ``states`` are the outputs it restores from.

        Events of ``requests``, where there are any, are answered by the engine's ``answer``.
        """
        self._service = service
        self._settings = settings
        self._make_engine = engine
        self._decode_by = decode
        self._encode = encode
        self._states = tuple(states)
        self._requests = requests
        self._asked: deque[tuple[Arrival, float]] = deque()
        self._asking = asyncio.Event()
        self._answer_task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="work")
        self._owners: dict[int, _Owner] = {}
        self._changed = asyncio.Condition()
        self._dirty = asyncio.Event()
        self._measuring = 0
        self._at_rest = asyncio.Event()
        """Set while no close is measured."""
        self._at_rest.set()
        self._closes: dict[int, Record] = {}
        self._reader: BroadcastReader | None = None
        self._live_task: asyncio.Task[None] | None = None
        self._assigned = False
        self._subscriber = subscribe(service, [HOLDINGS], self, self._on_batch)

    @property
    def shards(self) -> tuple[int, ...]:
        """The partitions that this replica publishes."""
        return tuple(sorted(partition for partition, owner in self._owners.items() if owner.restored))

    async def start(self) -> None:
        """Read the world from as far back as any shard may need it."""
        self._engine = self._make_engine(self._service.partitions)
        first_close = await self._first_close()
        self._engine.world.closes_from(first_close)
        starts: dict[Topic, Start] = {
            INSTRUMENTS: await self._read_instruments(),
            ACTIONS: Beginning(),
            DEFINITIONS: Beginning(),
            HOLDINGS: Beginning(),
            CLOSES: At(first_close),
            PRICES: Since(LIVE_PRICES_SECONDS),
        }
        if self._requests is not None:
            starts[self._requests] = Since(REQUEST_SECONDS)
        self._reader = BroadcastReader(self._service, starts, self._on_records, on_positions=self._on_positions)
        await self._reader.start()
        self._live_task = asyncio.create_task(self._refresh())
        if self._requests is not None:
            self._answer_task = asyncio.create_task(self._reply())

    async def stop(self) -> None:
        """Finish the closes in flight; then stop reading."""
        await self._release_all()
        for task in (self._live_task, self._answer_task):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._reader is not None:
            await self._reader.stop()
        self._worker.shutdown(wait=False, cancel_futures=True)

    def waiting_for(self) -> str | None:
        """Inputs caught up, group joined, shards restored."""
        if self._reader is None:
            return "how far its shards have come"
        if reason := self._reader.waiting_for():
            return reason
        if not self._assigned:
            return "its group to be joined"
        waiting = sorted(partition for partition, owner in self._owners.items() if not owner.restored)
        return f"shards {waiting} to be restored" if waiting else None

    def _decode(self, records: Sequence[Record]) -> tuple[list[Arrival], list[Rejected]]:
        return self._decode_by(records, self._service.partitions)

    async def _read_instruments(self) -> At:
        """Take in every instrument before any price, which is refused while its instrument is unknown."""
        records = await read_back(self._settings, Shard(INSTRUMENTS.name, 0))
        await self._on_records(records)
        return At(records[-1].offset + 1 if records else 0)

    async def _first_close(self) -> int:
        """The offset of the oldest close that a shard's next close may look back to."""
        offsets: list[int] = []
        for partition in range(self._service.partitions):
            tail = await read_tail(self._settings, Shard(self._states[0].name, partition), bool, first=100)
            arrivals, _ = self._decode(tail[-1:])
            if not arrivals:
                return 0
            offsets += [_closed_at(arrival) for arrival in arrivals]
        return max(0, min(offsets) - self._engine.world.needed_rows)

    # -- what comes in -------------------------------------------------------------------------------------------

    async def _on_batch(self, raw: Sequence[object]) -> None:
        """Membership only: the holdings' partitions stay paused."""

    async def _on_records(self, records: Sequence[Record]) -> None:
        arrivals, rejected = self._decode(records)
        by_place = {(r.topic, r.partition, r.offset): r for r in records}
        self._closes.update({r.offset: r for r in records if r.topic == CLOSES.name})
        for arrival in arrivals:
            if self._requests is not None and arrival.topic == self._requests.name:
                self._ask(arrival)
                continue
            for refusal in self._engine.world.fold(arrival):
                rejected.append(_rejected(by_place[refusal.topic, refusal.partition, refusal.offset], refusal))
        await self._service.quarantine.put(rejected)

    async def _on_positions(self, positions: Mapping[Shard, int]) -> None:
        world = self._engine.world
        for shard, offset in positions.items():
            world.read_to(shard.topic, shard.partition, offset)
        opened = world.opened
        refusals = world.open()
        await self._service.quarantine.put([_rejected(self._closes[r.offset], r) for r in refusals])
        for row in range(opened, world.opened):
            self._closes.pop(world.market.point(row).offset, None)
        self._service.metrics.closes_behind.set(world.behind())
        self._dirty.set()
        async with self._changed:
            self._changed.notify_all()

    # -- who publishes what --------------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Finish the transaction in flight, stop the shards' producers, forget their state."""
        await self._release_all()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Pause and return at once, because no heartbeat is sent before; tasks do the rest."""
        if assigned:
            self._subscriber.consumer.pause(*assigned)
        self._assigned = True
        for where in assigned:
            owner = _Owner(where.partition)
            self._owners[where.partition] = owner
            owner.task = asyncio.create_task(self._own(owner))

    async def _release_all(self) -> None:
        owners, self._owners = self._owners, {}
        for owner in owners.values():
            owner.released.set()
            if owner.task is not None and not owner.restored:
                owner.task.cancel()
        async with self._changed:
            self._changed.notify_all()
        await asyncio.gather(*(owner.task for owner in owners.values() if owner.task), return_exceptions=True)

    async def _own(self, owner: "_Owner") -> None:
        partition = owner.partition
        outlet = ShardOutlet(self._settings, self._service.name, partition, self._service.partitions)
        try:
            failpoint("shard.rebalancing", f"{self._service.name} shard {partition}")
            await outlet.start()  # fences: the former owner's transaction is over, its epoch refused
            await self._restore(owner)
            while not owner.released.is_set():
                await self._publish_due(owner, outlet)
            self._engine.world.release(partition)
            self._engine.release(partition)
            await outlet.stop()
        except asyncio.CancelledError:  # taken away before it was restored
            await outlet.stop()
            raise
        except BaseException as error:
            self._service.fatal(f"shard {partition}", error)

    async def _restore(self, owner: "_Owner") -> None:
        assert self._reader is not None
        await self._reader.caught_up.wait()

        def enough(records: list[Record]) -> bool:
            return self._engine.enough(self._decode(records)[0])

        published: list[Arrival] = []
        for topic in self._states:
            records = await read_tail(self._settings, Shard(topic.name, owner.partition), enough)
            arrivals, rejected = self._decode(records)
            published += arrivals
            await self._service.quarantine.put(rejected)
        failpoint("shard.restoring", f"{self._service.name} shard {owner.partition}")
        last = self._engine.restore(owner.partition, published)
        self._engine.world.adopt(owner.partition, last)
        owner.restored = True
        self._asking.set()
        log.info("shard adopted", partition=owner.partition, last_period=last, read_back=len(published))

    # -- what goes out -------------------------------------------------------------------------------------------

    async def _publish_due(self, owner: "_Owner", outlet: ShardOutlet) -> None:
        """One transaction of as many due closes as are at hand, or a wait for the next."""
        world = self._engine.world
        due = world.due(owner.partition)
        if not due:
            async with self._changed:
                await self._changed.wait_for(lambda: owner.released.is_set() or world.due(owner.partition))
            return
        with self._measurement():
            emissions, periods = await self._measured(owner, due[: self._settings.transaction_closes_max])
        await self._transact(owner, outlet, emissions, periods)

    async def _measured(self, owner: "_Owner", due: Sequence[int]) -> tuple[list[Emission], list[str]]:
        """The outputs of the due closes, of as many as make up a transaction, and the periods of these."""
        world = self._engine.world
        emissions: list[Emission] = []
        size, periods = 0, []
        for row in due:
            point = world.market.point(row)
            cause = f"{CLOSES.name}:0:{point.offset}"
            async for events in self._in_turns(self._engine.close(owner.partition, row)):
                failpoint("close.measuring", f"{self._service.name} shard {owner.partition} periods {point.period}")
                made = [self._encode(event, cause) for event in events]
                size += sum(len(e.value or b"") for e in made)
                emissions += made
            world.done(owner.partition, row)
            periods.append(point.period)
            if size >= TRANSACTION_BYTES_MAX or owner.released.is_set():
                break
        return emissions, periods

    @contextmanager
    def _measurement(self) -> Iterator[None]:
        self._measuring += 1
        self._at_rest.clear()
        try:
            yield
        finally:
            self._measuring -= 1
            if not self._measuring:
                self._at_rest.set()

    async def _transact(
        self, owner: "_Owner", outlet: ShardOutlet, emissions: Sequence[Emission], periods: Sequence[str]
    ) -> None:
        started = time.perf_counter()
        doing = f"{self._service.name} shard {owner.partition} periods {periods[0]}..{periods[-1]}"
        await outlet.transact(emissions, doing)
        metrics, world = self._service.metrics, self._engine.world
        metrics.commit_seconds.observe(time.perf_counter() - started)
        metrics.closes_behind.set(world.behind())
        self._service.count_out(emissions)
        self._dirty.set()
        world.trim()

    async def _refresh(self) -> None:
        """Publish the books that changed, at most ``refresh_hz`` times a second, and not while closes are behind."""
        interval = 1.0 / self._settings.refresh_hz
        try:
            while True:
                await self._dirty.wait()
                self._dirty.clear()
                if self._engine.world.behind() > LIVE_CLOSES_BEHIND_MAX:
                    continue
                started = time.perf_counter()
                emissions: list[Emission] = []
                async for events in self._in_turns(self._engine.live()):
                    emissions += [self._encode(event, "live") for event in events]
                await self._service.outlet.publish(emissions)
                if emissions:
                    self._service.metrics.refresh_seconds.observe(time.perf_counter() - started)
                    self._service.count_out(emissions)
                    took = time.perf_counter() - started
                    await asyncio.sleep(max(0.0, interval - took))
                    await self._rest(LIVE_RESTS * took)
        except Exception as error:
            self._service.fatal("live refresh", error)

    async def _rest(self, seconds: float) -> None:
        """Let that time pass, less if no close is measured any more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._at_rest.wait()

    # -- what is asked -------------------------------------------------------------------------------------------

    def _ask(self, arrival: Arrival) -> None:
        self._asked.append((arrival, time.monotonic() + REQUEST_SECONDS))
        self._asking.set()

    async def _reply(self) -> None:
        """Answer what is asked about owned shards; keep the rest a while, for a shard that is about to be owned."""
        try:
            while True:
                await self._asking.wait()
                self._asking.clear()
                for _ in range(len(self._asked)):
                    arrival, until = self._asked.popleft()
                    if time.monotonic() > until:
                        continue
                    if arrival.partition in self.shards:
                        await self._answer(arrival)
                    else:
                        self._asked.append((arrival, until))
        except Exception as error:
            self._service.fatal("answering", error)

    async def _answer(self, arrival: Arrival) -> None:
        answer: Answer = self._engine.answer  # type: ignore[attr-defined]  # an engine of requests has it
        cause = f"{arrival.topic}:{arrival.partition}:{arrival.offset}"
        assert arrival.event is not None
        emissions: list[Emission] = []
        async for events in self._in_turns(answer(arrival.event)):
            emissions += [self._encode(event, cause) for event in events]
        await self._service.outlet.publish(emissions)
        self._service.count_out(emissions)

    async def _in_turns(self, steps: Steps) -> AsyncIterator[Sequence[Event]]:
        """Go through ``steps``: work beside the loop, all else in turns with whatever else is measured or answered.

        Between any two turns, whoever takes them, the loop goes round.
        """
        turns = _Turns(steps)
        while not turns.over:
            async with self._turn:
                made = turns.take()
                await asyncio.sleep(0)
            for events in made:
                yield events
            if turns.work is not None:
                turns.go_on_with(await self._result(turns.work))

    async def _result(self, work: Work[Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work.run)


class _Turns:
    """Steps that are taken a few at a time."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._result: Any = None
        self.work: Work[Any] | None = None
        """What they wait for; its result is to be handed to ``go_on_with``."""
        self.over = False

    def take(self) -> list[Sequence[Event]]:
        """Steps until the turn has taken its time, work is to be done, or nothing is left; the events they made."""
        made: list[Sequence[Event]] = []
        ends = time.perf_counter() + TURN_SECONDS
        while not self.over and self.work is None and time.perf_counter() < ends:
            self._step(made)
        return made

    def go_on_with(self, result: Any) -> None:
        """The work that they waited for has come to ``result``."""
        self._result, self.work = result, None

    def _step(self, made: list[Sequence[Event]]) -> None:
        try:
            step = self._steps.send(self._result)
        except StopIteration:
            self.over = True
            return
        self._result = None
        if not isinstance(step, Work):
            made.append(step)
        elif step.done:
            self._result = step.run()
        else:
            self.work = step


class _Owner:
    """One owned shard: the task that publishes it, and how it is told to stop."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.released = asyncio.Event()
        self.restored = False
        self.task: asyncio.Task[None] | None = None


def _closed_at(arrival: Arrival) -> int:
    """The offset of the close that a closing output is of."""
    offset: int = arrival.event.inputs.close_offset  # type: ignore[union-attr]  # every closing output has inputs
    return offset


def _rejected(record: Record, refusal: Refusal) -> Rejected:
    return Rejected(record, refusal.reason, refusal.field)
