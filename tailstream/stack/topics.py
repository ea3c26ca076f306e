"""The topics of the system on the stack's Kafka."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from contracts.topics import TOPICS
from tailstream.runtime import admin
from tailstream.stack.errors import ServerFailed

_POLL_SECONDS = 0.02
_VISIBLE_SECONDS_MAX = 30.0


def create_topics(bootstrap: str, *, prefix: str, partitions: int, replication_factor: int) -> None:
    """Create every topic that is missing and wait until the broker tells of all of them.

    Raises
    ------
    aiokafka.errors.KafkaError
        When the broker refuses one.
    ServerFailed
        When it does not tell of them in time.
    """

    async def create() -> None:
        await admin.create_topics(
            bootstrap, prefix=prefix, partitions=partitions, replication_factor=replication_factor
        )
        async with asyncio.timeout(_VISIBLE_SECONDS_MAX):
            # No event to await: the broker tells nobody when it knows of a topic.
            while len(await admin.find_topics(bootstrap, prefix=prefix)) < len(TOPICS):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)

    try:
        _run_apart(create())
    except TimeoutError as error:
        raise ServerFailed(f"kafka: expected the topics within {_VISIBLE_SECONDS_MAX:.0f} s, at {bootstrap}") from error


def delete_topics(bootstrap: str, *, prefix: str) -> None:
    """Delete every topic whose name begins with ``prefix``, which must not be empty."""
    _run_apart(admin.delete_topics(bootstrap, prefix=prefix))


def _run_apart(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` in a thread of its own, because the caller may be inside an event loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
