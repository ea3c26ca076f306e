"""What holds for every event of every topic."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError as SchemaError
from pydantic import ValidationError

from contracts.event import Event
from contracts.examples import EXAMPLES
from contracts.schema import schema_of
from contracts.topics import BY_NAME, PRICES, TOPICS, Topic

every_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def document(topic: Topic) -> dict[str, Any]:
    return dict(json.loads(EXAMPLES[topic.name].to_json()))


def encoded(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode()


def validator(topic: Topic) -> Draft202012Validator:
    schema = schema_of(topic.event, topic.name)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def parts(value: object) -> Iterator[tuple[dict[str, Any], str]]:
    """Every object inside ``value`` with each of its keys."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from parts(inner)
    if isinstance(value, list):
        for inner in value:
            yield from parts(inner)


def test_every_topic_has_an_example_and_no_example_is_of_an_unknown_topic() -> None:
    assert EXAMPLES.keys() == BY_NAME.keys()


@every_topic
def test_an_event_read_back_is_the_event_that_was_written(topic: Topic) -> None:
    example = EXAMPLES[topic.name]
    assert type(example) is topic.event
    assert topic.event.from_json(example.to_json()) == example
    assert topic.event.from_json(example.to_json()).to_json() == example.to_json()


@every_topic
def test_an_example_satisfies_its_schema(topic: Topic) -> None:
    validator(topic).validate(document(topic))


@every_topic
def test_a_field_from_a_newer_schema_is_ignored_at_every_depth(topic: Topic) -> None:
    values = document(topic)
    values["of_the_future"] = {"any": "thing"}
    validator(topic).validate(values)
    assert topic.event.from_json(encoded(values)) == EXAMPLES[topic.name]


@every_topic
def test_a_field_that_nobody_declared_is_refused_when_an_event_is_made(topic: Topic) -> None:
    with pytest.raises(ValidationError, match="invented"):
        topic.event(**EXAMPLES[topic.name].model_dump(), invented=1)


@every_topic
def test_each_missing_field_is_refused_by_name(topic: Topic) -> None:
    required = [name for name, field in topic.event.model_fields.items() if field.is_required()]
    assert required
    for name in required:
        values = document(topic)
        del values[name]
        with pytest.raises(ValidationError, match=name):
            topic.event.from_json(encoded(values))
        with pytest.raises(SchemaError, match=name):
            validator(topic).validate(values)


@every_topic
def test_each_text_where_a_number_belongs_is_refused_by_name(topic: Topic) -> None:
    for name, value in document(topic).items():
        if not isinstance(value, bool) and isinstance(value, int | float):
            with pytest.raises(ValidationError, match=name):
                topic.event.from_json(encoded({**document(topic), name: str(value)}))


@every_topic
def test_no_number_anywhere_may_be_infinite_or_not_a_number(topic: Topic) -> None:
    values = document(topic)
    for owner, key in [(owner, key) for owner, key in parts(values) if isinstance(owner[key], float)]:
        kept = owner[key]
        for bad in (math.nan, math.inf, -math.inf):
            owner[key] = bad
            with pytest.raises(ValidationError):
                topic.event.from_json(encoded(values))
        owner[key] = kept


@every_topic
def test_an_event_cannot_be_changed(topic: Topic) -> None:
    example = EXAMPLES[topic.name]
    name = next(iter(topic.event.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(example, name, getattr(example, name))


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"null", b"[]", b"7", b"\xff\xfe", b'"prices"', b"{}"],
    ids=["empty", "cut off", "null", "a list", "a number", "not UTF-8", "a text", "no field"],
)
def test_garbage_is_refused_and_never_half_read(value: bytes) -> None:
    with pytest.raises(ValidationError):
        PRICES.event.from_json(value)


def test_a_negative_price_is_refused_with_its_instrument() -> None:
    values = {**document(PRICES), "prices": {"AAPL": 4.2, "JPM": -1.0}}
    with pytest.raises(ValidationError, match=r"prices\.JPM"):
        PRICES.event.from_json(encoded(values))


def test_a_time_without_its_zone_is_refused() -> None:
    values = {**document(PRICES), "as_of": "2008-09-15T21:00:00"}
    with pytest.raises(ValidationError, match="as_of"):
        PRICES.event.from_json(encoded(values))


def test_equal_events_have_equal_bytes_whatever_they_were_made_from() -> None:
    for example in EXAMPLES.values():
        again: Event = type(example).model_validate(example.model_dump(mode="json"))
        assert again.to_json() == example.to_json()
