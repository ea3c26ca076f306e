"""The limits service's store on a real PostgreSQL: fencing, crashes between the commit and the bus, restarts."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import psycopg
import pytest

from contracts.limits import LimitState
from services.limits.change import Change, change_of
from services.limits.decode import INPUTS, decode, restored
from services.limits.engine import CommandKey, Engine
from services.limits.settings import LimitsSettings
from services.limits.store import NotMigrated, Store
from tailstream.cli.db import migrate
from tailstream.runtime.errors import Fenced
from tailstream.runtime.records import Emission, Record, Shard, partition_of
from tests import limits_log as log

PARTITION = partition_of(log.BOOK, log.PARTITIONS)
SHARDS = [Shard(topic.name, PARTITION) for topic in INPUTS]
VALUES = [0.010, 0.016, 0.016, 0.025, 0.018, 0.018, 0.018, 0.005, 0.005, 0.005]


class Owner:
    """A replica without a bus: what it would publish is kept."""

    def __init__(self, url: str, name: str) -> None:
        self.store = Store(LimitsSettings(postgres=url, replica=name, database_outage_seconds_max=10))
        self.engine = Engine(stale_after=3)
        self.published: list[Emission] = []

    async def adopt(self) -> dict[Shard, int]:
        adopted = await self.store.adopt(SHARDS)
        for id, emissions in adopted.outbox.items():
            self.published.extend(emissions)
            await self.store.published([id])
        self.engine.restore(adopted.books, [restored(place, value) for place, value in adopted.waiting])
        return dict(adopted.positions)

    async def fold(self, records: Sequence[Record]) -> Change:
        arrivals, rejected = decode(records, log.PARTITIONS)
        assert rejected == []
        keys = [
            CommandKey(a.event.portfolio_id, a.event.idempotency_key) for a in arrivals if a.topic == INPUTS[-1].name
        ]
        return change_of(records, self.engine.step(arrivals, await self.store.decided(keys)))

    async def commit(self, records: Sequence[Record]) -> tuple[Change, list[int]]:
        change = await self.fold(records)
        return change, await self.store.commit(change)

    async def handle(self, records: Sequence[Record]) -> None:
        change, ids = await self.commit(records)
        self.published.extend(change.emissions)
        await self.store.published(ids)

    async def handle_each(self, records: Iterable[Record]) -> None:
        for record in records:
            await self.handle([record])

    @property
    def state(self) -> LimitState:
        return newest_state(self.published)


MakeOwner = Callable[[str], Awaitable[Owner]]


@pytest.fixture
async def make_owner(database: str) -> AsyncIterator[MakeOwner]:
    migrate(database)
    owners: list[Owner] = []

    async def make(name: str) -> Owner:
        owner = Owner(database, name)
        owners.append(owner)
        await owner.store.start()
        await owner.adopt()
        return owner

    yield make
    for owner in owners:
        await owner.store.stop()


def newest_state(published: Sequence[Emission]) -> LimitState:
    return [LimitState.from_json(e.value or b"") for e in published if e.topic.event is LimitState][-1]


def history() -> list[Record]:
    published = [*log.define(log.var_limit(0.02))]
    published += [part for day, value in enumerate(VALUES) for part in log.close(day, var_99=value)]
    return log.Log().records(published)


def announced(records: Sequence[Record], *, batch: int) -> list[Emission]:
    """What an engine that is never disturbed publishes, with no store at all."""
    engine, told = Engine(stale_after=3), list[Emission]()
    for start in range(0, len(records), batch):
        some = records[start : start + batch]
        told += change_of(some, engine.step(decode(some, log.PARTITIONS)[0], {})).emissions
    return told


async def test_a_fresh_owner_begins_at_the_beginning_and_its_successor_where_it_stopped(
    make_owner: MakeOwner,
) -> None:
    owner = await make_owner("a")
    assert set((await owner.adopt()).values()) == {0}
    records = history()
    await owner.handle(records)
    positions = await (await make_owner("b")).adopt()
    for shard in SHARDS:
        assert positions[shard] == sum(1 for r in records if (r.topic, r.partition) == shard)


async def test_an_owner_whose_shards_were_adopted_by_another_cannot_store_anything(make_owner: MakeOwner) -> None:
    records = history()
    zombie = await make_owner("zombie")
    await zombie.handle(records[:8])
    late = await zombie.fold(records[8:15])
    heir = await make_owner("heir")
    with pytest.raises(Fenced, match="offsets: expected"):
        await zombie.store.commit(late)
    await heir.handle(records[8:])
    assert heir.state.chain == newest_state(announced(records, batch=500)).chain


async def test_a_refused_transaction_leaves_nothing_behind(make_owner: MakeOwner, database: str) -> None:
    records = history()
    zombie = await make_owner("zombie")
    late = await zombie.fold(records)
    await make_owner("heir")
    with pytest.raises(Fenced):
        await zombie.store.commit(late)
    with psycopg.connect(database) as connection:
        for table in ("books", "definitions", "commands", "waiting", "outbox"):
            assert connection.execute(f"select count(*) from limits.{table}").fetchone() == (0,), table  # type: ignore[arg-type]


async def test_the_same_batch_cannot_be_stored_twice(make_owner: MakeOwner) -> None:
    owner, other = await make_owner("a"), await make_owner("b")
    change = await other.fold(history())
    await other.store.commit(change)
    with pytest.raises(Fenced, match=r"definitions_pkey|offsets: expected"):
        await owner.store.commit(change)


async def test_a_book_that_is_not_at_the_version_it_was_read_at_is_not_overwritten(
    make_owner: MakeOwner, database: str
) -> None:
    owner, records = await make_owner("a"), history()
    await owner.handle(records[:20])
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("update limits.books set version = version + 1")
    with pytest.raises(Fenced, match="books: expected 1 rows"):
        await owner.handle(records[20:])


async def test_what_was_committed_and_not_published_is_published_first_by_the_next_owner(
    make_owner: MakeOwner,
) -> None:
    records = history()
    dead = await make_owner("dead")
    change, _ids = await dead.commit(records[:20])  # and here it dies: nothing was published
    heir = await make_owner("heir")
    assert heir.published == change.emissions
    assert await heir.adopt() is not None
    assert heir.published == change.emissions, "the outbox is empty once it was published"


@pytest.mark.parametrize("crash", [1, 4, 9, 33, 58])
async def test_a_restart_at_any_record_goes_on_with_the_same_bytes(make_owner: MakeOwner, crash: int) -> None:
    records = history()
    first = await make_owner("first")
    await first.handle_each(records[:crash])
    second = await make_owner("second")
    await second.handle_each(records[crash:])
    assert [*first.published, *second.published] == announced(records, batch=1)


async def test_parts_that_wait_are_stored_until_their_close_is_whole(make_owner: MakeOwner, database: str) -> None:
    def stored() -> int:
        with psycopg.connect(database) as connection:
            (count,) = connection.execute("select count(*) from limits.waiting").fetchone() or (0,)
            return int(count)

    owner, numbered = await make_owner("a"), log.Log()
    await owner.handle(numbered.records(log.define(log.var_limit())))
    await owner.handle(numbered.records(log.close(0, without=["tail_risk"])))
    assert stored() == 4
    heir = await make_owner("b")
    await heir.handle(numbered.records([log.close(0)[-1]]))
    assert heir.state.evaluations == 1
    assert stored() == 0


async def test_a_command_repeated_after_a_restart_is_answered_with_the_same_bytes(make_owner: MakeOwner) -> None:
    numbered = log.Log()
    command = log.define(log.var_limit(), key="once")
    first = await make_owner("first")
    await first.handle(numbered.records(command))
    second = await make_owner("second")
    await second.handle(numbered.records(command))
    (again,) = second.published
    assert again.value == first.published[0].value


async def test_people_can_read_where_every_limit_stands(make_owner: MakeOwner, database: str) -> None:
    owner = await make_owner("a")
    await owner.handle(history()[:25])
    with psycopg.connect(database) as connection:
        row = connection.execute("select limit_id, level, utilisation, evaluations from limits.states").fetchone()
    assert row == ("var", "breach", pytest.approx(1.25), 4)


async def test_a_database_that_drops_the_connection_costs_a_retry(make_owner: MakeOwner, database: str) -> None:
    owner = await make_owner("a")
    records = history()
    await owner.handle(records[:10])
    with psycopg.connect(database, autocommit=True) as other:
        other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tailstream-limits'"
        )
    await owner.handle(records[10:])
    assert owner.state.chain == newest_state(announced(records, batch=500)).chain


async def test_a_commit_whose_answer_was_lost_is_not_repeated(
    make_owner: MakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await make_owner("a")
    commit = Store._commit

    async def committed_but_lost(self: Store, change: Change) -> list[int]:
        await commit(self, change)
        monkeypatch.setattr(Store, "_commit", commit)
        raise psycopg.OperationalError("the connection was lost while the answer was on its way")

    monkeypatch.setattr(Store, "_commit", committed_but_lost)
    await owner.handle(history())
    heir = await make_owner("b")
    assert heir.published == [], "its outbox was emptied although the ids had to be asked for again"


async def test_a_replica_that_is_stopped_inside_its_transaction_does_not_block_its_successor(
    make_owner: MakeOwner, database: str
) -> None:
    owner = await make_owner("frozen")
    connection = await owner.store._connected()
    await connection.execute("begin")
    await connection.execute("update limits.offsets set next = next")
    heir = await asyncio.wait_for(make_owner("heir"), timeout=20)
    await heir.handle(history())
    assert heir.state.evaluations == len(VALUES)


async def test_a_database_without_the_tables_is_named(database: str) -> None:
    store = Store(LimitsSettings(postgres=database))
    with pytest.raises(NotMigrated, match="run `tailstream db migrate`"):
        await store._connected()
    assert "db migrate" in (store.waiting_for() or "")


@pytest.mark.parametrize(("place", "stored"), [("store.before_commit", 6), ("store.after_commit", 7)])
async def test_a_process_killed_around_its_commit_loses_nothing_and_repeats_only_what_was_not_published(
    make_owner: MakeOwner, database: str, place: str, stored: int, tmp_path: Path
) -> None:
    trace = tmp_path / "failpoint.log"
    environment = {
        **os.environ,
        "TAILSTREAM_POSTGRES": database,
        "TAILSTREAM_FAILPOINT": f"{place}:7",
        "TAILSTREAM_FAILPOINT_LOG": str(trace),
    }
    command = [sys.executable, "-m", "tests.bus.test_limits_store"]
    child = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, timeout=60)
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert trace.read_text().startswith(place)

    heir = await make_owner("heir")
    positions = await heir.adopt()
    left = [r for r in history() if r.offset >= positions[Shard(r.topic, r.partition)]]
    assert len(left) == len(history()) - stored
    await heir.handle_each(left)
    undisturbed = announced(history(), batch=1)
    assert heir.published == undisturbed[-len(heir.published) :]
    assert len(heir.published) == len(undisturbed) - len(announced(history()[:6], batch=1))


async def live_and_die() -> None:
    """What the killed process does: handle the history record by record, at the environment's database."""
    owner = Owner(os.environ["TAILSTREAM_POSTGRES"], "killed")
    await owner.adopt()
    await owner.handle_each(history())


if __name__ == "__main__":
    asyncio.run(live_and_die())
