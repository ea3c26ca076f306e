"""Settings of the limits service."""

from typing import Annotated

from pydantic import Field

from tailstream.runtime.database import DatabaseSettings


class LimitsSettings(DatabaseSettings):
    """When missing data is worth an alert, beside where the limits are kept."""

    limit_stale_after_closes: Annotated[int, Field(ge=1)] = 3
    """Closes in a row without a usable figure that raise ``data_stale``."""
