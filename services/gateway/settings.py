"""The gateway's settings, from the environment: ``TAILSTREAM_`` and the field's name in capitals."""

from typing import Annotated

from pydantic import Field, SecretStr

from services.gateway.auth import SECRET_BYTES_MIN
from services.gateway.session import Terms
from services.gateway.websocket import Access
from tailstream.runtime.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """How the gateway reads the bus, and what it grants its clients."""

    jwt_secret: Annotated[SecretStr, Field(min_length=SECRET_BYTES_MIN)]
    """Signs and checks local tokens (HS256)."""
    allowed_origins: frozenset[str] = frozenset()
    """Origins of browsers beside the gateway's own, a JSON array; ``["*"]`` is any."""
    connections_max: Annotated[int, Field(ge=1)] = 5_000
    subscriptions_max: Annotated[int, Field(ge=1)] = 1_000
    """Of one connection."""
    messages_per_second: Annotated[float, Field(gt=0)] = 50.0
    """From one connection, after a burst."""

    ping_seconds: Annotated[float, Field(gt=0)] = 25.0
    pong_timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    connect_timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    send_timeout_seconds: Annotated[float, Field(gt=0)] = 15.0
    """A client that leaves a write waiting so long is too slow."""
    drain_seconds: Annotated[float, Field(ge=0)] = 60.0
    """Clients come back spread over this time when a replica stops."""

    tail_records: Annotated[int, Field(ge=1)] = 5_000
    """How far back each partition of the closing topics and of the alerts is read at the start."""
    ring_updates_max: Annotated[int, Field(ge=1)] = 1_000
    """How many updates each channel keeps of each partition, for clients that come back."""
    silent_seconds_max: Annotated[float, Field(gt=0)] = 20.0
    """A service whose replicas said nothing for so long counts as down."""

    @property
    def terms(self) -> Terms:
        """What a connection may do."""
        return Terms(
            server_id=self.replica,
            ping_seconds=self.ping_seconds,
            pong_timeout_seconds=self.pong_timeout_seconds,
            connect_timeout_seconds=self.connect_timeout_seconds,
            subscriptions_max=self.subscriptions_max,
            messages_per_second=self.messages_per_second,
        )

    @property
    def access(self) -> Access:
        """Who may come in."""
        return Access(self.allowed_origins, self.connections_max, self.send_timeout_seconds, self.drain_seconds)
