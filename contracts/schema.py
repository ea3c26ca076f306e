"""The JSON Schema of an event, as a reader of the bus needs it."""

from typing import Any

from contracts.event import Event

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(event: type[Event], topic: str) -> Schema:
    """The JSON Schema (2020-12) of the values of ``topic``.

    It is the reader's: a field that a newer producer adds is accepted, because a reader is to ignore what it does not
    know. Fields with a default are optional, because records from before they were added stay on the bus.
    """
    schema: Schema = _readers(event.model_json_schema())
    return {"$schema": DIALECT, "$id": f"urn:tailstream:{topic}", "title": event.__name__, **schema}


def _readers(node: Any) -> Any:
    if isinstance(node, list):
        return [_readers(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {name: _named(name, value) for name, value in node.items() if not _is_noise(name, value)}


def _named(keyword: str, value: Any) -> Any:
    if keyword in ("properties", "$defs"):  # the names in there are fields and types, not keywords
        return {name: _readers(item) for name, item in value.items()}
    return value if keyword in ("default", "enum", "examples") else _readers(value)


def _is_noise(keyword: str, value: Any) -> bool:
    return keyword == "title" or (keyword == "additionalProperties" and value is False)
