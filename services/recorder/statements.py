"""The recorder's SQL, written from the tables' descriptions."""

from collections.abc import Sequence

from psycopg import sql

from services.recorder.encode import columns_of
from services.recorder.tables import SCHEMA, Table


def stage(table: Table) -> sql.Composed:
    """A table of this connection alone, empty at every commit."""
    return sql.SQL("create temporary table {} on commit delete rows as select {} from {} with no data").format(
        _staged(table), _names(columns_of(table)), _kept(table)
    )


def copy(table: Table) -> sql.Composed:
    """How rows come in."""
    return sql.SQL("copy {} ({}) from stdin (format binary)").format(_staged(table), _names(columns_of(table)))


def upsert(table: Table) -> sql.Composed:
    """From the temporary table into history; what is there already stays, or gives way to what is newer."""
    names = _names(columns_of(table))
    return sql.SQL(
        "insert into {kept} as kept ({names}) select {names} from {staged} on conflict ({key}) do {then}"
    ).format(kept=_kept(table), names=names, staged=_staged(table), key=_names(table.key), then=_on_conflict(table))


def _on_conflict(table: Table) -> sql.Composable:
    if not table.newest_wins:
        return sql.SQL("nothing")
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(c)) for c in columns_of(table) if c not in table.key
    )
    return sql.SQL("update set {} where excluded.log_offset > kept.log_offset").format(changes)


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _kept(table: Table) -> sql.Identifier:
    return sql.Identifier(SCHEMA, table.name)


def _staged(table: Table) -> sql.Identifier:
    return sql.Identifier("pg_temp", table.name)
