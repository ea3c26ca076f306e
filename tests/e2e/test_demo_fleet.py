"""Replicas that die are started again, and one that cannot live is given up."""

from collections.abc import Callable, Iterator

import pytest

from tailstream.cli import fleet
from tailstream.cli.fleet import Fleet
from tailstream.cli.replicas import Replica, ReplicaFailed
from tailstream.stack import Stack

Process = Callable[[str], Replica]


@pytest.fixture
def process(stack: Stack) -> Iterator[Process]:
    """Makes replicas that run a line of Python, each of another name."""
    made: list[Replica] = []

    def make(line: str) -> Replica:
        made.append(Replica(stack, f"made-{id(made)}-{len(made)}", ("-c", line)))
        return made[-1]

    yield make
    for replica in made:
        replica.kill()


SLEEPS = "import time; time.sleep(600)"


def test_a_replica_that_was_killed_is_started_again_and_counted(process: Process) -> None:
    replica = process(SLEEPS)
    kept = Fleet([replica])
    kept.start()
    first = replica.pid
    kept.tend()
    assert (replica.pid, kept.restarts.total()) == (first, 0)
    replica.kill()
    kept.tend()
    assert replica.pid != first
    assert replica.exit_code is None
    assert kept.restarts == {replica.name: 1}


def test_three_deaths_in_a_row_are_the_end_and_the_log_says_why(process: Process) -> None:
    replica = process("raise SystemExit('the disk is gone')")
    kept = Fleet([replica])
    kept.start()
    for _ in range(fleet.DEATHS_IN_A_ROW_MAX - 1):
        replica.wait(within_seconds=60)
        kept.tend()
    replica.wait(within_seconds=60)
    with pytest.raises(ReplicaFailed, match=r"died 3 times in a row, the last time with 1(.|\n)*the disk is gone"):
        kept.tend()


def test_deaths_after_a_long_life_are_not_in_a_row(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "LIVED_SECONDS_MIN", 0.0)
    replica = process(SLEEPS)
    kept = Fleet([replica])
    kept.start()
    for _ in range(fleet.DEATHS_IN_A_ROW_MAX + 1):
        replica.kill()
        kept.tend()
    assert kept.restarts[replica.name] == fleet.DEATHS_IN_A_ROW_MAX + 1


def test_a_source_that_is_done_is_not_started_again_but_a_service_that_leaves_is(process: Process) -> None:
    source, service = process("pass"), process("pass")
    kept = Fleet([source, service], finishing={source.name})
    kept.start()
    source.succeed(within_seconds=60)
    service.succeed(within_seconds=60)
    kept.tend()
    assert kept.restarts == {service.name: 1}


def test_a_source_that_crashes_is_started_again(process: Process) -> None:
    source = process("raise SystemExit(70)")
    kept = Fleet([source], finishing={source.name})
    kept.start()
    with pytest.raises(ReplicaFailed, match="ended with 70"):
        source.succeed(within_seconds=60)
    kept.tend()
    assert kept.restarts == {source.name: 1}


def test_stopping_stops_all_of_them(process: Process) -> None:
    replicas = [process(SLEEPS), process(SLEEPS)]
    kept = Fleet(replicas)
    kept.start()
    kept.stop()
    assert all(replica.exit_code is not None for replica in replicas)
