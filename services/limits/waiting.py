"""Closes whose parts have not all arrived: which parts a close needs, and when it is settled.

A close of a portfolio is settled once every closing topic has delivered all its parts of that close, or a part of a
later one: a topic's records of a portfolio come in the order of their closes, so what is missing then never comes. The
closes of a portfolio are settled in order, whatever the order in which the topics arrive.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from contracts.topics import METRICS, RISK, VALUATIONS
from services.limits.figures import Measurement

NEEDED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        VALUATIONS.name: frozenset({"valuation"}),
        RISK.name: frozenset({"tail_risk"}),
        METRICS.name: frozenset({"basic", "risk", "drawdown"}),
    }
)
"""The parts of a close, by the topic that delivers them; those of analytics are named after their analyzers."""


class CloseKey(NamedTuple):
    """Which close of a portfolio; keys sort in the order of evaluation."""

    period: str
    revision: int


class Place(NamedTuple):
    """Where a record stands in the log."""

    topic: str
    partition: int
    offset: int


class ClosingPart(NamedTuple):
    """One part of a close, and where the record stands that it came in."""

    place: Place
    name: str
    measured: Measurement


@dataclass(slots=True)
class WaitingCloses:
    """The closes of one portfolio that are not settled yet."""

    closes: dict[CloseKey, dict[str, ClosingPart]] = field(default_factory=dict)
    _order: list[CloseKey] = field(default_factory=list)
    _reached: dict[str, CloseKey] = field(default_factory=dict)

    def add(self, key: CloseKey, part: ClosingPart) -> bool:
        """Keep ``part`` of close ``key``; False when it is there already: the first one counts."""
        topic = part.place.topic
        self._reached[topic] = max(key, self._reached.get(topic, key))
        if key not in self.closes:
            self.closes[key] = {}
            heapq.heappush(self._order, key)
        if part.name in self.closes[key]:
            return False
        self.closes[key][part.name] = part
        return True

    def next_settled(self) -> CloseKey | None:
        """The oldest waiting close, if it is settled."""
        if not self._order or not self._settled(self._order[0]):
            return None
        return self._order[0]

    def take(self) -> dict[str, ClosingPart]:
        """Remove the oldest waiting close and return its parts by name."""
        return self.closes.pop(heapq.heappop(self._order))

    def _settled(self, key: CloseKey) -> bool:
        arrived = self.closes[key].keys()
        return all(names <= arrived or self._passed(topic, key) for topic, names in NEEDED.items())

    def _passed(self, topic: str, key: CloseKey) -> bool:
        reached = self._reached.get(topic)
        return reached is not None and reached > key
