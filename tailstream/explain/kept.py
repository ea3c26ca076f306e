"""The versions of holdings that PostgreSQL keeps: all of them, also those that compaction took from the log."""

from collections.abc import Collection

import psycopg
from pydantic import ValidationError

from contracts.event import Arrival
from contracts.portfolio import HoldingsReplaced
from contracts.topics import HOLDINGS
from tailstream.runtime.errors import TailstreamError
from tailstream.runtime.records import partition_of

CONNECT_SECONDS_MAX = 10
_VERSIONS = """
select portfolio_id, log_offset, event::text from history.holdings where portfolio_id = any(%s) order by log_offset
"""


class KeptNothing(TailstreamError):
    """PostgreSQL could not be asked for holdings."""


def kept_holdings(postgres: str, portfolios: Collection[str], partitions: int) -> list[Arrival]:
    """Every version of the portfolios' holdings, at the offset at which it stood on the log.

    Raises
    ------
    KeptNothing
        When the database does not answer, has no such table, or a row that cannot be read.
    """
    try:
        with psycopg.connect(postgres, connect_timeout=CONNECT_SECONDS_MAX) as connection:
            rows = connection.execute(_VERSIONS, [sorted(portfolios)]).fetchall()
        return [_arrival(portfolio_id, offset, event, partitions) for portfolio_id, offset, event in rows]
    except (psycopg.Error, ValidationError) as error:
        raise KeptNothing(f"PostgreSQL (TAILSTREAM_POSTGRES): {str(error).splitlines()[0]}") from error


def _arrival(portfolio_id: str, offset: int, event: str, partitions: int) -> Arrival:
    holdings = HoldingsReplaced.from_json(event.encode())
    return Arrival(HOLDINGS.name, partition_of(portfolio_id, partitions), offset, portfolio_id, holdings)
