"""Killed anywhere, nothing is lost, doubled or changed: every run ends as the undisturbed one did."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tailstream.runtime.service import EXIT_FATAL
from tests.simulation.story import Story, differences, digest, tell
from tests.simulation.system import Outcome, System, deaths

READY_SECONDS_MAX = 90.0
HITS = {
    "close.measuring": (25, 500),
    "close.between_acks": (4, 40),
    "close.before_commit": (4, 40),
    "close.during_commit": (4, 40),
    "store.before_commit": (4, 20),
    "store.after_commit": (4, 20),
}
"""Between which hits of a place a run dies: all of them in the middle of the story."""
PLACES = {
    "analytics": ("close.measuring", "close.between_acks", "close.before_commit", "close.during_commit"),
    "risk": ("close.measuring", "close.between_acks", "close.before_commit", "close.during_commit"),
    "limits": ("store.before_commit", "store.after_commit"),
    "recorder": ("store.before_commit", "store.after_commit"),
}
SECOND_DEATHS = ("", "shard.restoring:1", "shard.rebalancing:1", "shard.restoring:3")
"""Where the process that comes back dies once more; nowhere, one time in four."""
SEEDS = [(seed, seed + 2) for seed in range(18) if seed % 4 < 2]
"""Twenty, two to a run: one of analytics and limits, or of risk and the recorder, each."""

_ends: dict[str, Outcome] = {}


async def live_through(system: System, story: Story) -> Outcome:
    """One replica of each, nobody hurt, to the end."""
    await start(system)
    await system.define(story)
    await system.publish(story.records)
    await system.measured(story)
    return await system.outcome()


async def start(system: System) -> None:
    """Start what has not been started, and wait until all of it is ready."""
    for replica in system.all():
        replica.start()
    for replica in system.all():
        await asyncio.to_thread(replica.await_ready, within_seconds=READY_SECONDS_MAX)


def check(outcome: Outcome, story: Story) -> None:
    """Every output once and as the pure engines made it; every close evaluated once; every row there once."""
    assert digest(outcome.outputs) == digest(story.expected), differences(outcome.outputs, story.expected)
    assert {limit: count for limit, (count, _, _) in outcome.evaluations.items()} == story.evaluations
    assert outcome.rows == Counter(one.topic for one in story.expected)
    assert outcome.quarantined == 0
    if undisturbed := _ends.get("undisturbed"):
        assert outcome.evaluations == undisturbed.evaluations
        assert outcome.alerts == undisturbed.alerts


@pytest.fixture(scope="session", autouse=True)
def _forget_the_ends() -> None:
    _ends.clear()


async def test_the_undisturbed_run_publishes_what_the_pure_engines_make_of_the_log(
    system: System, story: Story
) -> None:
    system.create()
    outcome = await live_through(system, story)
    check(outcome, story)
    assert any(len(steps) > 1 for steps in outcome.alerts.values()), "expected a limit to be crossed and resolved"
    _ends["undisturbed"] = outcome


class Death(NamedTuple):
    """Where a service dies, and where it dies once more when it comes back."""

    service: str
    place: str
    hit: int
    again: str

    @classmethod
    def of(cls, seed: int) -> "Death":
        chance = random.Random(seed)
        service = list(PLACES)[seed % len(PLACES)]
        place = PLACES[service][seed // len(PLACES) % len(PLACES[service])]
        return cls(service, place, chance.randint(*HITS[place]), chance.choice(SECOND_DEATHS))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: "{}-and-{}".format(*seeds))
async def test_services_killed_in_the_middle_of_a_close_change_nothing(
    seeds: tuple[int, int], system: System, story: Story, deaths_log: Path
) -> None:
    planned = [Death.of(seed) for seed in seeds]
    print(f"seeds {seeds}: {planned}")
    system.create(TAILSTREAM_FAILPOINT_LOG=str(deaths_log))
    await start(system)
    await system.define(story)
    for death in planned:
        (victim,) = system.replicas[death.service]
        victim.stop()
        victim.start(TAILSTREAM_FAILPOINT=f"{death.place}:{death.hit}")
        await asyncio.to_thread(victim.await_ready, within_seconds=READY_SECONDS_MAX)
    async with system.kept_alive({death.service: death.again for death in planned}):
        await system.publish(story.records)
        await system.measured(story)
    died = deaths(deaths_log)
    for death in planned:
        where = f"{death.place} {death.service} "
        assert any(line.startswith(where) for line in died), f"expected a death in the middle of a close: {death}"
    check(await system.outcome(), story)


@pytest.mark.slow
async def test_the_survivors_of_two_replicas_each_take_over_from_those_that_were_killed(
    system: System, story: Story, deaths_log: Path
) -> None:
    system.create(each=2, TAILSTREAM_FAILPOINT_LOG=str(deaths_log))
    await start(system)
    await system.define(story)
    for service, places in PLACES.items():
        victim = system.replicas[service][0]
        victim.stop()
        victim.start(TAILSTREAM_FAILPOINT=f"{places[-1]}:5")
        await asyncio.to_thread(victim.await_ready, within_seconds=READY_SECONDS_MAX)
    await system.publish(story.records)
    await system.measured(story)
    victims = [replicas[0] for replicas in system.replicas.values()]
    assert [victim.exit_code for victim in victims] == [-9] * len(victims)
    assert len(deaths(deaths_log)) == len(victims)
    check(await system.outcome(), story)


@pytest.mark.slow
@pytest.mark.parametrize("service", ["analytics", "risk", "limits"])
async def test_the_late_writes_of_an_owner_that_was_frozen_past_its_session_are_refused(
    service: str, system: System, story: Story, deaths_log: Path
) -> None:
    system.create(each=2, TAILSTREAM_FAILPOINT_LOG=str(deaths_log))
    await start(system)
    await system.define(story)
    victim, _ = system.replicas[service]
    victim.stop()
    place = "store.before_commit" if service == "limits" else "close.before_commit"
    victim.start(TAILSTREAM_FAILPOINT=f"{place}:5:freeze")
    await asyncio.to_thread(victim.await_ready, within_seconds=READY_SECONDS_MAX)
    await system.publish(story.records)
    await system.measured(story)
    assert len(deaths(deaths_log)) == 1, "expected the owner to be frozen in the middle of a close"
    victim.thaw()
    assert await asyncio.to_thread(victim.wait) == EXIT_FATAL, victim.log_end()
    check(await system.outcome(), story)


@pytest.mark.slow
async def test_a_rolling_restart_of_two_replicas_each_changes_nothing(system: System, story: Story) -> None:
    system.create(each=2)
    await start(system)
    await system.define(story)
    telling = asyncio.create_task(system.publish(story.records))
    for replica in system.all():
        assert await asyncio.to_thread(replica.stop) == 0
        replica.start()
        await asyncio.to_thread(replica.await_ready, within_seconds=READY_SECONDS_MAX)
    await telling
    await system.measured(story)
    check(await system.outcome(), story)


@pytest.mark.slow
async def test_neither_live_slices_nor_replicas_nor_batches_change_a_close(system: System, story: Story) -> None:
    told_with_slices = tell(partitions=story.partitions, closes=len({o.period for o in story.expected}), slices=3)
    assert told_with_slices.expected == story.expected
    system.create(each=3)
    await live_through(system, told_with_slices)
    check(await system.outcome(), story)


@pytest.mark.slow
async def test_batches_of_one_record_make_the_same_closes_as_batches_of_500(system: System, story: Story) -> None:
    system.create(TAILSTREAM_TRANSACTION_CLOSES_MAX="50")
    for service in ("analytics", "risk"):
        system.replicas[service][0].environment["TAILSTREAM_BATCH_RECORDS_MAX"] = "1"
    check(await live_through(system, story), story)
