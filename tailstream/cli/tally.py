"""What stands at the end of a run: for which portfolios each service published, and what history holds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import psycopg

from contracts.topics import METRICS, RISK, STATES, VALUATIONS, Topic
from tailstream.runtime.records import Record, Shard, partition_of
from tailstream.runtime.restore import read_tail
from tailstream.runtime.settings import ServiceSettings

PUBLISHED: Mapping[str, tuple[Topic, ...]] = {
    "analytics": (METRICS, VALUATIONS),
    "risk": (RISK,),
    "limits": (STATES,),
}
"""Where each service publishes something for every portfolio."""

TABLES = ("analytics_metrics", "portfolio_valuations", "risk_metrics", "limit_states", "risk_events", "holdings")
CLOSING_TABLES = ("portfolio_valuations", "risk_metrics")


@dataclass(frozen=True)
class Table:
    """One table of history: how many rows, and of which portfolios."""

    rows: int
    portfolios: frozenset[str]


async def publishers(
    settings: ServiceSettings, portfolios: Collection[str], partitions: int
) -> dict[str, frozenset[str]]:
    """For each service, those of ``portfolios`` that stand on all of its topics."""
    return {
        service: frozenset.intersection(*[await _found(settings, topic, portfolios, partitions) for topic in topics])
        for service, topics in PUBLISHED.items()
    }


async def _found(
    settings: ServiceSettings, topic: Topic, portfolios: Collection[str], partitions: int
) -> frozenset[str]:
    found: set[str] = set()
    for partition in range(partitions):
        wanted = {name for name in portfolios if partition_of(name, partitions) == partition}
        found |= await _found_of(settings, Shard(topic.name, partition), wanted)
    return frozenset(found)


async def _found_of(settings: ServiceSettings, shard: Shard, wanted: set[str]) -> set[str]:
    return wanted & _of(await read_tail(settings, shard, lambda records: wanted <= _of(records)))


def _of(records: Collection[Record]) -> set[str]:
    """The portfolios of the records: a key is the portfolio's id, alone or before a slash."""
    return {record.key.split("/", 1)[0] for record in records if record.key is not None and record.value is not None}


def history(database: str) -> dict[str, Table]:
    """Every table of history by its name."""
    with psycopg.connect(database) as connection:
        return {name: _table(connection, name) for name in TABLES}


def recorded_to(database: str, portfolios: Collection[str]) -> str | None:
    """The newest period that the closing figures of all ``portfolios`` have reached in history; None before that."""
    reached = "select max(period) from history.{} where portfolio_id = named"
    every = " union all ".join(
        f"select ({reached.format(table)}) from unnest(%(named)s::text[]) as named" for table in CLOSING_TABLES
    )
    with psycopg.connect(database) as connection:
        rows = connection.execute(every, {"named": sorted(portfolios)}).fetchall()
    periods = [period for (period,) in rows]
    return min(periods) if periods and None not in periods else None


def _table(connection: psycopg.Connection, name: str) -> Table:
    counted = connection.execute(f"select portfolio_id, count(*) from history.{name} group by portfolio_id").fetchall()
    return Table(sum(count for _, count in counted), frozenset(portfolio for portfolio, _ in counted))
