"""From what arrived to rows of the database."""

from operator import attrgetter
from typing import Any

from services.recorder.decode import Accepted
from services.recorder.tables import TABLES, Table

LOG_COLUMNS = ("log_offset", "event")
"""The columns that every table has: where the record stands in its partition, and its bytes."""

_FIELDS_OF = {table: attrgetter(*table.columns.values()) for table in TABLES}


def columns_of(table: Table) -> tuple[str, ...]:
    """The columns of a row, in order."""
    return (*table.columns, *LOG_COLUMNS)


def row_of(table: Table, entry: Accepted) -> tuple[Any, ...]:
    """The record as a row of ``table``, in the order of ``columns_of``; an undefined figure is null."""
    return (*_FIELDS_OF[table](entry.event), entry.record.offset, entry.record.value)
