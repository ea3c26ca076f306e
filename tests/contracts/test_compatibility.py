"""A change that breaks a released schema is found and named; one that only adds is not."""

import copy
import json
from typing import Any

import pytest

from contracts.compatibility import breaking_changes
from contracts.generate import RELEASED
from contracts.schema import schema_of
from contracts.topics import BY_NAME, TOPICS, Topic

Schema = dict[str, Any]

LIMIT: Schema = {
    "type": "object",
    "required": ["id", "base", "owner"],
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z]{1,8}$"},
        "base": {"type": "number", "exclusiveMinimum": 0},
        "owner": {"$ref": "#/$defs/Person"},
        "kind": {"enum": ["max", "min"], "type": "string"},
        "value": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "levels": {"type": "object", "additionalProperties": {"type": "number", "maximum": 1}},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 4},
        "command": {"const": "define", "type": "string"},
    },
    "$defs": {"Person": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
}


def changed(path: str, **keywords: Any) -> Schema:
    """``LIMIT`` with the keywords at ``path`` set anew; None takes one away."""
    schema = copy.deepcopy(LIMIT)
    node = schema
    for step in path.split("/") if path else ():
        node = node[step]
    node.update(keywords)
    for keyword in [keyword for keyword, value in keywords.items() if value is None]:
        del node[keyword]
    return schema


PROPERTIES = LIMIT["properties"]


@pytest.mark.parametrize(
    ("new", "named"),
    [
        (changed("properties", kind=None), "kind: the field is gone"),
        (changed("", required=["id", "base", "owner", "value"]), "value: the field is required now"),
        (
            changed("", required=["id", "base", "owner", "new"], properties={**PROPERTIES, "new": {"type": "number"}}),
            "new: the field is required now",
        ),
        (changed("", required=["id", "base"]), "owner: the field was required, and may be missing now"),
        (changed("properties/base", type="string"), "base: type was 'number', is 'string'"),
        (changed("properties/base", type="integer"), "base: type was 'number', is 'integer'"),
        (changed("properties/base", exclusiveMinimum=1), "base: exclusiveMinimum was 0, is 1"),
        (changed("properties/base", maximum=5), "base: maximum was none, is 5"),
        (changed("properties/id", pattern="^[a-z]{1,4}$"), "id: pattern was '^[a-z]{1,8}$', is '^[a-z]{1,4}$'"),
        (changed("properties/id", format="uuid"), "id: format was none, is 'uuid'"),
        (changed("properties/kind", enum=["max"]), "kind: the value 'min' is gone"),
        (changed("properties/id", enum=["a"]), "id: enum was none, is ['a']"),
        (changed("properties/command", const="delete"), "command: the value 'define' is gone"),
        (
            changed("properties/value", anyOf=None, type="number"),
            "value: was null or number, is number",
        ),
        (
            changed("properties/base", type=None, anyOf=[{"type": "number"}, {"type": "null"}]),
            "base: was number, is null or number",
        ),
        (
            changed("properties/value", anyOf=[{"type": "number", "minimum": 0}, {"type": "null"}]),
            "value: minimum was none, is 0",
        ),
        (changed("properties/levels/additionalProperties", maximum=0.5), "levels{}: maximum was 1, is 0.5"),
        (changed("properties/levels", additionalProperties=False), "levels{}: was"),
        (changed("properties/tags/items", type="number"), "tags[]: type was 'string', is 'number'"),
        (changed("properties/tags", maxItems=2), "tags: maxItems was 4, is 2"),
        (changed("$defs/Person/properties/name", type="number"), "owner.name: type was 'string', is 'number'"),
        (changed("$defs/Person", required=["name", "mail"]), "owner.mail: the field is required now"),
        (changed("", type="array"), "type was 'object', is 'array'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_breaking_change_is_named(new: Schema, named: str) -> None:
    assert [change for change in breaking_changes(LIMIT, new) if change.startswith(named)]


@pytest.mark.parametrize(
    "new",
    [
        LIMIT,
        changed("", properties={**PROPERTIES, "added": {"type": "number", "default": 1.0}}),
        changed("properties/kind", enum=["max", "min", "band"]),
        changed("properties/command", const=None, enum=["define", "delete"]),
        changed("properties/base", exclusiveMinimum=-1),
        changed("properties/tags", maxItems=9),
        changed("properties/base", description="in money", title="Base", default=1),
    ],
    ids=["nothing", "field with a default", "value", "constant to values", "lower bound", "more items", "words"],
)
def test_a_change_that_only_adds_breaks_nothing(new: Schema) -> None:
    assert breaking_changes(LIMIT, new) == []


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_losing_any_field_of_any_event_would_be_noticed(topic: Topic) -> None:
    schema = schema_of(topic.event, topic.name)
    for name in schema["properties"]:
        without = copy.deepcopy(schema)
        del without["properties"][name]
        assert f"{name}: the field is gone" in breaking_changes(schema, without)


@pytest.mark.parametrize("path", sorted(RELEASED.glob("*.json")), ids=lambda path: path.stem)
def test_no_released_schema_is_broken(path: Any) -> None:
    assert path.stem in BY_NAME, "a released topic is gone: it must live on beside its successor"
    current = schema_of(BY_NAME[path.stem].event, path.stem)
    assert breaking_changes(json.loads(path.read_text()), current) == [], "add a `.v2` topic beside this one"


def test_schemas_have_been_released() -> None:
    assert list(RELEASED.glob("*.json"))
