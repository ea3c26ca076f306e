"""What-if on real Kafka: a question on one topic, its answer on another, whoever owns the portfolio's shard."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from itertools import islice

import pytest
from aiokafka import AIOKafkaProducer

from contracts.event import Status
from contracts.risk import WhatIfMeasured, WhatIfRequested
from contracts.system import RecordQuarantined
from contracts.topics import INSTRUMENTS, QUARANTINE, REPLIES, REQUESTS, RISK, Topic
from services.risk import app as risk
from services.risk.encode import encode
from services.risk.engine import Engine
from services.risk.settings import RiskSettings
from tailstream.cli.replicas import Replica
from tailstream.fold.work import on_the_spot
from tailstream.runtime.records import Emission, Record, Shard, emission, partition_of
from tailstream.runtime.restore import read_back
from tailstream.runtime.settings import ServiceSettings
from tailstream.sources.days import days
from tailstream.sources.history import load_history
from tailstream.sources.instruments import instruments
from tailstream.sources.passes import Plan
from tailstream.stack import Stack
from tests.conftest import PARTITIONS
from tests.recorded import publish, raw, until
from tests.simulation.story import PORTFOLIOS, Log, measure, of

BOOK = "concentrated-01"
WINDOWS = {"scenario_window": 260, "fit_window": 260, "stressed_window": 60}
WARM_UP_CLOSES, READY_SECONDS_MAX = 270, 120.0
LONG_AGO_SECONDS = 120


@pytest.fixture(scope="module")
def told() -> Log:
    """One close of a third of the demo's books, after as many as the windows need."""
    history = load_history()
    log = Log(PARTITIONS)
    for instrument in instruments(history):
        log.append(INSTRUMENTS, instrument.instrument_id, instrument)
    plan = Plan(date(2007, 1, 1), date(2007, 12, 31), warm_up_closes=WARM_UP_CLOSES, once=True)
    for day in islice(days(history, plan), WARM_UP_CLOSES + 1):
        log.day(of(PORTFOLIOS, day), slices=0)
    return log


@pytest.fixture(scope="module")
def engine(told: Log) -> Engine:
    """What the log makes of the engine, once it has measured the close."""
    engine = risk.make_engine(RiskSettings(**WINDOWS), PARTITIONS)
    for _ in measure(engine, encode, told):
        pass
    return engine


@pytest.fixture
def settings(stack: Stack, prefix: str) -> ServiceSettings:
    return ServiceSettings(kafka=stack.addresses.kafka, topic_prefix=prefix)


@pytest.fixture
def replicas(stack: Stack, prefix: str) -> Iterator[list[Replica]]:
    """Two replicas of risk that are not started; whatever of them still runs in the end is killed."""
    environment = {
        "TAILSTREAM_TOPIC_PREFIX": prefix,
        "TAILSTREAM_SESSION_TIMEOUT_MS": "3000",
        "TAILSTREAM_HEARTBEAT_INTERVAL_MS": "300",
        **{f"TAILSTREAM_{name.upper()}": str(value) for name, value in WINDOWS.items()},
    }
    made = [Replica.of(stack, "risk", number=n, environment=environment) for n in (1, 2)]
    for replica in made:
        replica.name = f"{prefix}{replica.name}"
    yield made
    for replica in made:
        with suppress(RuntimeError):  # it was never started
            replica.kill()


def request(number: int, *, portfolio_id: str = BOOK, **trades: float) -> WhatIfRequested:
    return WhatIfRequested(
        request_id=f"question-{number}",
        portfolio_id=portfolio_id,
        requested_by="test",
        requested_at=datetime(2007, 1, 4, tzinfo=UTC),
        trades=trades or {"AAPL": 100.0 * number},
    )


def asked(*requests: WhatIfRequested) -> list[Emission]:
    return [emission(REQUESTS, each, key=each.portfolio_id, portfolio_id=each.portfolio_id) for each in requests]


def answer_of(engine: Engine, asked: WhatIfRequested) -> WhatIfMeasured:
    ((answer,),) = on_the_spot(engine.answer(asked))
    assert isinstance(answer, WhatIfMeasured)
    return answer


async def start(replica: Replica) -> None:
    replica.start()
    await asyncio.to_thread(replica.await_ready, within_seconds=READY_SECONDS_MAX)


async def measured(settings: ServiceSettings, engine: Engine) -> None:
    """Wait until the close is published: an answer rests on the fits that were made at it."""
    await until(lambda: count(settings, RISK), sum(len(names) for names in holding(engine)))


def holding(engine: Engine) -> list[list[str]]:
    """Of every shard, the portfolios that hold something."""
    moment = engine.world.closed(engine.world.opened - 1)
    shards = [[p.portfolio_id for p in engine.world.portfolios(shard, moment)] for shard in range(PARTITIONS)]
    return [[name for name in names if engine.world.members(name, moment)] for names in shards]


async def count(settings: ServiceSettings, topic: Topic) -> int:
    return len(await everything(settings, topic))


async def everything(settings: ServiceSettings, topic: Topic) -> list[Record]:
    read = await asyncio.gather(*[read_back(settings, Shard(topic.name, p)) for p in range(PARTITIONS)])
    return [record for records in read for record in records]


async def replies(settings: ServiceSettings, wanted: int) -> list[WhatIfMeasured]:
    """So many answers, in the order of their partitions."""
    await until(lambda: count(settings, REPLIES), wanted)
    return [WhatIfMeasured.from_json(record.value or b"") for record in await everything(settings, REPLIES)]


async def test_questions_are_answered_in_order_with_the_figures_of_the_engine_itself(
    settings: ServiceSettings, replicas: list[Replica], told: Log, engine: Engine
) -> None:
    await publish(settings, told.emissions)
    await start(replicas[0])
    await measured(settings, engine)
    questions = [request(1, AAPL=5_000.0, JPM=-2_000.0), request(2)]
    await publish(settings, asked(*questions))
    answers = await replies(settings, 2)
    assert [answer.request_id for answer in answers] == ["question-1", "question-2"]
    assert answers == [answer_of(engine, question) for question in questions]
    first = answers[0]
    for name, levels in first.difference.items():
        for level, tail in levels.items():
            before, after = first.before[name].levels[level], first.after[name].levels[level]
            assert before.var is None or after.var is None or tail.var == after.var - before.var
    assert first.difference["historical"]["0.99"].var != 0.0


async def test_a_question_that_has_no_answer_is_told_why_and_a_bad_record_costs_itself(
    settings: ServiceSettings, replicas: list[Replica], told: Log, engine: Engine
) -> None:
    await publish(settings, told.emissions)
    await start(replicas[0])
    await measured(settings, engine)
    nobody, nothing = request(1, portfolio_id="nobody"), request(2, NOPE=1.0)
    garbage = [raw(REQUESTS, BOOK, b"\xff garbage"), raw(REQUESTS, BOOK, b"[]"), raw(REQUESTS, BOOK, None)]
    await publish(settings, [*asked(nobody), *garbage, *asked(nothing, request(3))])
    answers = {answer.request_id: answer for answer in await replies(settings, 3)}
    assert answers["question-1"].status == Status.UNDEFINED
    assert answers["question-1"].reason == "portfolio_id: expected one that holds something, was nobody"
    assert answers["question-2"].status == Status.UNPRICED
    assert answers["question-2"].reason is not None
    assert answers["question-2"].reason.startswith("trades.NOPE: expected an instrument")
    assert answers["question-3"] == answer_of(engine, request(3))
    refused = [
        RecordQuarantined.from_json(record.value or b"")
        for record in await read_back(settings, Shard(QUARANTINE.name, 0))
    ]
    assert [(r.topic, r.partition) for r in refused] == [(REQUESTS.name, partition_of(BOOK, PARTITIONS))] * 3


async def test_a_question_to_an_owner_that_died_is_answered_by_the_next(
    settings: ServiceSettings, replicas: list[Replica], told: Log, engine: Engine
) -> None:
    await publish(settings, told.emissions)
    for replica in replicas:
        await start(replica)
    await measured(settings, engine)
    replicas[0].kill()
    questions = [request(n, portfolio_id=name) for n, (name, *_) in enumerate(holding(engine), 1)]
    await publish(settings, asked(*questions))
    found = {answer.request_id: answer for answer in await replies(settings, PARTITIONS)}
    assert found == {question.request_id: answer_of(engine, question) for question in questions}


async def test_a_start_answers_what_was_asked_just_before_it_and_lets_older_questions_rest(
    settings: ServiceSettings, replicas: list[Replica], told: Log, engine: Engine
) -> None:
    await publish(settings, told.emissions)
    await start(replicas[0])
    await measured(settings, engine)
    assert replicas[0].stop() == 0
    await publish_long_ago(settings, request(1))
    await publish(settings, asked(request(2)))
    await start(replicas[0])
    assert await replies(settings, 1) == [answer_of(engine, request(2))]
    assert replicas[0].stop() == 0
    await start(replicas[0])
    again = await replies(settings, 2)
    assert again[0] == again[1], "expected an answer that is given again to be the same event"


async def publish_long_ago(settings: ServiceSettings, question: WhatIfRequested) -> None:
    (record,) = asked(question)
    long_ago_ms = int(1000 * (time.time() - LONG_AGO_SECONDS))
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        await producer.send_and_wait(
            settings.topic_prefix + REQUESTS.name,
            record.value,
            record.key.encode(),
            partition=partition_of(question.portfolio_id, PARTITIONS),
            timestamp_ms=long_ago_ms,
        )
