"""What of a batch is to be written: one record for each key, in the order of the log. Pure: no clock, no bus."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from services.recorder.tables import BY_TOPIC, TABLES, Table


class Entry(Protocol):
    """What the engine needs to know of a record that was accepted."""

    @property
    def topic(self) -> str:
        """The topic it came from."""

    @property
    def event(self) -> Any:
        """Has the fields of the topic's event."""


E = TypeVar("E", bound=Entry)

_KEY_OF = {table: attrgetter(*(table.columns[column] for column in table.key)) for table in TABLES}


def step(entries: Sequence[E]) -> dict[Table, list[E]]:
    """Sort what arrived into tables, and keep the first record of each key, or the newest where the table says so.

    The state of a limit that was never evaluated has no time and says nothing of the past: it is left out.
    """
    kept: dict[Table, dict[Any, E]] = {table: {} for table in TABLES}
    for entry in entries:
        table = BY_TOPIC[entry.topic]
        key = _KEY_OF[table](entry.event)
        if table.newest_wins:
            kept[table][key] = entry
        else:
            kept[table].setdefault(key, entry)
    return {table: rows for table in TABLES if (rows := [a for a in kept[table].values() if _has_time(a)])}


def _has_time(entry: Entry) -> bool:
    return getattr(entry.event, "as_of", entry) is not None
