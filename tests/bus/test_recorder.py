"""The recorder on real Kafka and PostgreSQL: once, whole, whatever comes and whenever it dies."""

import asyncio
import hashlib
import json
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from contracts.event import Event
from contracts.examples import EXAMPLES
from contracts.risk import RiskMeasured
from contracts.system import RecordQuarantined
from contracts.topics import ALERTS, BACKTESTS, HOLDINGS, METRICS, QUARANTINE, RISK, STATES, VALUATIONS, Topic
from tailstream.cli.db import migrate
from tailstream.runtime.records import Emission, Shard, partition_of
from tailstream.runtime.restore import read_back
from tailstream.runtime.service import EXIT_FATAL
from tailstream.runtime.settings import ServiceSettings
from tailstream.stack import Addresses
from tests.recorded import (
    DEADLINE_SECONDS,
    FIRST_CLOSE,
    PARTITIONS,
    Recorder,
    alert_of,
    backtest_of,
    holdings_of,
    metrics_of,
    publish,
    raw,
    records,
    risk_of,
    rows,
    state_of,
    until,
    valuation_of,
)

INCOMPRESSIBLE = b"".join(hashlib.sha256(b"%d" % n).hexdigest().encode() for n in range(300))
"""19 kB, more than an index takes."""


@pytest.fixture
def settings(addresses: Addresses, prefix: str) -> ServiceSettings:
    return ServiceSettings(kafka=addresses.kafka, topic_prefix=prefix)


@pytest.fixture
def history(database: str) -> str:
    migrate(database)
    return database


@pytest.fixture
def recorder(settings: ServiceSettings, history: str, tmp_path: Path) -> Recorder:
    return Recorder(settings, history, tmp_path / "recorder.log")


def counting(database: str, *tables: str) -> Callable[[], Awaitable[list[int]]]:
    async def count() -> list[int]:
        return [rows(database, f"select count(*) from history.{table}")[0][0] for table in tables]

    return count


async def quarantined(settings: ServiceSettings) -> list[RecordQuarantined]:
    return [
        RecordQuarantined.from_json(record.value or b"")
        for record in await read_back(settings, Shard(QUARANTINE.name, 0))
    ]


async def test_every_event_stands_in_its_table_with_its_own_bytes(
    settings: ServiceSettings, history: str, recorder: Recorder
) -> None:
    events: dict[str, tuple[Topic, Event]] = {
        "analytics_metrics": (METRICS, metrics_of(0, "book-1")),
        "portfolio_valuations": (VALUATIONS, valuation_of(0, "book-1")),
        "risk_metrics": (RISK, risk_of(0, "book-1")),
        "risk_backtests": (BACKTESTS, backtest_of(0, "book-1")),
        "limit_states": (STATES, state_of("book-1", 0.5)),
        "risk_events": (ALERTS, alert_of("book-1")),
        "holdings": (HOLDINGS, holdings_of("book-1")),
    }
    await publish(settings, [e for topic, event in events.values() for e in records(topic, event)])
    with recorder.running():
        await until(counting(history, *events), [1] * len(events))
    for table, (_, event) in events.items():
        ((kept, offset),) = rows(history, f"select event::text, log_offset from history.{table}")
        assert kept.encode() == event.to_json()
        assert offset == 0
    assert await quarantined(settings) == []


async def test_a_figure_that_is_undefined_is_null_and_one_that_is_not_is_exact(
    settings: ServiceSettings, history: str, recorder: Recorder
) -> None:
    await publish(settings, records(VALUATIONS, valuation_of(0, "book-1")))
    with recorder.running():
        await until(counting(history, "portfolio_valuations"), [1])
    assert rows(history, "select nav, period_return, as_of, period from history.portfolio_valuations") == [
        (1e6 + 1 / 3, None, FIRST_CLOSE, "2020-01-02")
    ]


async def test_a_measurement_with_every_part_and_one_of_before_the_parts_existed_are_both_kept(
    settings: ServiceSettings, history: str, recorder: Recorder
) -> None:
    whole = EXAMPLES[RISK.name]
    assert isinstance(whole, RiskMeasured)
    assert whole.contributions
    assert whole.stress
    added = ("proxied", "averaging", "horizons", "contributions", "delta_gamma", "stress", "stressed")
    former = {name: part for name, part in json.loads(risk_of(0, "book-1").to_json()).items() if name not in added}
    await publish(settings, [*records(RISK, whole), raw(RISK, "book-1", json.dumps(former).encode())])
    with recorder.running():
        await until(counting(history, "risk_metrics"), [2])
    kept = dict(rows(history, "select portfolio_id, event::text from history.risk_metrics"))
    assert kept == {whole.portfolio_id: whole.to_json().decode(), "book-1": json.dumps(former)}
    assert await quarantined(settings) == []


async def test_a_backtest_is_found_by_book_and_close_and_written_once(
    settings: ServiceSettings, history: str, recorder: Recorder
) -> None:
    first, second = backtest_of(0, "book-1"), backtest_of(1, "book-1")
    await publish(settings, records(BACKTESTS, first, second, first, backtest_of(0, "book-2")))
    with recorder.running():
        await until(counting(history, "risk_backtests"), [3])
        await publish(settings, records(BACKTESTS, second, backtest_of(1, "book-2")))
        await until(counting(history, "risk_backtests"), [4])
    newest = "where portfolio_id = 'book-1' order by as_of desc limit 1"
    found = "event_id, forecast_period, actual_pnl, hypothetical_pnl, log_offset"
    assert rows(history, f"select {found} from history.risk_backtests {newest}") == [
        (second.event_id, "2020-01-02", -1e4 / 3, None, 1)
    ]
    assert rows(history, "select forecast_period from history.risk_backtests where log_offset = 0") == [(None,)] * 2
    assert await quarantined(settings) == []


async def test_one_bad_record_costs_only_itself(settings: ServiceSettings, history: str, recorder: Recorder) -> None:
    good = metrics_of(0, "book-1").to_json()
    elsewhere = next(
        p for p in map("book-{}".format, range(99)) if partition_of(p, PARTITIONS) != partition_of("book-1", PARTITIONS)
    )
    bad = {
        "Invalid JSON": raw(METRICS, "book-1", b"\x00\xff garbage"),
        "n_obs: Input should be a valid integer": raw(
            METRICS, "book-1", good.replace(b'"n_obs":500', b'"n_obs":"500"')
        ),
        "figures.nav.value: Input should be a finite number": raw(
            METRICS, "book-1", good.replace(b'"value":0.1,', b'"value":NaN,')
        ),
        "analyzer: Field required": raw(METRICS, "book-1", good.replace(b'"analyzer":"basic",', b"")),
        "period: expected the closed period": raw(
            METRICS, "book-1", good.replace(b'"period":"2020-01-02"', b'"period":null')
        ),
        "partition: expected": raw(METRICS, "book-1", good, placed_as=elsewhere),
        "key: expected book-1": Emission(METRICS, elsewhere, "book-1", good),
        "tombstone": raw(METRICS, "book-1", None),
        "index row": raw(METRICS, "book-1", good.replace(b'"analyzer":"basic"', b'"analyzer":"%s"' % INCOMPRESSIBLE)),
        "0x00": raw(METRICS, "book-1", good.replace(b'"analyzer":"basic"', rb'"analyzer":"\u0000"')),
    }
    accepted = records(METRICS, *(metrics_of(day, "book-1") for day in range(5)))
    from_the_future = metrics_of(5, "book-1").to_json().replace(b"{", b'{"invented_later":[1],', 1)
    await publish(settings, [*accepted[:2], *bad.values(), *accepted[2:], raw(METRICS, "book-1", from_the_future)])
    with recorder.running():
        await until(counting(history, "analytics_metrics"), [6])
        await until(lambda: _count(quarantined(settings)), len(bad))
    reasons = {(q.partition, q.offset): q for q in await quarantined(settings)}
    assert len(reasons) == len(bad)
    for reason, refused in bad.items():
        found = next((q for q in reasons.values() if reason in q.reason), None)
        assert found is not None, f"expected {reason!r} among {[q.reason for q in reasons.values()]}"
        assert (found.topic, found.service) == (METRICS.name, "recorder")
        assert found.sha256 == hashlib.sha256(refused.value or b"").hexdigest()


async def _count(coming: Awaitable[Sequence[Any]]) -> int:
    return len(await coming)


@pytest.mark.parametrize("place", ["store.before_commit", "store.after_commit"])
async def test_killed_in_the_middle_of_a_batch_every_close_is_there_once(
    settings: ServiceSettings, history: str, recorder: Recorder, place: str, tmp_path: Path
) -> None:
    books = [f"book-{n}" for n in range(8)]
    days = range(25)
    await publish(settings, records(METRICS, *(metrics_of(day, book) for day in days for book in books)))
    await publish(settings, records(RISK, *(risk_of(day, book) for day in days for book in books)))
    trace = tmp_path / "died"
    armed = {"TAILSTREAM_FAILPOINT": f"{place}:2", "TAILSTREAM_FAILPOINT_LOG": str(trace)}
    with recorder.running(TAILSTREAM_BATCH_RECORDS_MAX="50", **armed) as process:
        assert await asyncio.to_thread(process.wait, DEADLINE_SECONDS) == -signal.SIGKILL
    assert trace.read_text().startswith(place)
    before = await counting(history, "analytics_metrics", "risk_metrics")()
    assert 0 < sum(before) < 400
    with recorder.running():
        await until(counting(history, "analytics_metrics", "risk_metrics"), [200, 200])
    for table in ("analytics_metrics", "risk_metrics"):
        assert rows(history, f"select count(distinct event_id) from history.{table}") == [(200,)]
    assert await quarantined(settings) == []


async def test_a_close_that_is_published_again_changes_nothing(
    settings: ServiceSettings, history: str, recorder: Recorder
) -> None:
    await publish(settings, records(METRICS, metrics_of(0, "book-1")))
    with recorder.running():
        await until(counting(history, "analytics_metrics"), [1])
        again = [*records(METRICS, metrics_of(0, "book-1")), *records(ALERTS, alert_of("book-1"), alert_of("book-1"))]
        await publish(settings, [*again, *records(METRICS, metrics_of(1, "book-1"))])
        await until(counting(history, "analytics_metrics", "risk_events"), [2, 1])
    assert rows(history, "select log_offset from history.analytics_metrics order by period") == [(0,), (2,)]


async def test_of_a_limits_states_at_one_time_the_newest_stays(
    settings: ServiceSettings, history: str, recorder: Recorder
) -> None:
    def state(utilisation: float) -> list[Emission]:
        return records(STATES, state_of("book-1", utilisation))

    never_evaluated = records(STATES, state_of("book-2", 0.1, as_of=None))
    closed = raw(STATES, "book-1", None)

    async def newest() -> list[tuple[Any, ...]]:
        return rows(history, "select utilisation, log_offset from history.limit_states")

    with recorder.running():
        await publish(settings, [*state(0.5), *state(0.6), *never_evaluated, closed])
        await until(newest, [(0.6, 1)])
        await publish(settings, state(0.7))
        await until(newest, [(0.7, 3)])
    assert await quarantined(settings) == []


async def test_an_older_state_that_is_written_late_does_not_replace_a_newer_one(
    settings: ServiceSettings, history: str, recorder: Recorder
) -> None:
    with psycopg.connect(history) as connection, recorder.running():
        await publish(settings, records(STATES, state_of("book-1", 0.5)))
        await until(counting(history, "limit_states"), [1])
        connection.execute("update history.limit_states set log_offset = 1000, utilisation = 0.9")
        connection.commit()
        await publish(settings, [*records(STATES, state_of("book-1", 0.6)), *records(METRICS, metrics_of(0, "book-1"))])
        await until(counting(history, "analytics_metrics"), [1])
    assert rows(history, "select utilisation from history.limit_states") == [(0.9,)]


async def test_a_lost_connection_is_taken_up_again_in_place(
    settings: ServiceSettings, history: str, recorder: Recorder
) -> None:
    with recorder.running() as process:
        await publish(settings, records(METRICS, metrics_of(0, "book-1")))
        await until(counting(history, "analytics_metrics"), [1])
        killed = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tailstream-recorder'"
        assert (True,) in rows(history, killed)
        await publish(settings, records(METRICS, metrics_of(1, "book-1")))
        await until(counting(history, "analytics_metrics"), [2])
        assert process.poll() is None


async def test_without_its_tables_it_waits_and_says_so(
    settings: ServiceSettings, database: str, tmp_path: Path
) -> None:
    recorder = Recorder(settings, database, tmp_path / "recorder.log")
    await publish(settings, records(METRICS, metrics_of(0, "book-1")))

    async def readiness() -> str:
        return await _readiness(recorder)

    with recorder.running():
        await until(readiness, "503 tailstream db migrate")
        migrate(database)
        await until(counting(database, "analytics_metrics"), [1])
        await until(readiness, "200 ok")


async def _readiness(recorder: Recorder) -> str:
    """The status of /readyz, and what of interest it says."""
    serving = [line.split('"')[3] for line in recorder.logged().splitlines() if "http://" in line]
    if not serving:
        return "not serving"
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{serving[0]}/readyz")
    said = next((words for words in ("tailstream db migrate", "ok") if words in answer.text), answer.text)
    return f"{answer.status_code} {said}"


async def test_two_replicas_share_the_work_and_one_takes_over_from_the_other(
    settings: ServiceSettings, history: str, recorder: Recorder
) -> None:
    books = [f"book-{n}" for n in range(8)]

    async def both_adopted() -> bool:
        adopted = [line for line in recorder.logged().splitlines() if "shards adopted" in line]
        return all(any(f"-{process.pid}" in line for line in adopted) for process in (first, second))

    with recorder.running() as first, recorder.running() as second:
        await until(both_adopted, True)
        await publish(settings, records(METRICS, *(metrics_of(0, book) for book in books)))
        await until(counting(history, "analytics_metrics"), [8])
        first.terminate()
        assert await asyncio.to_thread(first.wait, DEADLINE_SECONDS) == 0
        await publish(settings, records(METRICS, *(metrics_of(1, book) for book in books)))
        await until(counting(history, "analytics_metrics"), [16])
    assert rows(history, "select count(distinct event_id) from history.analytics_metrics") == [(16,)]


async def test_a_database_that_stays_away_ends_the_process_and_costs_nothing(
    settings: ServiceSettings, history: str, addresses: Addresses, recorder: Recorder
) -> None:
    name = history.rsplit("/", 1)[1]

    def allow(connections: bool) -> None:
        with psycopg.connect(addresses.postgres, autocommit=True) as server:
            server.execute(f"alter database {name} allow_connections {connections}")
            server.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])

    with recorder.running(TAILSTREAM_DATABASE_OUTAGE_SECONDS_MAX="2") as process:
        await publish(settings, records(METRICS, metrics_of(0, "book-1")))
        await until(counting(history, "analytics_metrics"), [1])
        allow(False)
        await publish(settings, records(METRICS, metrics_of(1, "book-1")))
        assert await asyncio.to_thread(process.wait, DEADLINE_SECONDS) == EXIT_FATAL
    allow(True)
    with recorder.running():
        await until(counting(history, "analytics_metrics"), [2])
