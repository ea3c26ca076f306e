"""How records get onto the bus: keyed, to an explicit partition, acknowledged, and nothing for nothing.

``Outlet`` is the plain idempotent producer. ``ShardOutlet`` is the transactional one, one for each owned shard: what it
publishes is there whole, once, or not at all, and starting one refuses every later write of the shard's former owner.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NoReturn

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from contracts.event import EVENT_BYTES_MAX
from contracts.topics import Topic
from tailstream.runtime.errors import EventTooLarge
from tailstream.runtime.failpoints import failpoint
from tailstream.runtime.records import Emission, placement
from tailstream.runtime.settings import ServiceSettings

PRODUCER: dict[str, Any] = {
    "linger_ms": 0,
    "retry_backoff_ms": 20,  # right after a commit the broker asks to be asked again
    "compression_type": "zstd",
    "max_batch_size": 256 * 1024,
    "max_request_size": 1_000_000,
}

Acknowledgement = Awaitable[RecordMetadata]


class Outlet:
    """A plain idempotent producer; order is kept for each partition."""

    def __init__(self, settings: ServiceSettings, source: str, *, partitions: Callable[[], int]) -> None:
        """``source`` names the publishing service; ``partitions`` tells how many a portfolio topic has."""
        self._settings = settings
        self._source = source
        self._partitions = partitions
        self._producer: AIOKafkaProducer | None = None
        self._order = asyncio.Lock()

    async def start(self) -> None:
        """Connect to the bus."""
        self._producer = AIOKafkaProducer(bootstrap_servers=self._settings.kafka, enable_idempotence=True, **PRODUCER)
        await self._producer.start()

    async def stop(self) -> None:
        """Wait for what is under way, then disconnect."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def publish(self, emissions: Sequence[Emission]) -> None:
        """Publish in order and wait for every acknowledgement.

        Raises
        ------
        EventTooLarge
            Before anything was sent.
        aiokafka.errors.KafkaError
            When the broker refuses; the producer must not be used again.
        """
        for acknowledgement in await self.send(emissions):
            await acknowledgement

    async def send(self, emissions: Sequence[Emission]) -> list[Acknowledgement]:
        """Hand over to the producer, in order, and return the acknowledgements to await."""
        if not emissions:
            return []
        if self._producer is None:
            raise RuntimeError("the outlet was not started")
        async with self._order:
            return await send_batches(self._producer, emissions, self._settings, self._source, self._partitions())


class ShardOutlet:
    """The transactional producer of one shard; starting it fences the shard's former owner.

    After any error it must not be used again: the process leaves and the next owner takes over.
    """

    def __init__(self, settings: ServiceSettings, source: str, partition: int, partitions: int) -> None:
        self._settings = settings
        self._source = source
        self._partition = partition
        self._partitions = partitions
        self._producer = AIOKafkaProducer(
            bootstrap_servers=settings.kafka,
            transactional_id=f"{settings.topic_prefix}{source}-{partition}",
            transaction_timeout_ms=settings.transaction_timeout_ms,
            **PRODUCER,
        )

    async def start(self) -> None:
        """Connect and fence: from here on no other owner's write to the shard is accepted."""
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect; an open transaction is aborted by the broker or by the next owner."""
        await self._producer.stop()

    async def transact(self, emissions: Sequence[Emission], doing: str) -> None:
        """Publish all of ``emissions`` or none; ``doing`` names the work for whoever reads a crash's trace.

        Raises
        ------
        EventTooLarge
            Before the transaction was opened.
        aiokafka.errors.ProducerFenced
            When another owner has taken over.
        """
        if not emissions:
            return
        check_sizes(emissions)
        await self._producer.begin_transaction()
        acknowledgements = await send_batches(self._producer, emissions, self._settings, self._source, self._partitions)
        for acknowledgement in acknowledgements:
            await acknowledgement  # every one, before the commit: it succeeds even after a refused record
            failpoint("close.between_acks", doing)
        failpoint("close.before_commit", doing)
        failpoint("close.during_commit", doing, delay_ms=random.uniform(0.5, 15.0))
        await self._producer.commit_transaction()


def check_sizes(emissions: Sequence[Emission]) -> None:
    """Refuse an emission that is too large; the broker's own refusal would leave the producer unusable."""
    for emission in emissions:
        if emission.value is not None and len(emission.value) > EVENT_BYTES_MAX:
            raise EventTooLarge(
                f"{emission.topic.name} {emission.key}: expected at most {EVENT_BYTES_MAX} bytes, "
                f"was {len(emission.value)}"
            )


async def send_batches(
    producer: AIOKafkaProducer, emissions: Sequence[Emission], settings: ServiceSettings, source: str, partitions: int
) -> list[Acknowledgement]:
    """Send in as few batches as fit, in order for each partition; return the acknowledgements, still to be awaited."""
    check_sizes(emissions)
    placed = [(e.topic.name, placement(e.topic, e.portfolio_id, partitions), e) for e in emissions]
    placed.sort(key=itemgetter(0, 1))  # stable: what was in order stays in order
    acknowledgements: list[Acknowledgement] = []
    for (name, partition), group in groupby(placed, key=itemgetter(0, 1)):
        physical = settings.topic_prefix + name
        batch = producer.create_batch()
        for _, _, emission in group:
            record = _record(emission, source)
            if batch.append(**record) is None:
                acknowledgements.append(await _send(producer, batch, physical, partition))
                batch = producer.create_batch()
                if batch.append(**record) is None:
                    _impossible(emission)
        acknowledgements.append(await _send(producer, batch, physical, partition))
    return acknowledgements


async def _send(producer: AIOKafkaProducer, batch: Any, topic: str, partition: int) -> Acknowledgement:
    batch.close()
    acknowledgement: Acknowledgement = await producer.send_batch(batch, topic, partition=partition)
    return acknowledgement


def _impossible(emission: Emission) -> NoReturn:
    raise EventTooLarge(f"{emission.topic.name} {emission.key}: does not fit a batch of its own")


def _record(emission: Emission, source: str) -> dict[str, Any]:
    return {
        "key": emission.key.encode(),
        "value": emission.value,
        "timestamp": None,
        "headers": _headers(emission, source),
    }


def _headers(emission: Emission, source: str) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0 in binary content mode."""
    headers = [*_constant_headers(emission.topic, source)]
    if emission.event_id is not None:
        headers.append(("ce_id", str(emission.event_id).encode()))
    if emission.correlation_id is not None:
        headers.append(("correlation_id", emission.correlation_id.encode()))
    return headers


_constants: dict[tuple[str, str], tuple[tuple[str, bytes], ...]] = {}


def _constant_headers(topic: Topic, source: str) -> tuple[tuple[str, bytes], ...]:
    known = _constants.get((topic.name, source))
    if known is None:
        known = (
            ("ce_specversion", b"1.0"),
            ("ce_type", topic.event.__name__.encode()),
            ("ce_source", f"/tailstream/{source}".encode()),
            ("content-type", b"application/json"),
        )
        _constants[topic.name, source] = known
    return known
