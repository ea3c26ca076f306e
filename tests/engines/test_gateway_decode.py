"""What the gateway accepts and refuses: what the contracts do, at a fifth of the cost, and byte for byte."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import topics
from contracts.event import Event
from contracts.examples import EXAMPLES
from contracts.topics import Topic
from services.gateway.app import _starts
from services.gateway.arrivals import CHANNEL_TOPICS, Arrival, Defined, Reported, Update
from services.gateway.decode import decode
from services.gateway.positions import Position, position_of, text_of
from services.gateway.settings import GatewaySettings
from tailstream.runtime.records import Record, Rejected
from tailstream.runtime.structs import struct_of
from tests.gateway_log import PARTITIONS, Log

DELIVERED = [topic for channel in CHANNEL_TOPICS.values() for topic in channel]
KEYS = {topics.ANALYTICS_LIVE.name: "equity-01/risk", topics.STATES.name: "equity-01/equity-01:var_99"}


def record_of(topic: Topic, value: bytes | None = None, **overrides: Any) -> Record:
    found = Log().append(topic, EXAMPLES[topic.name], KEYS.get(topic.name, "equity-01"))
    return found._replace(**({"value": value} if value is not None else {}), **overrides)


def text(topic: Topic) -> str:
    return EXAMPLES[topic.name].to_json().decode()


def accepted(record: Record) -> Arrival:
    found = decode(record, PARTITIONS)
    assert not isinstance(found, Rejected), found.reason
    return found


def reason(record: Record) -> str:
    found = decode(record, PARTITIONS)
    assert isinstance(found, Rejected)
    return found.reason


every_topic = pytest.mark.parametrize("topic", DELIVERED, ids=lambda topic: topic.name)


def test_every_topic_that_names_the_gateway_as_its_reader_is_read() -> None:
    unread = {topics.INSTRUMENTS, topics.OUTCOMES, topics.REPLIES}  # for names and for answers, which come later
    wanted = {topic for topic in topics.TOPICS if "gateway" in topic.consumers} - unread
    assert set(_starts(GatewaySettings(jwt_secret="s" * 32))) == wanted


@every_topic
def test_an_event_is_accepted_and_its_bytes_are_kept(topic: Topic) -> None:
    update = accepted(record_of(topic))
    assert isinstance(update, Update)
    assert update.payload == text(topic)
    assert update.portfolio_id == "equity-01"


@every_topic
def test_a_schema_from_the_future_is_accepted(topic: Topic) -> None:
    assert isinstance(accepted(record_of(topic, (text(topic)[:-1] + ',"novelty":[1]}').encode())), Update)


@every_topic
@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "1e999", '"text"', "[]"])
def test_a_number_that_is_none_is_refused(topic: Topic, bad: str) -> None:
    content = text(topic)
    for number in ("0.2134", "-598120.0", "412870.5", "0.0331"):
        if number in content:
            broken = content.replace(number, bad, 1).encode()
            assert topic.event.__name__ in reason(record_of(topic, broken))
            return
    pytest.fail(f"the example of {topic.name} has no number that this test knows")


@every_topic
@pytest.mark.parametrize("garbage", [b"", b"garbage", b"{}", b"[]", b"null", b"\xff\xfe", b'{"a":"\xff"}'])
def test_garbage_is_refused(topic: Topic, garbage: bytes) -> None:
    assert reason(record_of(topic, garbage))


@every_topic
def test_a_record_nested_too_deep_is_refused(topic: Topic) -> None:
    assert reason(record_of(topic, (text(topic)[:-1] + ',"novelty":' + "[" * 100_000).encode()))


@every_topic
def test_each_required_field_is_required_here_as_in_the_contract(topic: Topic) -> None:
    content = json.loads(text(topic))
    for name, field in topic.event.model_fields.items():
        if field.is_required():
            without = {key: value for key, value in content.items() if key != name}
            assert name in reason(record_of(topic, json.dumps(without).encode()))


@every_topic
def test_a_record_in_the_wrong_partition_or_under_a_foreign_key_is_refused(topic: Topic) -> None:
    right = record_of(topic)
    assert "partition: expected" in reason(right._replace(partition=(right.partition + 1) % PARTITIONS))
    assert "key: expected" in reason(right._replace(key="equity-02"))
    assert "key: expected" in reason(right._replace(key=None))


@pytest.mark.parametrize("topic", [t for t in DELIVERED if not t.compacted], ids=lambda topic: topic.name)
def test_a_tombstone_on_a_topic_that_is_kept_is_refused(topic: Topic) -> None:
    assert reason(record_of(topic)._replace(value=None))


@pytest.mark.parametrize("topic", [t for t in DELIVERED if t.compacted], ids=lambda topic: topic.name)
def test_a_tombstone_takes_away_the_very_group_that_the_event_set(topic: Topic) -> None:
    event, tombstone = accepted(record_of(topic)), accepted(record_of(topic)._replace(value=None))
    assert isinstance(event, Update)
    assert isinstance(tombstone, Update)
    assert (tombstone.group, tombstone.portfolio_id, tombstone.payload) == (event.group, event.portfolio_id, None)


def test_a_definition_is_read_and_a_tombstone_closes_the_portfolio() -> None:
    definition = EXAMPLES[topics.DEFINITIONS.name]
    assert accepted(record_of(topics.DEFINITIONS)) == Defined("equity-01", definition)
    assert accepted(record_of(topics.DEFINITIONS)._replace(value=None)) == Defined("equity-01", None)


def test_a_status_is_read_under_its_replica() -> None:
    found = accepted(record_of(topics.STATUS, key="risk/risk-0", partition=0))
    assert found == Reported("risk/risk-0", EXAMPLES[topics.STATUS.name])


@every_topic
def test_a_struct_reads_what_the_model_reads(topic: Topic) -> None:
    event = EXAMPLES[topic.name]
    struct = msgspec.json.decode(event.to_json(), type=struct_of(type(event)))
    assert json.loads(msgspec.json.encode(struct)) == json.loads(event.to_json())


@given(st.data())
def test_what_the_struct_refuses_or_accepts_the_model_does_too(data: st.DataObject) -> None:
    topic = data.draw(st.sampled_from(DELIVERED))
    content = json.loads(text(topic))
    name = data.draw(st.sampled_from(sorted(content)))
    content[name] = data.draw(st.sampled_from([None, True, 1, -1.5, "x", "2008-09-15", [], {}, {"value": 1.0}]))
    value = json.dumps(content).encode()
    try:
        topic.event.from_json(value)
    except ValidationError:
        return  # the model also checks patterns and ranges, which the producers did
    msgspec.json.decode(value, type=struct_of(topic.event))


marks = st.lists(st.integers(-1, 2**62), min_size=1, max_size=3).map(tuple)


@given(
    st.dictionaries(st.integers(0, 999), marks, max_size=12),
    st.sampled_from(["", str(UUID(int=7)), "risk.live.v1:0:9"]),
)
def test_a_position_comes_back_as_it_went(offsets: dict[int, tuple[int, ...]], event_id: str) -> None:
    assert position_of(text_of(Position(offsets, event_id))) == Position(offsets, event_id)


@given(st.text())
def test_no_text_breaks_the_reading_of_positions(position: str) -> None:
    found = position_of(position)
    assert found is None or isinstance(found, Position)


def test_the_time_of_an_event_keeps_its_zone() -> None:
    update = accepted(record_of(topics.METRICS))
    assert isinstance(update, Update)
    assert isinstance(update.as_of, datetime)
    assert update.as_of.tzinfo is not None
    example: Event = EXAMPLES[topics.METRICS.name]
    assert update.as_of == example.as_of
