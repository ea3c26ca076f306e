"""The limits service, put together: decode -> engine.step -> store.commit -> publish."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from contracts.event import Arrival
from contracts.limits import LimitCommandIssued
from contracts.topics import ALERTS, OUTCOMES, STATES
from services.limits.decode import INPUTS, decode, restored
from services.limits.encode import encode
from services.limits.engine import Announcement, CommandKey, Engine, Step
from services.limits.outbox import pack, unpack
from services.limits.settings import LimitsSettings
from services.limits.store import Change, Store
from services.limits.waiting import Place
from tailstream.runtime.inlets import GroupedInlet
from tailstream.runtime.records import Emission, Record, Shard
from tailstream.runtime.service import Service


def build(settings: LimitsSettings) -> Service:
    """One replica of limits."""
    service = Service("limits", settings, topics=(*INPUTS, OUTCOMES, STATES, ALERTS))
    store = service.add(Store(settings))
    shards = OwnedShards(service, store, Engine(stale_after=settings.limit_stale_after_closes))
    service.add(GroupedInlet(service, INPUTS, shards.handle, positions=shards.adopt, released=shards.release))
    return service


class OwnedShards:
    """The flow of a batch through the service, and its shards' coming and going."""

    def __init__(self, service: Service, store: Store, engine: Engine) -> None:
        self._service = service
        self._store = store
        self._engine = engine

    async def handle(self, records: Sequence[Record]) -> None:
        """Fold a batch in: stored first, in one transaction with its offsets, then announced."""
        arrivals, rejected = decode(records, self._service.partitions)
        await self._service.quarantine.put(rejected)
        step = self._engine.step(arrivals, await self._store.decided(_commands(arrivals)))
        emissions = {partition: [encode(a) for a in group] for partition, group in _by_partition(step.announcements)}
        ids = await self._store.commit(_change(records, step, emissions))
        await self._announce([emission for some in emissions.values() for emission in some], ids)

    async def adopt(self, shards: Sequence[Shard]) -> Mapping[Shard, int]:
        """Take shards over: announce what their dead owner had stored to announce, restore, say where they go on."""
        adopted = await self._store.adopt(shards)
        for id, packed in adopted.outbox.items():
            await self._announce(unpack(packed), [id])
        self._engine.restore(adopted.books, [restored(place, value) for place, value in adopted.waiting])
        return adopted.positions

    async def release(self, _shards: Sequence[Shard]) -> None:
        """Forget all: a rebalance takes every shard away before it hands out any."""
        self._engine.restore((), ())

    async def _announce(self, emissions: Sequence[Emission], ids: Sequence[int]) -> None:
        await self._service.outlet.publish(emissions)
        self._service.count_out(emissions)
        await self._store.published(ids)


def _commands(arrivals: Sequence[Arrival]) -> list[CommandKey]:
    issued = (arrival.event for arrival in arrivals)
    return [CommandKey(c.portfolio_id, c.idempotency_key) for c in issued if isinstance(c, LimitCommandIssued)]


def _by_partition(announcements: Sequence[Announcement]) -> list[tuple[int, list[Announcement]]]:
    placed = sorted(announcements, key=attrgetter("partition"))  # stable: what was in order stays in order
    return [(partition, list(group)) for partition, group in groupby(placed, key=attrgetter("partition"))]


def _change(records: Sequence[Record], step: Step, emissions: Mapping[int, Sequence[Emission]]) -> Change:
    values = {Place(record.topic, record.partition, record.offset): record.value or b"" for record in records}
    return Change(
        step=step,
        after={Shard(record.topic, record.partition): record.offset + 1 for record in records},
        waiting={place: values[place] for place in step.waiting},
        outbox={partition: pack(some) for partition, some in emissions.items()},
    )
