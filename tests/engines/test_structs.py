"""A struct and the model it was made from agree on what an event is."""

import msgspec
import pytest
from pydantic import ValidationError

from contracts.topics import METRICS, TOPICS, Topic
from tailstream.runtime.structs import struct_of
from tests.recorded import metrics_of

GOOD = metrics_of(0, "book-1").to_json()
READ = msgspec.json.Decoder(struct_of(METRICS.event)).decode


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_event_can_be_a_struct_with_the_same_fields(topic: Topic) -> None:
    assert set(struct_of(topic.event).__struct_fields__) == set(topic.event.model_fields)


def test_a_good_event_reads_the_same() -> None:
    model = METRICS.event.from_json(GOOD)
    assert msgspec.json.decode(msgspec.json.encode(READ(GOOD))) == model.model_dump(mode="json")


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b'"n_obs":500', b'"n_obs":"500"'),
        (b'"n_obs":500', b'"n_obs":500.0'),
        (b'"n_obs":500', b'"n_obs":-1'),
        (b'"n_obs":500', b'"n_obs":null'),
        (b'"book-1"', b'"book 1"'),
        (b'"book-1"', rb'"book-1\n"'),
        (b'"2020-01-02"', b'"2020"'),
        (b'"USD"', b'"usd"'),
        (b'"close"', b'"closed"'),
        (b"21:00:00Z", b"21:00:00"),
        (b'"coverage":1.0', b'"coverage":NaN'),
        (b'"coverage":1.0', b'"coverage":1e999'),
        (b'"holdings":[3,', b'"holdings":[-1,'),
        (b'"holdings":[3,3,3,3]', b'"holdings":[]'),
        (b'"analyzer":"basic",', b""),
        (b'"basic"', b'"\xff"'),
        (GOOD, b""),
        (GOOD, b"[]"),
    ],
)
def test_both_refuse_what_is_wrong(good: bytes, bad: bytes) -> None:
    wrong = GOOD.replace(good, bad, 1)
    assert wrong != GOOD
    with pytest.raises(ValidationError):
        METRICS.event.from_json(wrong)
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        READ(wrong)


@pytest.mark.parametrize(
    ("good", "other"),
    [
        (b"{", b'{"invented_later":[{}],'),
        (b'"coverage":1.0', b'"coverage":1'),
        (b'"coverage":1.0', b'"coverage":null'),
        (b"21:00:00Z", b"23:00:00.5+02:00"),
        (b'"revision":0,', b""),
    ],
)
def test_both_accept_what_is_right(good: bytes, other: bytes) -> None:
    right = GOOD.replace(good, other, 1)
    assert right != GOOD
    assert msgspec.to_builtins(READ(right))["as_of"] is not None
    assert METRICS.event.from_json(right).model_dump()["portfolio_id"] == READ(right).portfolio_id
