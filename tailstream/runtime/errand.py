"""Errands on the bus, for a process that is no service: one question, or one record."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiokafka.errors import KafkaError
from pydantic import ValidationError

from contracts.topics import Layout
from tailstream.runtime.admin import find_topics
from tailstream.runtime.decoding import explain
from tailstream.runtime.errors import ConfigurationError, TailstreamError
from tailstream.runtime.outlets import Outlet
from tailstream.runtime.records import Emission
from tailstream.runtime.settings import ServiceSettings

Answer = TypeVar("Answer")
SECONDS_MAX = 60.0


class BrokerAway(TailstreamError):
    """Kafka did not answer."""


def bus_settings() -> ServiceSettings:
    """Where the bus is, as the environment says.

    Raises
    ------
    ConfigurationError
        Naming what is wrong with the environment.
    """
    try:
        return ServiceSettings()
    except ValidationError as error:
        raise ConfigurationError(f"TAILSTREAM_ environment: {explain(error)}") from error


def answered(address: str, errand: Coroutine[Any, Any, Answer], seconds_max: float = SECONDS_MAX) -> Answer:
    """Run the errand to its end, on an event loop of its own; one that takes long may have more ``seconds_max``.

    Raises
    ------
    BrokerAway
        Naming the address, when the broker there does not answer.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the one error below says it
    try:
        return asyncio.run(asyncio.wait_for(errand, seconds_max))
    except (KafkaError, OSError, TimeoutError) as error:
        said = str(error) or type(error).__name__
        raise BrokerAway(f"kafka at {address} (TAILSTREAM_KAFKA) does not answer: {said}") from error


async def put_record(settings: ServiceSettings, source: str, emission: Emission) -> str:
    """Publish one record in its right partition; the answer is where it stands, as ``topic:partition:offset``.

    Raises
    ------
    ConfigurationError
        When the broker does not have the topic.
    EventTooLarge
        When no broker would take the record.
    """
    held = await find_topics(settings.kafka, prefix=settings.topic_prefix)
    name = emission.topic.name
    if name not in held:
        raise ConfigurationError(
            f"{name}: expected the broker to have this topic, with prefix {settings.topic_prefix!r}"
        )
    width = 1 if emission.topic.layout is Layout.SINGLE else held[name].partitions
    outlet = Outlet(settings, source, partitions=lambda: width)
    await outlet.start()
    try:
        (stands,) = await asyncio.gather(*await outlet.send([emission]))
    finally:
        await outlet.stop()
    return f"{name}:{stands.partition}:{stands.offset}"
