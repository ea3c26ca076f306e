"""Settings of a service that keeps something in PostgreSQL; imported by those alone, because it needs psycopg."""

from typing import Annotated

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, Field

from tailstream.runtime.settings import ServiceSettings


def _conninfo(value: str) -> str:
    try:
        conninfo_to_dict(value)
    except psycopg.ProgrammingError as error:
        raise ValueError(f"expected postgresql://user:password@host:port/database: {error}") from error
    return value


class DatabaseSettings(ServiceSettings):
    """Where the database is, and how long the service bears with one that is away."""

    postgres: Annotated[str, AfterValidator(_conninfo)]
    """The database that ``tailstream db migrate`` prepared."""
    database_outage_seconds_max: Annotated[float, Field(gt=0)] = 120.0
    """A batch that could not be stored for so long ends the process; the next owner repeats it."""
