"""What a transaction announces, packed into one value that is stored with it and unpacked as the same bytes."""

from collections.abc import Sequence
from uuid import UUID

from pydantic_core import from_json, to_json

from contracts.topics import BY_NAME
from tailstream.runtime.records import Emission


def pack(emissions: Sequence[Emission]) -> bytes:
    """The emissions, in order, as one JSON document."""
    return to_json([(e.topic.name, e.key, e.portfolio_id, e.value, e.event_id, e.correlation_id) for e in emissions])


def unpack(packed: bytes) -> list[Emission]:
    """What was packed: the same records with the same bytes, in the same order."""
    return [
        Emission(BY_NAME[topic], key, portfolio_id, value.encode(), UUID(event_id), correlation_id)
        for topic, key, portfolio_id, value, event_id, correlation_id in from_json(packed)
    ]
