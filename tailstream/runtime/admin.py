"""Topics on a broker: made by the stack or an operator, checked by every service, created by no client's accident."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from contracts.topics import TOPICS, Layout, Topic
from tailstream.runtime.errors import ConfigurationError

log = structlog.get_logger()


class TopicFound(NamedTuple):
    """A topic as the broker has it."""

    name: str
    partitions: int


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id="tailstream-admin")
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def create_topics(bootstrap: str, *, prefix: str = "", partitions: int, replication_factor: int = 1) -> None:
    """Create every topic of the table that is missing, with its partitions and policies; leave existing ones alone.

    Raises
    ------
    aiokafka.errors.KafkaError
        When the broker refuses one.
    """
    wanted = [
        NewTopic(
            prefix + topic.name,
            1 if topic.layout is Layout.SINGLE else partitions,
            replication_factor,
            topic_configs=dict(topic.config),
        )
        for topic in TOPICS
    ]
    async with _admin(bootstrap) as admin:
        answer = await admin.create_topics(wanted)
    for _name, code, *message in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(*message)


async def delete_topics(bootstrap: str, *, prefix: str) -> None:
    """Delete every topic whose name begins with ``prefix``, which must not be empty."""
    if not prefix:
        raise ValueError("prefix: expected one, was empty: that would delete every topic")
    async with _admin(bootstrap) as admin:
        names = [name for name in await admin.list_topics() if name.startswith(prefix)]
        if names:
            await admin.delete_topics(names)


async def find_topics(bootstrap: str, *, prefix: str = "") -> dict[str, TopicFound]:
    """The topics of the table that the broker has, by logical name."""
    async with _admin(bootstrap) as admin:
        described = await admin.describe_topics()
    found = {row["topic"]: TopicFound(row["topic"], len(row["partitions"])) for row in described}
    return {topic.name: found[prefix + topic.name] for topic in TOPICS if prefix + topic.name in found}


async def wait_for_topics(bootstrap: str, *, prefix: str, topics: Sequence[Topic] = TOPICS) -> int:
    """Wait until the broker answers and has all ``topics``; return the partitions of the portfolio topics.

    Waits without end, with jitter and one warning a try naming the address and what is missing.

    Raises
    ------
    ConfigurationError
        When the portfolio topics do not all have the same number of partitions, or a market topic has several.
    """
    delay_seconds = 1.0
    while True:
        try:
            found = await find_topics(bootstrap, prefix=prefix)
        except (KafkaError, OSError) as error:
            log.warning("kafka does not answer; trying again", address=bootstrap, error=repr(error))
        else:
            missing = sorted(topic.name for topic in topics if topic.name not in found)
            if not missing:
                return _partitions(found, topics)
            log.warning("topics are missing; waiting for them", address=bootstrap, missing=missing, prefix=prefix)
        await asyncio.sleep(delay_seconds * random.uniform(0.5, 1.0))
        delay_seconds = min(10.0, delay_seconds * 1.5)


def _partitions(found: dict[str, TopicFound], topics: Sequence[Topic]) -> int:
    several = [t.name for t in topics if t.layout is Layout.SINGLE and found[t.name].partitions != 1]
    if several:
        raise ConfigurationError(f"{several}: expected one partition each, because their order is the system's order")
    counts = {t.name: found[t.name].partitions for t in topics if t.layout is Layout.BY_PORTFOLIO}
    if len(set(counts.values())) > 1:
        raise ConfigurationError(f"portfolio topics: expected the same number of partitions for all, was {counts}")
    return next(iter(counts.values()), 1)
