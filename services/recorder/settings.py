"""The recorder's settings."""

from typing import Annotated

from pydantic import Field

from tailstream.runtime.database import DatabaseSettings


class RecorderSettings(DatabaseSettings):
    """How much the recorder writes at once, beside where history is."""

    batch_records_max: Annotated[int, Field(ge=1, le=10_000)] = 2_000
    """Larger than elsewhere: a transaction of the database and a commit of offsets are paid once a batch."""
