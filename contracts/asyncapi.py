"""The bus as an AsyncAPI 3.0 document: a channel for each topic, an operation for each service that uses it."""

from typing import Any

from contracts.examples import EXAMPLES
from contracts.topics import TOPICS, Layout, Topic

Document = dict[str, Any]

PORTFOLIO_PARTITIONS = 12
"""Partitions of every portfolio topic in production; a development stack has fewer."""

_SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
_BINDING = "0.5.0"


def asyncapi(version: str, schemas: str) -> Document:
    """The document of release ``version``; payloads refer to the schema files in the folder ``schemas``."""
    return {
        "asyncapi": "3.0.0",
        "info": _info(version),
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": dict(sorted(operation for topic in TOPICS for operation in _operations(topic))),
        "components": {
            "messages": {topic.name: _message(topic, schemas) for topic in TOPICS},
            "schemas": {"Headers": _headers()},
        },
    }


def _info(version: str) -> Document:
    return {
        "title": "Tailstream",
        "version": version,
        "description": (
            "Live portfolio analytics, Value at Risk and risk limits. Read every topic with isolation level "
            "read_committed; ignore fields and enumeration values that you do not know; drop repeats by event_id."
        ),
        "license": {"name": "Apache-2.0"},
    }


def _channel(topic: Topic) -> Document:
    return {
        "address": topic.name,
        "summary": _summary(topic),
        "description": f"{_placement(topic)} {_retention(topic)}",
        "messages": {topic.event.__name__: {"$ref": f"#/components/messages/{topic.name}"}},
        "bindings": {"kafka": _kafka(topic)},
    }


def _kafka(topic: Topic) -> Document:
    policies = topic.config["cleanup.policy"].split(",")
    numbers = {name: int(value) for name, value in topic.config.items() if name != "cleanup.policy"}
    return {
        "topic": topic.name,
        "partitions": _partitions(topic),
        "topicConfiguration": {"cleanup.policy": policies, **numbers},
        "bindingVersion": _BINDING,
    }


def _operations(topic: Topic) -> list[tuple[str, Document]]:
    sent = [(f"{service}.sends.{topic.name}", _operation(topic, "send", service)) for service in topic.producers]
    received = [
        (f"{service}.receives.{topic.name}", _operation(topic, "receive", service)) for service in topic.consumers
    ]
    return sent + received


def _operation(topic: Topic, action: str, service: str) -> Document:
    return {"action": action, "channel": {"$ref": f"#/channels/{topic.name}"}, "tags": [{"name": service}]}


def _message(topic: Topic, schemas: str) -> Document:
    key = {"type": "string", "description": f"The {topic.key}."}
    return {
        "name": topic.event.__name__,
        "summary": _summary(topic),
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": f"{schemas}/{topic.name}.json"}},
        "bindings": {"kafka": {"key": key, "bindingVersion": _BINDING}},
        "examples": [{"payload": EXAMPLES[topic.name].model_dump(mode="json")}],
    }


def _headers() -> Document:
    texts = {
        "ce_specversion": "CloudEvents version, 1.0.",
        "ce_type": "Name of the event.",
        "ce_source": "/tailstream/ and the service that published it.",
        "ce_id": "event_id, of events that have one: the same for every recomputation of the event.",
        "content-type": "application/json.",
        "correlation_id": "The record that caused this one, as topic:partition:offset.",
    }
    properties = {name: {"type": "string", "description": text} for name, text in texts.items()}
    return {"type": "object", "properties": properties}


def _partitions(topic: Topic) -> int:
    return 1 if topic.layout is Layout.SINGLE else PORTFOLIO_PARTITIONS


def _placement(topic: Topic) -> str:
    if topic.layout is Layout.SINGLE:
        return f"Keyed by {topic.key}; one partition, whose order is the system's order."
    return f"Keyed by {topic.key}; partition murmur2(portfolio_id) modulo the number of partitions, whatever the key."


def _retention(topic: Topic) -> str:
    if topic.compacted:
        return "Compacted: the newest record of a key stays."
    if topic.retention_ms is None:
        return "Kept for ever."
    return f"Kept for {topic.retention_ms // 3_600_000} hours."


def _summary(topic: Topic) -> str:
    return (topic.event.__doc__ or "").split("\n", 1)[0]
