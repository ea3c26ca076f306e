"""The recorder's settings."""

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


class RecorderSettings(ServiceSettings):
    """How the recorder finds history and how long it bears with a database that is away."""

    postgres: Annotated[str, AfterValidator(_conninfo)]
    """The database that ``tailstream db migrate`` prepared."""
    database_outage_seconds_max: Annotated[float, Field(gt=0)] = 120.0
    """A batch that could not be written for so long ends the process; the next owner repeats it."""
    batch_records_max: Annotated[int, Field(ge=1, le=10_000)] = 2_000
    """Larger than elsewhere: a transaction of the database and a commit of offsets are paid once a batch."""
