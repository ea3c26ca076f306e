"""From raw records to events at their place in the log: a bad record costs one record, a bad price one price."""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from pydantic import ValidationError

from contracts.event import Arrival, Event
from contracts.topics import BY_NAME, CLOSES, PRICES, Layout
from tailstream.runtime.records import Record, Rejected, misplaced

_QUOTING = frozenset({PRICES.name, CLOSES.name})
_SHOWN_CHARACTERS_MAX = 200


Reader = Callable[[bytes], Any]
"""Makes of a record's value what stands for its event; raises ``msgspec.DecodeError`` where it cannot."""


def decode(
    records: Sequence[Record], partitions: int, readers: Mapping[str, Reader] = MappingProxyType({})
) -> tuple[list[Arrival], list[Rejected]]:
    """The events of ``records``, in order, and what is refused of them, each with its reason.

    Values are read as their topic's contract says, or by the topic's own of ``readers``.
    """
    arrivals: list[Arrival] = []
    rejected: list[Rejected] = []
    for record in records:
        event, refusals = _read(record, readers.get(record.topic))
        rejected += refusals
        if event is None and refusals:
            continue
        wrong = _misplaced(record, event, partitions)
        if wrong is not None:
            rejected.append(wrong)
        else:
            arrivals.append(Arrival(record.topic, record.partition, record.offset, record.key or "", event))
    return arrivals, rejected


def _read(record: Record, reader: Reader | None) -> tuple[Event | None, list[Rejected]]:
    if record.value is None:
        return _tombstone(record)
    try:
        if reader is not None:
            return reader(record.value), []
        return BY_NAME[record.topic].event.from_json(record.value), []
    except msgspec.DecodeError as error:
        return None, [Rejected(record, str(error))]
    except ValidationError as error:
        if record.topic in _QUOTING:
            return _without_bad_prices(record, error)
        return None, [Rejected(record, explain(error))]


def _tombstone(record: Record) -> tuple[None, list[Rejected]]:
    if BY_NAME[record.topic].compacted and record.key:
        return None, []
    return None, [Rejected(record, "value: expected an event, was a tombstone")]


def _without_bad_prices(record: Record, error: ValidationError) -> tuple[Event | None, list[Rejected]]:
    """The slice or close without the prices that are wrong, where nothing but prices is wrong."""
    wrong = {
        str(e["loc"][1]): e for e in error.errors(include_url=False) if e["loc"][:1] == ("prices",) and e["loc"][1:]
    }
    try:
        body = json.loads(record.value or b"")
    except ValueError:
        return None, [Rejected(record, explain(error))]
    if not wrong or not isinstance(body, dict) or not isinstance(body.get("prices"), dict):
        return None, [Rejected(record, explain(error))]
    body["prices"] = {name: price for name, price in body["prices"].items() if name not in wrong}
    try:
        event = BY_NAME[record.topic].event.from_json(json.dumps(body).encode())
    except ValidationError as other:
        return None, [Rejected(record, explain(other))]
    return event, [Rejected(record, _one(e), f"prices.{name}") for name, e in sorted(wrong.items())]


def _misplaced(record: Record, event: Event | None, partitions: int) -> Rejected | None:
    if BY_NAME[record.topic].layout is not Layout.BY_PORTFOLIO:
        return None
    portfolio_id = getattr(event, "portfolio_id", None) or (record.key or "").split("/", 1)[0]
    return misplaced(record, portfolio_id, partitions)


def explain(error: ValidationError) -> str:
    """Every field that is wrong: what was expected and what came."""
    return "; ".join(_one(e) for e in error.errors(include_url=False))


def _one(error: Any) -> str:
    field = ".".join(str(part) for part in error["loc"]) or "value"
    came = repr(error["input"])
    shown = came if len(came) <= _SHOWN_CHARACTERS_MAX else came[:_SHOWN_CHARACTERS_MAX] + "..."
    return f"{field}: {error['msg']}, was {shown}"
