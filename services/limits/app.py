"""The limits service, put together: decode -> engine.step -> store.commit -> publish."""

from collections.abc import Mapping, Sequence

from contracts.event import Arrival
from contracts.limits import LimitCommandIssued
from contracts.topics import ALERTS, OUTCOMES, STATES
from services.limits.change import change_of
from services.limits.decode import INPUTS, decode, restored
from services.limits.engine import CommandKey, Engine
from services.limits.settings import LimitsSettings
from services.limits.store import Store
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
        change = change_of(records, step)
        with self._service.metrics.commit_seconds.time():
            ids = await self._store.commit(change)
        await self._announce(change.emissions, ids)
        self._service.metrics.closes.inc(step.closes)
        self._service.metrics.closes_behind.set(self._engine.closes_behind)

    async def adopt(self, shards: Sequence[Shard]) -> Mapping[Shard, int]:
        """Take shards over: announce what their dead owner had stored to announce, restore, say where they go on."""
        adopted = await self._store.adopt(shards)
        for id, emissions in adopted.outbox.items():
            await self._announce(emissions, [id])
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
