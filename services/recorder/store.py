"""History in PostgreSQL: batches go in whole, once, whatever was in before."""

import asyncio
from collections.abc import Mapping, Sequence

import psycopg
import stamina
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import set_json_dumps

from services.recorder import statements
from services.recorder.decode import Accepted
from services.recorder.encode import columns_of, row_of
from services.recorder.settings import RecorderSettings
from services.recorder.tables import SCHEMA, TABLES, Table
from tailstream.runtime.errors import TailstreamError
from tailstream.runtime.failpoints import failpoint
from tailstream.runtime.records import Rejected

log = structlog.get_logger()

PROGRAM_LIMIT = "54"
"""SQLSTATE class of what is too large for the database, of an index for instance; psycopg counts it as operational."""


Batch = Mapping[Table, Sequence[Accepted]]
"""What each table takes; no table has two records with one key."""


class HistoryBehind(TailstreamError):
    """The database lacks a table or a column that the recorder writes."""


class RefusedByDatabase(TailstreamError):
    """The database will never take this."""


def is_refusal(error: psycopg.Error) -> bool:
    """Whether the fault is the record's: tried again, it would be refused again."""
    too_large = (error.sqlstate or "").startswith(PROGRAM_LIMIT)
    return too_large or isinstance(error, psycopg.DataError | psycopg.IntegrityError)


def is_passing(error: Exception) -> bool:
    """Whether the database is gone, busy, failing over or not prepared yet: the same may well go in later."""
    return isinstance(error, psycopg.OperationalError | psycopg.errors.ReadOnlySqlTransaction | HistoryBehind)


_CONNECTION: Mapping[str, str | int] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 20_000,
    "application_name": "tailstream-recorder",
}
_PATIENCE = "set statement_timeout = '60s'"
_TYPES = """
select attname, atttypid from pg_attribute
where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
"""


class HistoryStore:
    """The recorder's one connection. A batch is a transaction: COPY into temporary tables, from there into history."""

    def __init__(self, settings: RecorderSettings) -> None:
        self._conninfo = make_conninfo("", **{**_CONNECTION, **conninfo_to_dict(settings.postgres)})
        self._outage_seconds_max = settings.database_outage_seconds_max
        self._connection: psycopg.AsyncConnection | None = None
        self._types: Mapping[Table, Sequence[int]] = {}
        self._reason: str | None = "not connected yet"

    async def start(self) -> None:
        """Wait without end, with jitter and a warning a try, until the database answers and has the tables."""
        async for attempt in stamina.retry_context(is_passing, attempts=None, timeout=None, wait_max=10):
            with attempt:
                await self._connected()

    async def stop(self) -> None:
        """Disconnect."""
        await self._disconnect()

    def waiting_for(self) -> str | None:
        """The database, and why."""
        return None if self._reason is None else f"the database: {self._reason}"

    async def write(self, batch: Batch) -> list[Rejected]:
        """Write ``batch`` whole; a record that the database refuses costs itself only and is returned with the reason.

        Raises
        ------
        psycopg.OperationalError
            When the database stayed away for longer than the settings allow; nothing of the batch was committed.
        """
        if not batch:
            return []
        try:
            await self._insist(batch)
        except RefusedByDatabase:
            return await self._write_one_by_one(batch)
        return []

    async def _write_one_by_one(self, batch: Batch) -> list[Rejected]:
        refused: list[Rejected] = []
        for table, entry in ((table, entry) for table, entries in batch.items() for entry in entries):
            try:
                await self._insist({table: [entry]})
            except RefusedByDatabase as error:
                refused.append(Rejected(entry.record, f"database: {error}"))
        return refused

    async def _insist(self, batch: Batch) -> None:
        async for attempt in stamina.retry_context(is_passing, attempts=None, timeout=self._outage_seconds_max):
            with attempt:
                await self._write_once(batch)

    async def _write_once(self, batch: Batch) -> None:
        connection = await self._connected()
        doing = f"recorder {sum(map(len, batch.values()))} records"
        try:
            async with connection.transaction(), connection.cursor() as cursor:
                for table, entries in batch.items():
                    await self._put(cursor, table, entries)
                failpoint("store.before_commit", doing)
        except psycopg.Error as error:
            if is_refusal(error):
                raise RefusedByDatabase(_first_line(error)) from error
            self._reason = _first_line(error)
            raise
        self._reason = None
        failpoint("store.after_commit", doing)

    async def _put(self, cursor: psycopg.AsyncCursor, table: Table, entries: Sequence[Accepted]) -> None:
        async with cursor.copy(statements.copy(table)) as copy:
            copy.set_types(self._types[table])
            for entry in entries:
                await copy.write_row(row_of(table, entry))
        await cursor.execute(statements.upsert(table))

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            try:
                self._connection = await self._connect()
            except (psycopg.Error, HistoryBehind) as error:
                self._reason = _first_line(error)
                raise
            self._reason = None
        return self._connection

    async def _connect(self) -> psycopg.AsyncConnection:
        connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        try:
            set_json_dumps(_as_it_is, connection)
            await connection.execute(_PATIENCE)
            self._types = {table: await _types_of(connection, table) for table in TABLES}
            for table in TABLES:
                await connection.execute(statements.stage(table))
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await asyncio.wait_for(self._connection.close(), timeout=5)


async def _types_of(connection: psycopg.AsyncConnection, table: Table) -> list[int]:
    cursor = await connection.execute(_TYPES, [f"{SCHEMA}.{table.name}"])
    found: dict[str, int] = dict(await cursor.fetchall())
    if missing := [column for column in columns_of(table) if column not in found]:
        raise HistoryBehind(
            f"{SCHEMA}.{table.name}: expected columns {missing}, not there: run `tailstream db migrate`"
        )
    return [found[column] for column in columns_of(table)]


def _as_it_is(value: bytes) -> bytes:
    return value


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
