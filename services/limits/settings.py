"""Settings of the limits service."""

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


class LimitsSettings(ServiceSettings):
    """Where the limits are kept, and when missing data is worth an alert."""

    postgres: Annotated[str, AfterValidator(_conninfo)]
    """The system of record, which ``tailstream db migrate`` prepared."""
    database_outage_seconds_max: Annotated[float, Field(gt=0)] = 120.0
    """A batch that could not be stored for so long ends the process; the next owner repeats it."""
    limit_stale_after_closes: Annotated[int, Field(ge=1)] = 3
    """Closes in a row without a usable figure that raise ``data_stale``."""
