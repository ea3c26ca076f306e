"""The system of record: what a batch of records led to, and how far the records were read, in one transaction.

Whoever adopts a shard raises its epoch. A write by an earlier owner, or from another offset than the one stored, is
refused as a whole, so a replica that lost its shards cannot overwrite its successor.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple

import psycopg
import stamina
from psycopg.abc import Params
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from contracts.limits import LimitCommandDecided, LimitCommandIssued
from services.limits import statements
from services.limits.book import Book, book_from_json, book_to_json
from services.limits.change import Change
from services.limits.engine import CommandKey, Decision, Definition
from services.limits.outbox import pack, unpack
from services.limits.settings import LimitsSettings
from services.limits.waiting import Place
from tailstream.runtime.errors import Fenced, TailstreamError
from tailstream.runtime.failpoints import failpoint
from tailstream.runtime.records import Emission, Shard

AWAY = (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)
"""The database is gone, busy or failing over: the same transaction may well go through later."""

_CONNECTION: Mapping[str, str | int] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 20_000,
    "application_name": "tailstream-limits",
}
_PATIENCE = """
set statement_timeout = '60s';
set idle_in_transaction_session_timeout = '5s'
"""
"""A replica that was stopped inside a transaction must not keep its successor waiting for the rows it locked."""


class NotMigrated(TailstreamError):
    """The database lacks the tables of the limits service."""


class Position(NamedTuple):
    """Where a shard goes on, and the epoch at which this replica owns it."""

    next: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Adopted:
    """What the store has of the shards that were adopted."""

    positions: Mapping[Shard, int]
    outbox: Mapping[int, Sequence[Emission]]
    """Announcements that were stored and perhaps never published, by their id, in order."""
    books: Sequence[Book]
    waiting: Sequence[tuple[Place, bytes]]


class Store:
    """The one connection of a replica, and the shards that it owns."""

    def __init__(self, settings: LimitsSettings) -> None:
        self._conninfo = make_conninfo("", **{**_CONNECTION, **conninfo_to_dict(settings.postgres)})
        self._owner = settings.replica
        self._outage_seconds_max = settings.database_outage_seconds_max
        self._insist = stamina.AsyncRetryingCaller(attempts=None, timeout=self._outage_seconds_max).on(AWAY)
        self._connection: psycopg.AsyncConnection | None = None
        self._positions: dict[Shard, Position] = {}
        self._reason: str | None = "not connected yet"

    async def start(self) -> None:
        """Wait without end, with jitter and a warning a try, until the database answers and has the tables."""
        async for attempt in stamina.retry_context((*AWAY, NotMigrated), attempts=None, timeout=None, wait_max=10):
            with attempt:
                await self._connected()

    async def stop(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            await asyncio.wait_for(self._connection.close(), timeout=5)

    def waiting_for(self) -> str | None:
        """The database, and why."""
        return None if self._reason is None else f"the database: {self._reason}"

    async def adopt(self, shards: Sequence[Shard]) -> Adopted:
        """Take the shards over from whoever had them, and read what is stored of them; others are forgotten."""
        return await self._insist(self._adopt, shards)

    async def decided(self, keys: Sequence[CommandKey]) -> dict[CommandKey, Decision]:
        """Those of the commands that were decided before."""
        rows = await self._insist(self._rows, statements.DECIDED, _columns(keys, 2)) if keys else []
        return {decision.key: decision for decision in (_decision(*row) for row in rows)}

    async def commit(self, change: Change) -> list[int]:
        """Store ``change`` whole and return the ids of what it put into the outbox.

        Raises
        ------
        Fenced
            When another replica has taken one of the shards over; nothing was stored.
        psycopg.OperationalError
            When the database stayed away for longer than the settings allow.
        """
        async for attempt in stamina.retry_context(AWAY, attempts=None, timeout=self._outage_seconds_max):
            with attempt:
                if attempt.num > 1 and await self._is_stored(change):
                    ids = [id for (id,) in await self._rows(statements.OUTBOX_IDS, [list(change.outbox)])]
                else:
                    ids = await self._commit(change)
        self._positions.update(self._after(change))
        return ids

    async def published(self, ids: Sequence[int]) -> None:
        """Remove announcements from the outbox that are safely on the bus."""
        if ids:
            await self._insist(self._execute, statements.EMPTY_OUTBOX, [list(ids)])

    async def _adopt(self, shards: Sequence[Shard]) -> Adopted:
        owner = {"owner": self._owner, **_shard_columns(shards)}
        claimed = await self._rows(statements.CLAIM, owner)
        self._positions = {Shard(t, p): Position(next, epoch) for t, p, next, epoch in claimed}
        partitions = [sorted({shard.partition for shard in shards})]
        return Adopted(
            {shard: position.next for shard, position in self._positions.items()},
            {id: unpack(packed) for id, packed in await self._rows(statements.OUTBOX, partitions)},
            [book_from_json(document) for (document,) in await self._rows(statements.BOOKS, partitions)],
            [(Place(t, p, o), value) for t, p, o, value in await self._rows(statements.WAITING, partitions)],
        )

    async def _is_stored(self, change: Change) -> bool:
        """Whether a commit whose answer was lost went through: nobody else writes at our epoch."""
        rows = await self._rows(statements.POSITIONS, _shard_columns(list(change.after)))
        return {Shard(t, p): Position(next, epoch) for t, p, next, epoch in rows} == self._after(change)

    def _after(self, change: Change) -> dict[Shard, Position]:
        return {shard: Position(next, self._positions[shard].epoch) for shard, next in change.after.items()}

    async def _commit(self, change: Change) -> list[int]:
        connection = await self._connected()
        doing = f"limits {dict(change.after)}"
        async with _fencing(), connection.pipeline() as pipeline, connection.transaction():
            advanced = await connection.execute(statements.ADVANCE, self._moves(change.after))
            saved = await _save(connection, change)
            filled = await connection.execute(statements.FILL_OUTBOX, _outbox_columns(change))
            await pipeline.sync()
            _expect(advanced, len(change.after), "offsets")
            _expect(saved, len(change.step.books), "books")
            ids = [id for (id,) in await filled.fetchall()]
            failpoint("store.before_commit", doing)
        failpoint("store.after_commit", doing)
        return ids

    def _moves(self, after: Mapping[Shard, int]) -> dict[str, list[str] | list[int]]:
        return {
            **_shard_columns(list(after)),
            "expected": [self._positions[shard].next for shard in after],
            "next": list(after.values()),
            "epochs": [self._positions[shard].epoch for shard in after],
        }

    async def _execute(self, statement: LiteralString, parameters: Params) -> psycopg.AsyncCursor[TupleRow]:
        connection = await self._connected()
        return await connection.execute(statement, parameters)

    async def _rows(self, statement: LiteralString, parameters: Params) -> list[TupleRow]:
        cursor = await self._execute(statement, parameters)
        return await cursor.fetchall()

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            try:
                self._connection = await _connect(self._conninfo)
            except (*AWAY, NotMigrated) as error:
                self._reason = str(error).strip().partition("\n")[0]
                raise
        self._reason = None
        return self._connection


async def _connect(conninfo: str) -> psycopg.AsyncConnection:
    connection = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
    try:
        await connection.execute(_PATIENCE)
        if await (await connection.execute(statements.IS_MIGRATED)).fetchone() != (True,):
            raise NotMigrated("limits.offsets: expected this table, was not there: run `tailstream db migrate`")
    except BaseException:
        await connection.close()
        raise
    return connection


async def _save(connection: psycopg.AsyncConnection, change: Change) -> psycopg.AsyncCursor[TupleRow]:
    """Store all but the offsets; the cursor, of the books, tells whether each was at the version it should be at."""
    step = change.step
    for definition in step.definitions:
        await connection.execute(statements.SAVE_DEFINITION, _definition_row(definition))
    for decision in step.decisions:
        await connection.execute(statements.SAVE_DECISION, _decision_row(decision))
    if change.waiting:
        rows = [(*place, value) for place, value in change.waiting.items()]
        await connection.execute(statements.SAVE_WAITING, _columns(rows, 4))
    if step.consumed:
        await connection.execute(statements.DROP_WAITING, _columns(step.consumed, 3))
    return await connection.execute(statements.SAVE_BOOKS, _columns([_book_row(book) for book in step.books], 4))


@asynccontextmanager
async def _fencing() -> AsyncIterator[None]:
    """A row that is there already was stored by another owner: with our offsets in place there can be none."""
    try:
        yield
    except psycopg.IntegrityError as error:
        raise Fenced(f"limits: expected no such row yet: {error}") from error


def _expect(cursor: psycopg.AsyncCursor[TupleRow], rows: int, what: str) -> None:
    if cursor.rowcount != rows:
        raise Fenced(f"limits.{what}: expected {rows} rows at our epoch and version, was {cursor.rowcount}")


def _columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as one array for each column, for ``unnest``."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def _shard_columns(shards: Iterable[Shard]) -> dict[str, list[Any]]:
    topics, partitions = _columns(shards, 2)
    return {"topics": topics, "partitions": partitions}


def _outbox_columns(change: Change) -> list[list[Any]]:
    return _columns([(partition, pack(emissions)) for partition, emissions in change.outbox.items()], 2)


def _book_row(book: Book) -> tuple[str, int, int, str]:
    return book.portfolio_id, book.partition, book.version, book_to_json(book).decode()


def _definition_row(definition: Definition) -> tuple[Any, ...]:
    limit, version, command = definition
    identity = (limit.portfolio_id, limit.limit_id, version)
    return (*identity, limit.model_dump_json(), command.issued_by, command.issued_at, command.idempotency_key)


def _decision_row(decision: Decision) -> tuple[str, str, str, str]:
    command, outcome = decision
    return (*decision.key, command.to_json().decode(), outcome.to_json().decode())


def _decision(command: str, outcome: str) -> Decision:
    return Decision(LimitCommandIssued.from_json(command.encode()), LimitCommandDecided.from_json(outcome.encode()))
