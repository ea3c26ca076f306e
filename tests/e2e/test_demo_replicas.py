"""Replicas as processes of a stack, on the service that needs most of it."""

import signal
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tailstream.cli.db import migrate
from tailstream.cli.replicas import Replica, ReplicaFailed
from tailstream.stack import Stack
from tailstream.stack.processes import until


@pytest.fixture
def recorder(stack: Stack, prefix: str, database: str) -> Iterator[Replica]:
    migrate(database)
    environment = {"TAILSTREAM_TOPIC_PREFIX": prefix, "TAILSTREAM_POSTGRES": database}
    replica = Replica.of(stack, "recorder", environment=environment)
    replica.start()
    yield replica
    replica.thaw()
    replica.kill()


def test_a_replica_becomes_ready_and_stops_cleanly_when_asked(recorder: Replica) -> None:
    recorder.await_ready(within_seconds=60)
    assert recorder.exit_code is None
    assert recorder.stop() == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{recorder.url}/livez")


def test_a_killed_replica_comes_back_at_the_same_address(recorder: Replica) -> None:
    recorder.await_ready(within_seconds=60)
    killed, address = recorder.pid, recorder.url
    recorder.kill()
    assert recorder.exit_code == -signal.SIGKILL
    assert not psutil.pid_exists(killed)
    recorder.start()
    recorder.await_ready(within_seconds=60)
    assert recorder.pid != killed
    assert httpx.get(f"{address}/livez").text == "ok"


def test_a_frozen_replica_is_not_ready_until_it_thaws(recorder: Replica) -> None:
    recorder.await_ready(within_seconds=60)
    recorder.freeze()
    process = psutil.Process(recorder.pid)
    assert until(lambda: process.status() == psutil.STATUS_STOPPED, within_seconds=10)
    assert "does not answer" in (recorder.not_ready() or "")
    recorder.thaw()
    recorder.await_ready(within_seconds=30)


def test_a_replica_that_cannot_work_is_reported_with_the_end_of_its_log(stack: Stack) -> None:
    replica = Replica.of(stack, "recorder", number=9, environment={"TAILSTREAM_BATCH_RECORDS_MAX": "many"})
    replica.start()
    begun = time.monotonic()
    with pytest.raises(ReplicaFailed, match=r"recorder-9: .*ended with 2(.|\n)*TAILSTREAM_BATCH_RECORDS_MAX"):
        replica.await_ready(within_seconds=60)
    assert time.monotonic() - begun < 30


def test_a_replica_that_is_not_ready_in_time_says_what_it_waits_for(stack: Stack) -> None:
    replica = Replica.of(stack, "recorder", number=8, environment={"TAILSTREAM_TOPIC_PREFIX": "nowhere."})
    replica.start()
    try:
        with pytest.raises(ReplicaFailed, match=r"recorder-8: expected it ready within 20 s, was not: kafka"):
            replica.await_ready(within_seconds=20)
    finally:
        replica.kill()
