"""``tailstream explain`` in a process of its own, on real Kafka and PostgreSQL: a figure of long ago, bit for bit."""

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer.testing
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from contracts.event import Cut
from contracts.market import PeriodClosed
from contracts.portfolio import HoldingsReplaced, PortfolioDefined
from contracts.topics import BACKTESTS, CLOSES, DEFINITIONS, HOLDINGS, INSTRUMENTS, METRICS, RISK, VALUATIONS, Topic
from services.analytics import app as analytics
from services.analytics.encode import encode as encode_analytics
from services.analytics.settings import AnalyticsSettings
from services.risk import app as risk
from services.risk.encode import encode as encode_risk
from services.risk.settings import RiskSettings
from tailstream.cli.db import migrate
from tailstream.cli.explain import app
from tailstream.fold.work import on_the_spot
from tailstream.runtime.closing import ClosingEngine, Encoder
from tailstream.runtime.records import Emission, Shard, placement
from tailstream.runtime.restore import read_back
from tailstream.runtime.settings import ServiceSettings
from tailstream.sources.history import load_history, priced
from tailstream.sources.instruments import instruments
from tailstream.sources.session import closing
from tailstream.stack import Addresses, Stack
from tests.conftest import PARTITIONS
from tests.recorded import publish
from tests.simulation.story import Log

TAILSTREAM = Path(sys.executable).with_name("tailstream")
DEADLINE_SECONDS = 90.0
FIRST_DAY = 4_000
"""Of the history's days: early 2006, when everything is quoted."""
TRADED_EVERY = 10
SHORT = {
    "scenario_window": 60, "fit_window": 80, "scenarios_min": 40, "history_periods": 250, "horizons": (2,),
    "stressed_window": 50, "stressed_every": 20, "analytics_window": 20,
}  # fmt: skip
"""Windows that a short story fills."""
METHODS = ("historical", "age_weighted", "normal", "student_t")
CLEANED_AT_ONCE = {
    "cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.0001",
    "min.compaction.lag.ms": "0", "delete.retention.ms": "0",
}  # fmt: skip
CLEANER_AWAKE = {"log.cleaner.backoff.ms": "100"}
"""Of all brokers; their cleaner usually looks every 15 seconds."""
COMPACTED_POLL_SECONDS = 0.3


@dataclass(frozen=True)
class Told:
    """A log of closes and books, and all that analytics and risk publish of it."""

    settings: Mapping[str, Any]
    inputs: tuple[Emission, ...]
    outputs: tuple[Emission, ...]
    newest: tuple[Emission, ...]
    """Definitions and holdings after the last close, under which compaction buries the others."""

    @property
    def environment(self) -> dict[str, str]:
        """The windows as the services have them; not the methods, which every event names."""
        return {f"TAILSTREAM_{name.upper()}": json.dumps(value) for name, value in self.settings.items()}

    @cached_property
    def periods(self) -> list[str]:
        return [PeriodClosed.from_json(e.value or b"").period for e in self.inputs if e.topic is CLOSES]

    def output(self, topic: Topic, portfolio_id: str, period: str) -> Emission:
        wanted = f'"period":"{period}"'.encode()
        return next(
            e for e in self.outputs if e.topic is topic and e.key == portfolio_id and wanted in (e.value or b"")
        )

    def altered(self, period: str, instrument: str) -> "Told":
        """The same log with one price of one close one per cent higher."""
        return replace(self, inputs=tuple(_altered(e, period, instrument) for e in self.inputs))


def _altered(emission: Emission, period: str, instrument: str) -> Emission:
    if emission.topic is not CLOSES:
        return emission
    close = PeriodClosed.from_json(emission.value or b"")
    if close.period != period:
        return emission
    prices = {**close.prices, instrument: close.prices[instrument] * 1.01}
    return emission._replace(value=close.model_copy(update={"prices": prices}).to_json())


def tell(warm_up: int, measured: int, settings: Mapping[str, Any]) -> Told:
    """``warm_up`` closes without books, then ``measured`` ones with two traded books, their desk and a lone one."""
    history = load_history()
    log = Log(PARTITIONS, None)
    for instrument in instruments(history):
        log.append(INSTRUMENTS, instrument.instrument_id, instrument)
    for at in range(warm_up + measured):
        day = FIRST_DAY + at
        if at == warm_up:
            _define(log)
        if at >= warm_up and (at - warm_up) % TRADED_EVERY == 0:
            _trade(log, 1 + (at - warm_up) // TRADED_EVERY, closing(history.dates[day]))
        prices = priced(history.instruments, history.closes[day])
        date = history.dates[day]
        close = PeriodClosed(source="test", period=date.isoformat(), as_of=closing(date), prices=prices, cut=_cut(log))
        log.append(CLOSES, "test", close)
    outputs = tuple(_measured(log, settings))
    count = len(log.emissions)
    inputs = tuple(log.emissions)
    _define(log)
    _trade(log, 10_000, closing(history.dates[FIRST_DAY + warm_up + measured]))
    return Told(settings, inputs, outputs, tuple(log.emissions[count:]))


def _define(log: Log) -> None:
    for name, currency, parent in (
        ("desk", "EUR", None),
        ("a", "USD", "desk"),
        ("b", "EUR", "desk"),
        ("c", "USD", None),
    ):
        log.append(
            DEFINITIONS,
            name,
            PortfolioDefined(portfolio_id=name, name=name, base_currency=currency, parent=parent),
            name,
        )


def _trade(log: Log, version: int, when: Any) -> None:
    held = {
        "a": ({"AAPL": 100.0 + version, "KO": 500.0, "XOM": -200.0 * version}, {"USD": 10_000.0, "EUR": 5_000.0}),
        "b": ({"JPM": 300.0, "KO": -50.0 - version}, {"EUR": 20_000.0}),
        "c": ({"MSFT": 1_000.0, "SP500": 3.0 * version}, {"USD": 1_000.0}),
    }
    for name, (positions, cash) in held.items():
        holdings = HoldingsReplaced(
            portfolio_id=name,
            version=version,
            effective_at=when,
            positions=positions,
            cash=cash,
            external_flow=100.0 if version > 1 else 0.0,
        )
        log.append(HOLDINGS, name, holdings, name)


def _cut(log: Log) -> Cut:
    return Cut(
        holdings=tuple(log.end(HOLDINGS, p) for p in range(PARTITIONS)),
        definitions=tuple(log.end(DEFINITIONS, p) for p in range(PARTITIONS)),
        instruments=log.end(INSTRUMENTS, 0),
        actions=0,
    )


def _measured(log: Log, settings: Mapping[str, Any]) -> Iterator[Emission]:
    engines: tuple[tuple[ClosingEngine, Encoder], ...] = (
        (analytics.make_engine(AnalyticsSettings(**settings), PARTITIONS), encode_analytics),
        (risk.make_engine(RiskSettings(**settings, var_methods=METHODS), PARTITIONS), encode_risk),
    )
    for engine, encode in engines:
        world = engine.world
        for arrival in log.arrivals:
            world.fold(arrival)
        for topic, partition, end in log.ends():
            world.read_to(topic, partition, end)
        world.open()
        for partition in range(PARTITIONS):
            for row in range(world.opened):
                for events in on_the_spot(engine.close(partition, row)):
                    yield from (encode(event, "test") for event in events)


@pytest.fixture(scope="module")
def told() -> Told:
    return tell(60, 160, SHORT)


@pytest.fixture(scope="module")
def on_kafka(stack: Stack, told: Told) -> Iterator[ServiceSettings]:
    """The log with all that was published, for those who only read it."""
    prefix = f"t{uuid.uuid4().hex[:8]}."
    stack.create_topics(prefix=prefix, partitions=PARTITIONS)
    settings = ServiceSettings(kafka=stack.addresses.kafka, topic_prefix=prefix)
    asyncio.run(put(settings, told))
    yield settings
    stack.delete_topics(prefix=prefix)


@pytest.fixture
def settings(addresses: Addresses, prefix: str) -> ServiceSettings:
    return ServiceSettings(kafka=addresses.kafka, topic_prefix=prefix)


async def put(settings: ServiceSettings, told: Told) -> None:
    await publish(settings, told.inputs)
    await publish(settings, told.outputs)


def explain(
    settings: ServiceSettings, told: Told, *arguments: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run ``tailstream explain`` in a fresh process."""
    bus = {"TAILSTREAM_KAFKA": settings.kafka, "TAILSTREAM_TOPIC_PREFIX": settings.topic_prefix}
    clean = {name: value for name, value in os.environ.items() if name != "TAILSTREAM_POSTGRES"}
    return subprocess.run(
        [TAILSTREAM, "explain", *arguments],
        env=clean | told.environment | bus | environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


def document(answer: "subprocess.CompletedProcess[str]", code: int) -> dict[str, Any]:
    assert answer.returncode == code, answer.stdout + answer.stderr
    return json.loads(answer.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("topic", [RISK, BACKTESTS, VALUATIONS, METRICS], ids=lambda topic: topic.name)
def test_an_event_of_a_hundred_closes_ago_comes_out_the_same(
    on_kafka: ServiceSettings, told: Told, topic: Topic
) -> None:
    event = told.output(topic, "desk", told.periods[-101])
    found = document(explain(on_kafka, told, str(event.event_id), "--json"), 0)
    assert found["same"]
    assert (found["differences"], found["doubts"], found["altered"]) == ([], [], None)
    assert {one["name"] for one in found["holdings"]} == {"AAPL", "KO", "XOM", "JPM", "cash:USD", "cash:EUR"}


def test_the_chain_leads_from_holdings_by_dated_scenarios_to_the_published_value_at_risk(
    on_kafka: ServiceSettings, told: Told
) -> None:
    period = told.periods[-50]
    found = document(explain(on_kafka, told, "a", "--as-of", period, "--json"), 0)
    event = json.loads(told.output(RISK, "a", period).value or b"")
    assert found["event_id"] == event["event_id"]
    tail = found["tail"]
    (var,) = [one for one in tail["worst"] if one["is_var"]]
    assert var["loss"] == event["methods"]["historical"]["levels"]["0.99"]["var"]
    assert (tail["scenarios"], tail["rank"]) == (60, 1)
    assert all(one["period"] in told.periods[-110:-49] for one in tail["worst"])
    assert {one["worst"] for one in tail["worst"]} <= {one["name"] for one in found["holdings"]}
    assert found["contributions"] == event["contributions"]


def test_people_read_what_each_method_follows_from_and_what_each_position_adds(
    on_kafka: ServiceSettings, told: Told
) -> None:
    period = told.periods[-50]
    answer = explain(on_kafka, told, "a", "--as-of", period)
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[-1] == "same to the last bit"
    (var,) = [line for line in lines if line.endswith("│ VaR │")]
    worst = var.split("│")[2].strip()
    (historical,) = [line for line in lines if line.startswith("│ historical")]
    assert f"the scenario of {worst}, rank 1 of 60" in historical
    assert "adds to ES 0.975" in answer.stdout


@pytest.mark.parametrize("at", [-110, 45], ids=["that_was_measured", "before_the_first_that_was_measured"])
async def test_one_price_altered_in_a_copied_log_is_told_with_its_close(
    settings: ServiceSettings, told: Told, at: int
) -> None:
    period = told.periods[at]
    await put(settings, told.altered(period, "AMD"))
    answer = explain(settings, told, "desk", "--as-of", told.periods[-101], "--json")
    found = document(answer, 1)
    assert (found["altered"]["period"], found["altered"]["offset"]) == (period, told.periods.index(period))
    assert not found["same"]
    assert found["differences"][0]["path"] == "inputs.market"


def test_settings_that_are_not_the_services_are_a_reason(on_kafka: ServiceSettings, told: Told) -> None:
    answer = explain(on_kafka, told, "a", "--as-of", told.periods[-1], "--json", TAILSTREAM_SCENARIO_WINDOW="59")
    found = document(answer, 1)
    assert [doubt["input"] for doubt in found["doubts"]] == ["settings"]
    assert found["differences"][0] == {"path": "n_obs", "published": 60, "recomputed": 59}
    assert found["altered"] is None


def test_a_portfolio_without_a_close_by_then_and_an_id_of_nobody_are_told_so(
    on_kafka: ServiceSettings, told: Told
) -> None:
    early = explain(on_kafka, told, "a", "--as-of", told.periods[30])
    assert (early.returncode, early.stdout) == (1, "")
    assert "portfolio a: expected a close on risk.metrics.v1 at or before" in early.stderr
    nobody = explain(on_kafka, told, "00000000-0000-0000-0000-000000000000")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "event 00000000-0000-0000-0000-000000000000: expected it on one of" in nobody.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("a",), "expected a UUID"), (("a", "--as-of", "yesterday"), "--as-of: expected a date")],
)
def test_what_cannot_be_looked_for_is_a_matter_of_usage(arguments: tuple[str, ...], said: str) -> None:
    answer = typer.testing.CliRunner().invoke(app, arguments)
    assert answer.exit_code == 2
    assert said in " ".join(answer.stderr.replace("│", " ").split())


# -- after compaction --------------------------------------------------------------------------------------------


async def compact(settings: ServiceSettings, told: Told, *topics: Topic) -> None:
    """Have the broker clean ``topics`` now, and wait until nothing is left of what stood there before."""
    await configure(settings, topics)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while left := sum([await superseded(settings, topic, told) for topic in topics]):
        assert time.monotonic() < deadline, f"expected compaction, {left} superseded records are left"
        await publish(settings, [e for e in told.newest if e.topic in topics])  # rolls the segments that are written to
        await asyncio.sleep(COMPACTED_POLL_SECONDS)


async def configure(settings: ServiceSettings, topics: Sequence[Topic]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    names = [settings.topic_prefix + topic.name for topic in topics]
    cleaned = [ConfigResource(ConfigResourceType.TOPIC, name, CLEANED_AT_ONCE) for name in names]
    try:
        brokers = [str(broker["node_id"]) for broker in (await admin.describe_cluster())["brokers"]]
        awake = [ConfigResource(ConfigResourceType.BROKER, broker, CLEANER_AWAKE) for broker in brokers]
        await admin.alter_configs([*awake, *cleaned])
    finally:
        await admin.close()


async def superseded(settings: ServiceSettings, topic: Topic, told: Told) -> int:
    """How many records are left of those that the services saw."""
    seen = [e for e in told.inputs if e.topic is topic]
    left = 0
    for partition in range(PARTITIONS):
        count = sum(placement(topic, e.portfolio_id, PARTITIONS) == partition for e in seen)
        left += sum(record.offset < count for record in await read_back(settings, Shard(topic.name, partition)))
    return left


def record_holdings(database: str, told: Told) -> None:
    """What the recorder keeps: every version, and where it stood."""
    migrate(database)
    ends: dict[int, int] = defaultdict(int)
    with psycopg.connect(database) as connection:
        for emission in (e for e in told.inputs if e.topic is HOLDINGS):
            partition = placement(HOLDINGS, emission.portfolio_id, PARTITIONS)
            event = HoldingsReplaced.from_json(emission.value or b"")
            connection.execute(
                "insert into history.holdings values (%s, %s, %s, %s, %s, %s)",
                [event.portfolio_id, event.version, event.effective_at, event.external_flow, ends[partition],
                 (emission.value or b"").decode()],
            )  # fmt: skip
            ends[partition] += 1


async def test_after_compaction_the_books_come_from_postgresql_and_without_it_that_is_what_is_missing(
    settings: ServiceSettings, told: Told, database: str
) -> None:
    await put(settings, told)
    record_holdings(database, told)
    await compact(settings, told, HOLDINGS, DEFINITIONS)
    event = told.output(RISK, "desk", told.periods[-100])
    found = document(explain(settings, told, str(event.event_id), "--json", TAILSTREAM_POSTGRES=database), 0)
    assert found["same"]
    assert ["PostgreSQL" in one["read_from"] for one in found["sources"] if one["input"] == "holdings"] == [False, True]
    assert [doubt["input"] for doubt in found["doubts"]] == ["definitions"]
    missing = document(explain(settings, told, str(event.event_id), "--json"), 1)
    assert not missing["same"]
    said = " ".join(doubt["reason"] for doubt in missing["doubts"] if doubt["input"] == "holdings")
    assert "TAILSTREAM_POSTGRES does not say where the recorder keeps every version" in said


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_an_event_of_a_thousand_closes_ago_comes_out_the_same_after_compaction_with_windows_as_delivered(
    settings: ServiceSettings, database: str
) -> None:
    told = tell(300, 1_400, {})
    await put(settings, told)
    record_holdings(database, told)
    await compact(settings, told, HOLDINGS)
    for topic in (RISK, BACKTESTS, VALUATIONS):
        event = told.output(topic, "desk", told.periods[-1_001])
        found = document(explain(settings, told, str(event.event_id), "--json", TAILSTREAM_POSTGRES=database), 0)
        assert (found["same"], found["period"]) == (True, told.periods[-1_001])
