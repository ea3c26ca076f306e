"""What tests share: one stack a session; for each test its own topics and database, so that they may run side by side.

Addresses in the environment (``eval "$(tailstream stack up)"``) are used instead of starting a stack.
"""

import signal
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from tailstream.stack import Addresses, Stack

PARTITIONS = 4

# A shell ignores Ctrl-C on behalf of what it starts in the background, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Kafka, PostgreSQL and Redis that answer; for tests that spawn processes or take a broker away."""
    with Stack.start() as stack:
        yield stack


@pytest.fixture(scope="session")
def addresses(stack: Stack) -> Addresses:
    """Where the session's Kafka, PostgreSQL and Redis answer."""
    return stack.addresses


@pytest.fixture
def prefix(stack: Stack) -> Iterator[str]:
    """The test's own topic prefix, such as ``t1f2e3d4c.``, with all topics created, those of portfolios 4 wide."""
    prefix = f"t{uuid.uuid4().hex[:8]}."
    stack.create_topics(prefix=prefix, partitions=PARTITIONS)
    yield prefix
    stack.delete_topics(prefix=prefix)


@pytest.fixture
def database(addresses: Addresses) -> Iterator[str]:
    """The URL of the test's own empty PostgreSQL database."""
    name = f"t{uuid.uuid4().hex[:8]}"
    with psycopg.connect(addresses.postgres, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield urlsplit(addresses.postgres)._replace(path=f"/{name}").geturl()
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
