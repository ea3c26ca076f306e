"""What the system says of itself: the health of each replica, and the records that were refused."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from contracts.event import Event

QUARANTINED_BYTES_MAX = 64 * 1024


class ServiceStatus(Event):
    """One replica's pulse, every 5 seconds."""

    service: str
    replica: str
    state: Literal["starting", "ready", "stopping"]
    as_of: AwareDatetime
    reasons: tuple[str, ...] = ()
    """What it is waiting for while it is not ready."""
    shards: tuple[int, ...] = ()
    closes_behind: Annotated[int, Field(ge=0)] = 0
    records_in_per_s: float = 0.0
    records_out_per_s: float = 0.0
    quarantined: Annotated[int, Field(ge=0)] = 0


class RecordQuarantined(Event):
    """A record, or one price of a record, that was refused; found again by topic, partition and offset."""

    event_id: UUID
    """The same for every replica and restart that refuses the same record for the same field."""
    service: str
    topic: str
    """Logical name, without a prefix."""
    partition: int
    offset: int
    key: str | None
    field: str | None
    """Where in the record, when only a part of it was refused."""
    reason: str
    """Names what was expected and what came."""
    size_bytes: int
    sha256: str
    value_base64: str | None
    """The first 64 KiB; null for a tombstone."""
