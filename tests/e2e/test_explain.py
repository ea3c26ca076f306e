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
from datetime import datetime
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

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
from tailstream.runtime.errors import TailstreamError
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
CHEAP = SHORT | {"var_levels": (0.99,), "horizons": (), "var_methods": ("historical", "age_weighted", "normal")}
"""What a thousand closes are measured with in seconds."""
WARM_UP, TRADED, ALONE = 60, 160, 900
"""Closes: without books, with all books, with one of them."""
LONG_AGO = -1_001
"""Of the closes: a thousand came after it."""
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
        windows = {name: value for name, value in self.settings.items() if name != "var_methods"}
        return {f"TAILSTREAM_{name.upper()}": json.dumps(value) for name, value in windows.items()}

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


def tell(settings: Mapping[str, Any], warm_up: int, traded: int, alone: int = 0) -> Told:
    """``warm_up`` closes without books, ``traded`` ones with two books, their desk and a lone one, then this alone."""
    history = load_history()
    log = Log(PARTITIONS, None)
    for instrument in instruments(history):
        log.append(INSTRUMENTS, instrument.instrument_id, instrument)
    for at, day in enumerate(range(FIRST_DAY, FIRST_DAY + warm_up + traded + alone)):
        when = closing(history.dates[day])
        if at == warm_up:
            _define(log)
        if at == warm_up + traded:
            _empty(log)
        if at >= warm_up and (at - warm_up) % TRADED_EVERY == 0:
            _trade(log, 1 + (at - warm_up) // TRADED_EVERY, when, BOOKS if at < warm_up + traded else LONE)
        prices, period = priced(history.instruments, history.closes[day]), history.dates[day].isoformat()
        log.append(CLOSES, "test", PeriodClosed(source="test", period=period, as_of=when, prices=prices, cut=_cut(log)))
    outputs = tuple(_measured(log, settings))
    count = len(log.emissions)
    inputs = tuple(log.emissions)
    _define(log)
    _trade(log, 10_000, closing(history.dates[FIRST_DAY + warm_up + traded + alone]), BOOKS)
    return Told(settings, inputs, outputs, tuple(log.emissions[count:]))


LONE = ("fund",)
BOOKS = ("a", "b", *LONE)


def _define(log: Log) -> None:
    for name, currency, parent in (
        ("desk", "EUR", None),
        ("a", "USD", "desk"),
        ("b", "EUR", "desk"),
        (*LONE, "USD", None),
    ):
        log.append(
            DEFINITIONS,
            name,
            PortfolioDefined(portfolio_id=name, name=name, base_currency=currency, parent=parent),
            name,
        )


def _empty(log: Log) -> None:
    """The desk's books hold nothing from here on, and are measured no more."""
    for name in ("a", "b"):
        log.append(HOLDINGS, name, None, name)


def _trade(log: Log, version: int, when: datetime, names: Sequence[str]) -> None:
    held = {
        "a": ({"AAPL": 100.0 + version, "KO": 500.0, "XOM": -200.0 * version}, {"USD": 10_000.0, "EUR": 5_000.0}),
        "b": ({"JPM": 300.0, "KO": -50.0 - version}, {"EUR": 20_000.0}),
        "fund": ({"MSFT": 1_000.0, "SP500": 3.0 * version}, {"USD": 1_000.0}),
    }
    for name in names:
        positions, cash = held[name]
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
        (risk.make_engine(RiskSettings(**settings), PARTITIONS), encode_risk),
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
    return tell(CHEAP, WARM_UP, TRADED, ALONE)


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


def environment(settings: ServiceSettings, told: Told, postgres: str | None = None) -> dict[str, str | None]:
    """The bus and the windows as the services have them; None is not set."""
    bus = {"TAILSTREAM_KAFKA": settings.kafka, "TAILSTREAM_TOPIC_PREFIX": settings.topic_prefix}
    return {**told.environment, **bus, "TAILSTREAM_POSTGRES": postgres}


class Answer(NamedTuple):
    """What the command wrote, and its exit code."""

    code: int
    stdout: str
    stderr: str

    def document(self, code: int) -> dict[str, Any]:
        assert self.code == code, self.stdout + self.stderr
        return json.loads(self.stdout)  # type: ignore[no-any-return]


def in_a_fresh_process(variables: Mapping[str, str | None], *arguments: str) -> Answer:
    """Run ``tailstream explain`` as a person does."""
    wanted = {name: value for name, value in (os.environ | variables).items() if value is not None}
    ran = subprocess.run(
        [TAILSTREAM, "explain", *arguments], env=wanted, capture_output=True, text=True, timeout=240, check=False
    )
    return Answer(ran.returncode, ran.stdout, ran.stderr)


def explain(variables: Mapping[str, str | None], *arguments: str) -> Answer:
    """The same command in this process, which has imported everything already."""
    ran = typer.testing.CliRunner().invoke(app, arguments, env=dict(variables))
    if isinstance(ran.exception, TailstreamError):
        return Answer(1, ran.stdout, str(ran.exception))
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exc_info
    return Answer(ran.exit_code, ran.stdout, ran.stderr)


@pytest.mark.parametrize("topic", [RISK, BACKTESTS, VALUATIONS, METRICS], ids=lambda topic: topic.name)
def test_an_event_of_a_thousand_closes_ago_comes_out_the_same(
    on_kafka: ServiceSettings, told: Told, topic: Topic
) -> None:
    event = told.output(topic, "desk", told.periods[LONG_AGO])
    found = explain(environment(on_kafka, told), str(event.event_id), "--json").document(0)
    assert (found["same"], found["differences"], found["doubts"], found["altered"]) == (True, [], [], None)
    assert {one["name"] for one in found["holdings"]} == {"AAPL", "KO", "XOM", "JPM", "cash:USD", "cash:EUR"}
    published = json.loads(event.value or b"")
    assert {name: found[name] for name in published} == published


def test_the_chain_leads_from_holdings_by_dated_scenarios_to_the_published_value_at_risk(
    on_kafka: ServiceSettings, told: Told
) -> None:
    period = told.periods[LONG_AGO]
    found = explain(environment(on_kafka, told), "desk", "--as-of", period, "--json").document(0)
    event = json.loads(told.output(RISK, "desk", period).value or b"")
    assert found["event_id"] == event["event_id"]
    tail, published = found["tail"], event["methods"]["historical"]["levels"]["0.99"]["var"]
    (var,) = [one for one in tail["worst"] if one["is_var"]]
    assert (var["loss"], var["period"]) == (published, tail["var_period"])
    assert (tail["scenarios"], tail["rank"]) == (60, 1)
    assert all(one["period"] in told.periods[LONG_AGO - 60 : LONG_AGO + 1] for one in tail["worst"])
    held = {one["name"]: one for one in found["holdings"]}
    assert sum(one["exposure"] for one in held.values()) == pytest.approx(event["nav"]["value"])
    assert sum(tail["var_losses"].values()) == pytest.approx(published)
    assert tail["var_losses"].keys() == held.keys() - {"cash:EUR"}
    assert {(one["worst"], one["worst_loss"]) for one in tail["worst"] if one["is_var"]} == {
        max(tail["var_losses"].items(), key=itemgetter(1))
    }
    assert {name: held[name]["currency"] for name in ("KO", "cash:USD")} == {"KO": "USD", "cash:USD": "EUR"}


def test_people_read_holdings_then_the_dated_loss_that_is_the_value_at_risk_and_what_each_holding_lost_in_it(
    on_kafka: ServiceSettings, told: Told
) -> None:
    period = told.periods[LONG_AGO]
    answer = explain(environment(on_kafka, told), "desk", "--as-of", period)
    assert answer.code == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[-1] == "same to the last bit"
    (var,) = [line for line in lines if line.endswith("│ VaR │")]
    worst, loss = (cell.strip() for cell in var.split("│")[2:4])
    (historical,) = [line for line in lines if line.startswith("│ historical")]
    assert f"the scenario of {worst}, rank 1 of 60" in historical
    assert historical.split("│")[2].strip() == loss
    (together,) = [line for line in lines if line.startswith("│ all ")]
    assert together.split("│")[5].strip() == loss
    titles = ["Holdings and exposures, in EUR", "Worst of 60 scenarios, in EUR", "By method, at 0.99, in EUR"]
    assert [next(t for t in titles if line.startswith(t)) for line in lines if line.startswith(tuple(titles))] == titles
    assert all(len(line) <= 80 for line in lines[: lines.index("By method, at 0.99, in EUR")])


def test_people_read_the_figures_of_a_backtest_and_of_analytics(on_kafka: ServiceSettings, told: Told) -> None:
    period = told.periods[LONG_AGO]
    texts = {
        topic: explain(environment(on_kafka, told), str(told.output(topic, "a", period).event_id)).stdout
        for topic in (BACKTESTS, VALUATIONS, METRICS)
    }
    backtest = json.loads(told.output(BACKTESTS, "a", period).value or b"")
    assert f"hypothetical {backtest['hypothetical_pnl']['value']:.4g}" in texts[BACKTESTS].replace(",", "")
    (normal,) = [line for line in texts[BACKTESTS].splitlines() if line.startswith("│ normal")]
    level = backtest["methods"]["normal"]["levels"]["0.99"]
    shown = [cell.strip().split(",")[0] for cell in normal.split("│")[2:5]]
    assert shown == [
        str(n) for n in (level["observations"], *(level[k]["exceptions"] for k in ("actual", "hypothetical")))
    ]
    assert "scenarios" not in texts[BACKTESTS]
    nav = json.loads(told.output(VALUATIONS, "a", period).value or b"")["nav"]["value"]
    assert f"NAV {nav:,.0f}: P&L " in texts[VALUATIONS]
    assert f" nav {nav:,.0f}, " in texts[METRICS]


@pytest.mark.parametrize(
    ("at", "told_by"),
    [
        (LONG_AGO - 9, "its prices do not have the hash that was published at it"),
        (45, "returns over 80 periods have the published hash again from"),
    ],
    ids=["that_was_measured", "before_the_first_that_was_measured"],
)
async def test_one_price_altered_in_a_copied_log_is_told_with_its_close(
    settings: ServiceSettings, told: Told, at: int, told_by: str
) -> None:
    period = told.periods[at]
    await put(settings, told.altered(period, "AMD"))
    answer = in_a_fresh_process(environment(settings, told), "desk", "--as-of", told.periods[LONG_AGO], "--json")
    found = answer.document(1)
    assert (found["altered"]["period"], found["altered"]["offset"]) == (period, told.periods.index(period))
    assert found["altered"]["told_by"].startswith(told_by)
    assert not found["same"]
    assert found["differences"][0]["path"] == "inputs.market"


async def test_a_book_whose_definition_is_gone_for_good_is_a_reason(settings: ServiceSettings, told: Told) -> None:
    left = tuple(e for e in told.inputs if (e.topic, e.key) != (DEFINITIONS, "a"))
    await put(settings, replace(told, inputs=left, outputs=tuple(e for e in told.outputs if e.key == "desk")))
    answer = in_a_fresh_process(environment(settings, told), "desk", "--as-of", told.periods[LONG_AGO], "--json")
    said = [doubt["reason"] for doubt in answer.document(1)["doubts"]]
    gone = "portfolio.definitions.v1 no longer holds 1 of the offsets below the cut: a portfolio that was closed since"
    assert said[0].startswith(gone)
    assert said[-1].startswith(f"the book of {told.periods[LONG_AGO]}: expected the hash")


def test_settings_that_are_not_the_services_are_a_reason(on_kafka: ServiceSettings, told: Told) -> None:
    others = environment(on_kafka, told) | {"TAILSTREAM_SCENARIO_WINDOW": "59"}
    found = explain(others, "a", "--as-of", told.periods[LONG_AGO], "--json").document(1)
    assert [doubt["input"] for doubt in found["doubts"]] == ["settings"]
    assert found["differences"][0] == {"path": "n_obs", "published": 60, "recomputed": 59}
    assert found["altered"] is None


def test_a_time_between_closes_is_of_the_close_before_it_and_one_to_come_of_the_newest(
    on_kafka: ServiceSettings, told: Told
) -> None:
    before, after = told.periods[LONG_AGO], told.periods[LONG_AGO + 1]
    for at, expected in (
        (f"{after}T12:00:00Z", before),
        (f"{after}T22:00:00Z", after),
        ("2050-01-01", told.periods[-1]),
    ):
        portfolio = "fund" if at == "2050-01-01" else "a"
        assert (
            explain(environment(on_kafka, told), portfolio, "--as-of", at, "--json").document(0)["period"] == expected
        )


def test_a_portfolio_without_a_close_by_then_and_an_id_of_nobody_are_told_so(
    on_kafka: ServiceSettings, told: Told
) -> None:
    early = explain(environment(on_kafka, told), "a", "--as-of", told.periods[30])
    assert (early.code, early.stdout) == (1, "")
    said = f"portfolio a: expected a close on risk.metrics.v1 at or before {told.periods[30]} 23:59:59+00:00, was none"
    assert early.stderr == said
    nobody = in_a_fresh_process(environment(on_kafka, told), "00000000-0000-0000-0000-000000000000")
    assert (nobody.code, nobody.stdout) == (1, "")
    assert "event 00000000-0000-0000-0000-000000000000: expected it on one of" in nobody.stderr
    assert len(nobody.stderr.splitlines()) == 1


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
            offset, ends[partition] = ends[partition], ends[partition] + 1
            if emission.value is None:
                continue
            event = HoldingsReplaced.from_json(emission.value)
            connection.execute(
                "insert into history.holdings values (%s, %s, %s, %s, %s, %s)",
                [event.portfolio_id, event.version, event.effective_at, event.external_flow, offset,
                 emission.value.decode()],
            )  # fmt: skip


async def test_after_compaction_an_event_of_a_thousand_closes_ago_comes_out_the_same_with_what_postgresql_keeps(
    settings: ServiceSettings, told: Told, database: str
) -> None:
    await put(settings, told)
    record_holdings(database, told)
    await compact(settings, told, HOLDINGS, DEFINITIONS)
    event = told.output(RISK, "desk", told.periods[LONG_AGO])
    answer = in_a_fresh_process(environment(settings, told, database), str(event.event_id), "--json")
    found = answer.document(0)
    assert (found["same"], found["period"]) == (True, told.periods[LONG_AGO])
    assert ["PostgreSQL" in one["read_from"] for one in found["sources"] if one["input"] == "holdings"] == [False, True]
    assert [doubt["input"] for doubt in found["doubts"]] == ["definitions"]
    missing = in_a_fresh_process(environment(settings, told), str(event.event_id), "--json").document(1)
    assert not missing["same"]
    said = " ".join(doubt["reason"] for doubt in missing["doubts"] if doubt["input"] == "holdings")
    assert "TAILSTREAM_POSTGRES does not say where the recorder keeps every version" in said


@pytest.mark.slow
async def test_figures_of_every_delivered_method_come_out_the_same_from_fits_on_the_log_with_windows_as_delivered(
    settings: ServiceSettings,
) -> None:
    told = tell({}, 1_000, 30)
    await put(settings, told)
    event = told.output(RISK, "desk", told.periods[-2])
    found = in_a_fresh_process(environment(settings, told), str(event.event_id), "--json").document(0)
    assert found["same"]
    assert {name: risk["status"] for name, risk in found["methods"].items()} == dict.fromkeys(found["methods"], "ok")
    assert {"historical", "garch", "copula", "filtered", "average"} <= found["methods"].keys()
