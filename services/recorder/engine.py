"""What of a batch is to be written: one record for each key, in the order of the log. Pure: no clock, no bus."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from services.recorder.tables import BY_TOPIC, TABLES, Table
from tailstream.runtime.records import Record


class Entry(NamedTuple):
    """A record that was accepted, and the event in it."""

    record: Record
    event: Any
    """Has the fields of the topic's event."""


Batch = Mapping[Table, Sequence[Entry]]
"""What each table takes; no table has two records with one key."""

_KEY_OF = {table: attrgetter(*(table.columns[column] for column in table.key)) for table in TABLES}


def step(entries: Sequence[Entry]) -> Batch:
    """Sort what arrived into tables, and keep the first record of each key, or the newest where the table says so.

    The state of a limit that was never evaluated has no time and says nothing of the past: it is left out.
    """
    kept: dict[Table, dict[Any, Entry]] = {table: {} for table in TABLES}
    for entry in entries:
        table = BY_TOPIC[entry.record.topic]
        key = _KEY_OF[table](entry.event)
        if table.newest_wins:
            kept[table][key] = entry
        else:
            kept[table].setdefault(key, entry)
    return {table: rows for table in TABLES if (rows := [a for a in kept[table].values() if _has_time(a)])}


def _has_time(entry: Entry) -> bool:
    return getattr(entry.event, "as_of", entry) is not None
