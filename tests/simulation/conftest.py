"""Systems to be hurt: a story that is told to all of them, and what came of it when nobody hurt one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tailstream.stack import Stack
from tests.simulation.story import Story, tell
from tests.simulation.system import System

PARTITIONS = 4
CLOSES = 24


@pytest.fixture(scope="session")
def story() -> Story:
    """Real prices of 2007 with a third of the books, measured by the pure engines too."""
    return tell(partitions=PARTITIONS, closes=CLOSES)


@pytest.fixture
def system(stack: Stack, prefix: str, database: str) -> Iterator[System]:
    """A system that is not started yet; whatever of it still runs in the end is killed."""
    system = System(stack, prefix, database, PARTITIONS)
    yield system
    system.stop()


@pytest.fixture
def deaths_log(tmp_path: Path) -> Path:
    """Where a process that dies at a failpoint says so."""
    return tmp_path / "deaths"
