"""Risk killed at close 400: weights, hits and figures are what they would have been, bit for bit."""

import asyncio
import json
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

import pytest

from contracts.topics import BACKTESTS, INSTRUMENTS, RISK
from services.risk import app as risk
from services.risk.encode import encode
from services.risk.settings import RiskSettings
from tailstream.runtime.records import Emission
from tailstream.sources.days import days
from tailstream.sources.history import load_history
from tailstream.sources.instruments import instruments
from tailstream.sources.passes import Plan
from tests.simulation.story import WARM_UP_CLOSES, WINDOWS, Log, Output, differences, digest, measure, of, output
from tests.simulation.system import System, deaths
from tests.simulation.test_faults import start

PARTITIONS = 4
CLOSES, KILLED = 406, 400
"""Closes with books, and the one of them at which risk is killed, counted from 1."""
FIRST, LAST = date(2007, 5, 1), date(2008, 12, 31)
BOOKS = ("levered", "levered-01")
"""A book that trades on money that it owes, and its desk, both in one shard."""
SEARCHES = {"refit_every": 20, "stressed_every": 20}


@dataclass(frozen=True)
class Long:
    """What is published before the close at which risk dies, and from it on; and what risk makes of all of it."""

    before: tuple[Emission, ...]
    after: tuple[Emission, ...]
    period: str
    """Of the close at which risk dies."""
    expected: tuple[Output, ...]

    def told(self, topic: str) -> list[Output]:
        """The outputs of a topic, period by period."""
        return sorted((one for one in self.expected if one.topic == topic), key=lambda one: one.period)

    @property
    def measured_before(self) -> int:
        """Outputs of one topic before that close."""
        return sum(one.period < self.period for one in self.told(RISK.name))


@pytest.fixture(scope="module")
def long() -> Long:
    log, begins = Log(PARTITIONS), []
    history = load_history()
    plan = Plan(FIRST, LAST, warm_up_closes=WARM_UP_CLOSES, once=True)
    for instrument in instruments(history):
        log.append(INSTRUMENTS, instrument.instrument_id, instrument)
    for day in islice(days(history, plan), WARM_UP_CLOSES + CLOSES):
        begins.append((len(log.emissions), day.period))
        log.day(of(BOOKS, day), slices=0)
    begin, period = begins[WARM_UP_CLOSES + KILLED - 1]
    engine = risk.make_engine(RiskSettings(**WINDOWS | SEARCHES), PARTITIONS)
    expected = tuple(output(made.topic.name, made.key, made.value or b"") for made in measure(engine, encode, log))
    return Long(tuple(log.emissions[:begin]), tuple(log.emissions[begin:]), period, expected)


@pytest.mark.slow
async def test_risk_killed_at_close_400_goes_on_with_the_weights_hits_and_figures_of_the_undisturbed_run(
    system: System, long: Long, deaths_log: Path
) -> None:
    system.create(services=("risk",), **{f"TAILSTREAM_{name.upper()}": str(n) for name, n in SEARCHES.items()})
    (victim,) = system.replicas["risk"]
    victim.environment |= {
        "TAILSTREAM_FAILPOINT": f"close.measuring:{long.measured_before + 2}",
        "TAILSTREAM_FAILPOINT_LOG": str(deaths_log),
    }
    await start(system)
    await system.publish(long.before)
    await system.until(system.published, 2 * long.measured_before)
    await system.publish(long.after)
    assert await asyncio.to_thread(victim.wait) == -9
    assert [line.split()[-1] for line in deaths(deaths_log)] == [long.period]
    victim.start(TAILSTREAM_FAILPOINT="")
    await system.until(system.published, len(long.expected))
    outputs = await system.outputs()
    assert digest(outputs) == digest(long.expected), differences(outputs, long.expected)


@pytest.mark.slow
def test_by_close_400_weights_have_moved_and_hits_were_counted(long: Long) -> None:
    """Otherwise the test above would show little."""
    bodies = [json.loads(one.value) for one in long.told(BACKTESTS.name) if one.period >= long.period]
    assert {body["portfolio_id"] for body in bodies} == set(BOOKS)
    for body in bodies:
        assert len(set(body["weights"].values())) > 1
        assert body["methods"]["historical"]["levels"]["0.95"]["actual"]["exceptions"] > 0
        assert body["methods"]["average"]["traffic_light"] is not None
