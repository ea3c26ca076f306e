"""The close of an event measured anew, by the service's own engine, from the evidence alone."""

from collections.abc import Iterator
from typing import NamedTuple, TypeGuard

from contracts.event import Event, Measured
from tailstream.explain.evidence import Evidence
from tailstream.explain.published import Published
from tailstream.fold.work import on_the_spot
from tailstream.runtime.closing import ClosingEngine


class Recomputed(NamedTuple):
    """What the engine makes of the evidence; ``event`` and ``value`` are None where it makes nothing of it."""

    row: int
    """Of the close in the engine's world."""
    event: Measured | None
    value: bytes | None
    """As it would be published."""


def recompute(engine: ClosingEngine, published: Published, evidence: Evidence) -> Recomputed:
    """Fold the evidence, restore the service's state before the close, and measure the close."""
    row = evidence.fold_into(engine.world)
    partition = published.record.partition
    engine.restore(partition, evidence.own)
    for event in _events(engine, partition, row):
        if _is_same(event, published.event):
            return Recomputed(row, event, published.measurer.encode(event, "").value)
    return Recomputed(row, None, None)


def _events(engine: ClosingEngine, partition: int, row: int) -> Iterator[Event]:
    for events in on_the_spot(engine.close(partition, row)):
        yield from events


def _is_same(event: Event, published: Measured) -> TypeGuard[Measured]:
    """Whether both are about the same; the ids differ where the models do."""
    same = type(event) is type(published) and getattr(event, "portfolio_id", None) == published.portfolio_id
    return same and getattr(event, "analyzer", None) == getattr(published, "analyzer", None)
