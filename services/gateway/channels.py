"""What a channel remembers: the newest value of every group, and a ring of the last updates for those who come back."""

from collections import deque
from collections.abc import Iterable, Sequence

from services.gateway.arrivals import CHANNEL_TOPICS, ChannelName, Update
from services.gateway.positions import Marks, Position

ALL = "*"
"""Every portfolio."""
_AT_LEAST_ONCE = frozenset({ChannelName.LIMITS, ChannelName.ALERTS})
"""Channels whose producer may publish an event again after a crash."""


class Ring:
    """The last updates of one partition, in the order they were read."""

    def __init__(self, topics: int, updates_max: int) -> None:
        self._updates: deque[Update] = deque()
        self._updates_max = updates_max
        self._ids: set[str] = set()
        self._floors: list[int | None] = [None] * topics
        self.marks: Marks = (-1,) * topics

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._ids

    def append(self, update: Update) -> None:
        """Take in an update, and let go of the oldest beyond the size."""
        index = update.topic_index
        if self._floors[index] is None:
            self._floors[index] = update.offset - 1
        self.marks = (*self.marks[:index], update.offset, *self.marks[index + 1 :])
        self._updates.append(update)
        self._ids.add(update.event_id)
        if len(self._updates) > self._updates_max:
            gone = self._updates.popleft()
            self._floors[gone.topic_index] = gone.offset
            self._ids.discard(gone.event_id)

    @property
    def newest(self) -> Update | None:
        """The update read last."""
        return self._updates[-1] if self._updates else None

    def reaches_back_to(self, marks: Marks) -> bool:
        """Whether every update past ``marks`` is here."""
        return len(marks) == len(self._floors) and all(
            mark >= (-1 if floor is None else floor) and mark <= newest
            for mark, floor, newest in zip(marks, self._floors, self.marks, strict=True)
        )

    def holds(self, event_id: str, marks: Marks) -> bool:
        """Whether the event stands at one of ``marks``, as it did when the position was written."""
        return any(
            update.event_id == event_id and marks[update.topic_index] == update.offset for update in self._updates
        )

    def past(self, marks: Marks) -> list[Update]:
        """The updates past ``marks``, in the order they were read."""
        return [update for update in self._updates if update.offset > marks[update.topic_index]]


class Channel:
    """One channel's last-value table and rings."""

    def __init__(self, name: ChannelName, ring_updates_max: int) -> None:
        self.name = name
        self._topics = len(CHANNEL_TOPICS[name])
        self._ring_updates_max = ring_updates_max
        self._rings: dict[int, Ring] = {}
        self._newest: dict[str, dict[str, Update]] = {}
        self._last: Update | None = None

    def fold(self, update: Update) -> bool:
        """Take in an update; False where it repeats an event."""
        ring = self._ring(update.partition)
        if self.name in _AT_LEAST_ONCE and update.event_id in ring:
            return False
        ring.append(update)
        self._last = update
        groups = self._newest.setdefault(update.portfolio_id, {})
        if _over(update):
            groups.pop(update.group, None)
        else:
            groups[update.group] = update
        return True

    def newest(self, portfolio_id: str) -> list[Update]:
        """The newest value of each group, of one portfolio or of ``ALL``."""
        tables: Iterable[dict[str, Update]] = (
            self._newest.values() if portfolio_id == ALL else (self._newest.get(portfolio_id, {}),)
        )
        return [update for groups in tables for update in groups.values()]

    def position(self, partition: int | None) -> Position:
        """Where the channel stands: in one partition, or in all of them."""
        if partition is None:
            marks = {number: ring.marks for number, ring in self._rings.items()}
            return Position(marks, self._last.event_id if self._last else "")
        ring = self._ring(partition)
        return Position({partition: ring.marks}, ring.newest.event_id if ring.newest else "")

    def missed(self, position: Position, partition: int | None) -> Sequence[Update] | None:
        """What came after ``position``, or None where the rings cannot vouch for all of it."""
        partitions = self._rings.keys() if partition is None else {partition}
        if not position.marks.keys() <= partitions:
            return None
        nothing = (-1,) * self._topics
        marks = {number: position.marks.get(number, nothing) for number in sorted(partitions)}
        rings = {number: self._ring(number) for number in marks}
        if not all(ring.reaches_back_to(marks[number]) for number, ring in rings.items()):
            return None
        if not self._vouched(position, rings, marks):
            return None
        return [update for number, ring in rings.items() for update in ring.past(marks[number])]

    @staticmethod
    def _vouched(position: Position, rings: dict[int, Ring], marks: dict[int, Marks]) -> bool:
        """A topic made anew has other events at the same offsets: the last event seen must be where it was."""
        if not position.event_id:
            return all(max(seen) < 0 for seen in marks.values())
        return any(ring.holds(position.event_id, marks[number]) for number, ring in rings.items())

    def _ring(self, partition: int) -> Ring:
        if partition not in self._rings:
            self._rings[partition] = Ring(self._topics, self._ring_updates_max)
        return self._rings[partition]


def _over(update: Update) -> bool:
    """Whether the group is no more: a tombstone, or an alert that is resolved."""
    return update.payload is None or (update.alert is not None and not update.alert.open)
