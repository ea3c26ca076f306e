"""``tailstream quarantine`` on real Kafka: find a refused record, repair it, put it back, and it is taken."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from contracts.system import QUARANTINED_BYTES_MAX
from contracts.topics import METRICS, QUARANTINE, STATES, Topic
from tailstream.cli.db import migrate
from tailstream.runtime.quarantine import quarantined
from tailstream.runtime.records import Emission, Record, Rejected, Shard, partition_of
from tailstream.runtime.restore import read_back
from tailstream.runtime.settings import ServiceSettings
from tailstream.stack import Addresses
from tests.recorded import PARTITIONS, Recorder, metrics_of, publish, raw, state_of, until

BOOK = "book-1"
HOME = partition_of(BOOK, PARTITIONS)
ELSEWHERE = next(name for name in map("book-{}".format, range(99)) if partition_of(name, PARTITIONS) != HOME)
TAILSTREAM = Path(sys.executable).with_name("tailstream")


@pytest.fixture
def settings(addresses: Addresses, prefix: str) -> ServiceSettings:
    return ServiceSettings(kafka=addresses.kafka, topic_prefix=prefix)


def quarantine(settings: ServiceSettings, *arguments: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run ``tailstream quarantine``."""
    environment = {"TAILSTREAM_KAFKA": settings.kafka, "TAILSTREAM_TOPIC_PREFIX": settings.topic_prefix}
    return subprocess.run(
        [TAILSTREAM, "quarantine", *arguments],
        env=os.environ | environment,
        input=given,
        capture_output=True,
        timeout=60,
    )


def listed(settings: ServiceSettings) -> list[dict[str, Any]]:
    answer = quarantine(settings, "list", "--json")
    assert answer.returncode == 0, answer.stderr.decode()
    return json.loads(answer.stdout)  # type: ignore[no-any-return]


async def refuse(settings: ServiceSettings, topic: Topic, key: str | None, value: bytes | None, offset: int = 7) -> str:
    """Put a record into quarantine as a service does; its id."""
    emission = quarantined("recorder", Rejected(Record(topic.name, 0, offset, key, value, 0), "a reason", None))
    await publish(settings, [emission])
    return str(emission.event_id)


async def standing(settings: ServiceSettings, topic: Topic, partition: int = HOME) -> Sequence[Record]:
    return await read_back(settings, Shard(topic.name, partition))


async def test_a_record_that_is_repaired_and_put_back_is_recorded(
    settings: ServiceSettings, database: str, tmp_path: Path
) -> None:
    migrate(database)
    good = metrics_of(0, BOOK).to_json()
    broken = good.replace(b'"n_obs":500', b'"n_obs":"500"')
    await publish(settings, [raw(METRICS, BOOK, broken)])

    async def refused() -> list[str]:
        return [each["reason"] for each in listed(settings)]

    async def recorded() -> list[Any]:
        with psycopg.connect(database) as connection:
            return connection.execute("select event::text from history.analytics_metrics").fetchall()

    with Recorder(settings, database, tmp_path / "recorder.log").running():
        await until(refused, ["n_obs: Input should be a valid integer, was '500'"])
        (found,) = listed(settings)
        assert (found["topic"], found["partition"], found["offset"], found["key"]) == (METRICS.name, HOME, 0, BOOK)
        kept = quarantine(settings, "show", found["event_id"], "--value").stdout
        assert kept == broken
        repaired = tmp_path / "repaired.json"
        repaired.write_bytes(kept.replace(b'"500"', b"500") + b"\n")
        answer = quarantine(settings, "replay", found["event_id"][:8], "--value", str(repaired))
        assert answer.stdout.decode() == f"put back as {METRICS.name}:{HOME}:1\n", answer.stderr.decode()
        await until(recorded, [(good.decode(),)])


async def test_a_record_from_the_wrong_partition_goes_back_as_it_was_to_the_right_one(
    settings: ServiceSettings,
) -> None:
    value = state_of(BOOK, 0.5).to_json()
    refusal = await refuse(settings, STATES, ELSEWHERE, value)
    answer = quarantine(settings, "replay", refusal, "--json")
    assert json.loads(answer.stdout) == {"put_back_as": f"{STATES.name}:{HOME}:0"}
    (record,) = await standing(settings, STATES)
    assert (record.key, record.value) == (f"{BOOK}/var", value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"\xff garbage", "is not repaired: value: Invalid JSON"),
        (b"{}", "event_id: Field required"),
        (None, "was a tombstone: expected the record to put in its place, by --value"),
        (b" " * QUARANTINED_BYTES_MAX + b"{}", f"quarantine keeps the first {QUARANTINED_BYTES_MAX}"),
    ],
)
async def test_a_record_that_still_cannot_be_read_is_not_put_back(
    settings: ServiceSettings, value: bytes | None, said: str
) -> None:
    refusal = await refuse(settings, METRICS, BOOK, value)
    answer = quarantine(settings, "replay", refusal)
    assert answer.returncode == 1
    assert said in answer.stderr.decode()
    assert answer.stdout == b""
    assert await standing(settings, METRICS) == []


async def test_a_repaired_record_may_come_by_standard_input(settings: ServiceSettings) -> None:
    refusal = await refuse(settings, METRICS, None, None)
    good = metrics_of(0, BOOK).to_json()
    assert quarantine(settings, "replay", refusal, "--value", "-", given=good).returncode == 0
    (record,) = await standing(settings, METRICS)
    assert (record.key, record.value) == (BOOK, good)


async def test_a_refusal_that_several_replicas_made_is_listed_once(settings: ServiceSettings) -> None:
    first = await refuse(settings, METRICS, BOOK, b"garbage")
    assert await refuse(settings, METRICS, BOOK, b"garbage") == first
    second = await refuse(settings, METRICS, BOOK, b"garbage", offset=8)
    assert [each["event_id"] for each in listed(settings)] == [first, second]
    table = quarantine(settings, "list").stdout.decode()
    assert table.count(first[:8]) == 1
    assert "a reason" in table


async def test_a_record_in_quarantine_that_cannot_be_read_itself_hides_no_other(settings: ServiceSettings) -> None:
    await publish(settings, [Emission(QUARANTINE, "k", None, b"nonsense")])
    refusal = await refuse(settings, METRICS, BOOK, b"garbage")
    answer = quarantine(settings, "list", "--json")
    assert [each["event_id"] for each in json.loads(answer.stdout)] == [refusal]
    assert "quarantine.v1:0:0 cannot be read" in answer.stderr.decode()


async def test_an_id_that_is_nobodys_or_several_ones_is_told_so(settings: ServiceSettings) -> None:
    await refuse(settings, METRICS, BOOK, b"garbage")
    await refuse(settings, METRICS, BOOK, b"garbage", offset=8)
    for beginning, count in (("zzz", 0), ("", 2)):
        answer = quarantine(settings, "show", beginning)
        assert answer.returncode == 1
        assert f"ID: expected the beginning of one of 2 refusals, {beginning!r} is that of {count}" in (
            answer.stderr.decode()
        )


async def test_an_empty_quarantine_is_an_empty_answer(settings: ServiceSettings) -> None:
    assert listed(settings) == []
