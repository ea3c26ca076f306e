"""Where a closing event stands on the log: found by its id, or by its portfolio and a time."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from pydantic import ValidationError

from contracts.event import Inputs, Measured
from contracts.topics import ANALYTICS_LIVE, BACKTESTS, METRICS, RISK, RISK_LIVE, VALUATIONS, Topic
from tailstream.explain.errors import NothingPublished, NotRecomputable
from tailstream.explain.measurers import BY_OUTPUT, Measurer
from tailstream.runtime.decoding import explain
from tailstream.runtime.lookup import LogReader
from tailstream.runtime.records import Record, Shard, event_of, partition_of

SEARCHED: tuple[Topic, ...] = (RISK_LIVE, ANALYTICS_LIVE, VALUATIONS, METRICS, RISK, BACKTESTS)
"""Topics that have events of measured portfolios, the quick ones first."""


class Published(NamedTuple):
    """A closing event, and the record that carries it."""

    record: Record
    event: Measured
    inputs: Inputs
    period: str
    measurer: Measurer

    @property
    def shard(self) -> Shard:
        """Where it stands."""
        return Shard(self.record.topic, self.record.partition)

    @property
    def place(self) -> str:
        """As ``topic:partition:offset``."""
        return f"{self.record.topic}:{self.record.partition}:{self.record.offset}"


async def find_by_id(log: LogReader, event_id: UUID) -> Published:
    """The event of this id.

    Raises
    ------
    NothingPublished
        When no topic has it.
    NotRecomputable
        When it is a live figure: the log does not keep what it was computed from.
    """
    for topic in SEARCHED:
        record = await log.find_id(topic, str(event_id))
        if record is not None:
            return published(record)
    raise NothingPublished(f"event {event_id}: expected it on one of {_names(SEARCHED)}, was on none of them")


async def find_as_of(log: LogReader, portfolio_id: str, as_of: datetime) -> Published:
    """The newest risk measurement of the portfolio's closes at or before ``as_of``.

    Raises
    ------
    NothingPublished
        When there is none.
    """
    shard = Shard(RISK.name, partition_of(portfolio_id, log.partitions))
    stop = await log.find(shard, lambda record: _measured(record).as_of > as_of)
    records = await log.read_until(shard, stop, lambda found: any(one.key == portfolio_id for one in found), first=200)
    own = [record for record in records if record.key == portfolio_id]
    if not own:
        at = as_of.isoformat(sep=" ", timespec="seconds")
        raise NothingPublished(f"portfolio {portfolio_id}: expected a close on {RISK.name} at or before {at}, was none")
    return published(own[-1])


def published(record: Record) -> Published:
    """The closing event in a record.

    Raises
    ------
    NotRecomputable
        When it is none, or cannot be read.
    """
    event = _measured(record)
    if event.inputs is None or event.period is None:
        raise NotRecomputable(
            f"event {event.event_id}: expected one of a close, was a live figure, which cannot be recomputed: the log "
            f"does not keep the prices between closes"
        )
    return Published(record, event, event.inputs, event.period, BY_OUTPUT[record.topic])


def _measured(record: Record) -> Measured:
    try:
        event = event_of(record)
    except ValidationError as error:
        place = f"{record.topic}:{record.partition}:{record.offset}"
        raise NotRecomputable(f"{place}: expected an event that can be read: {explain(error)}") from error
    assert isinstance(event, Measured)
    return event


def _names(topics: tuple[Topic, ...]) -> str:
    return ", ".join(topic.name for topic in topics)
