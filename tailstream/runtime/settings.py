"""Settings that every service has, from the environment: ``TAILSTREAM_`` and the field's name in capitals."""

import os
import socket
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _replica() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class ServiceSettings(BaseSettings):
    """How a replica finds the bus and how it behaves on it."""

    model_config = SettingsConfigDict(env_prefix="TAILSTREAM_", extra="ignore", frozen=True)

    kafka: str = "127.0.0.1:9092"
    """Bootstrap servers, comma separated."""
    topic_prefix: str = ""
    """Before every topic, group and transactional id: several systems on one broker do not meet."""
    replica: Annotated[str, Field(default_factory=_replica)]
    group_instance_id: str | None = None
    """Static membership, the pod's name on a StatefulSet: a restart moves no shard."""

    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of the probes and metrics; 0 takes a free one and logs it."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"

    batch_records_max: Annotated[int, Field(ge=1, le=10_000)] = 500
    batch_timeout_ms: Annotated[int, Field(ge=1, le=1_000)] = 20
    session_timeout_ms: Annotated[int, Field(ge=1_000)] = 30_000
    heartbeat_interval_ms: Annotated[int, Field(ge=100)] = 3_000
    rebalance_timeout_ms: Annotated[int, Field(ge=1_000)] = 60_000
    transaction_timeout_ms: Annotated[int, Field(ge=1_000)] = 60_000
    stop_timeout_seconds: Annotated[float, Field(gt=0)] = 20.0
    status_interval_seconds: Annotated[float, Field(gt=0)] = 5.0
    loop_stall_seconds_max: Annotated[float, Field(gt=0)] = 10.0
    """Older than this, the event loop's last tick fails the liveness probe."""


class ClosingSettings(ServiceSettings):
    """Settings of a service that measures closes: analytics and risk."""

    stale_after_periods: Annotated[int, Field(ge=0)] = 5
    """How many periods a missing price is carried forward, flagged, before its position is unpriced."""
    refresh_hz: Annotated[float, Field(gt=0, le=100)] = 10.0
    """Live refreshes per second at most."""
    transaction_closes_max: Annotated[int, Field(ge=1)] = 50
    """Closes that one transaction of a shard holds at most while catching up."""

    min_rows_kept: Annotated[int, Field(ge=1)] = 1_024
    """Closes kept beyond the windows: how far behind a shard may be that this replica takes over."""
