"""What a batch of records led to, ready to be stored in one transaction and then announced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter

from services.limits.encode import encode
from services.limits.engine import Announcement, Step
from services.limits.waiting import Place
from tailstream.runtime.records import Emission, Record, Shard


@dataclass(frozen=True, slots=True)
class Change:
    """One transaction's worth."""

    step: Step
    after: Mapping[Shard, int]
    """The next offset of every shard that the batch had records of."""
    waiting: Mapping[Place, bytes]
    """The records of ``step.waiting``."""
    outbox: Mapping[int, Sequence[Emission]]
    """What is announced, in order, by partition."""

    @property
    def emissions(self) -> list[Emission]:
        """All that is announced, in the order of the outbox."""
        return list(chain.from_iterable(self.outbox.values()))


def change_of(records: Sequence[Record], step: Step) -> Change:
    """The change that ``step`` makes, being what the engine made of ``records``."""
    values = {Place(record.topic, record.partition, record.offset): record.value or b"" for record in records}
    return Change(
        step=step,
        after={Shard(record.topic, record.partition): record.offset + 1 for record in records},
        waiting={place: values[place] for place in step.waiting},
        outbox={partition: [encode(a) for a in some] for partition, some in _by_partition(step.announcements)},
    )


def _by_partition(announcements: Sequence[Announcement]) -> list[tuple[int, list[Announcement]]]:
    placed = sorted(announcements, key=attrgetter("partition"))  # stable: what was in order stays in order
    return [(partition, list(some)) for partition, some in groupby(placed, key=attrgetter("partition"))]
