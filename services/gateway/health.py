"""Whether the system is up: the last word of every replica, against the time."""

from collections.abc import Mapping

from pydantic import BaseModel

from contracts.system import ServiceStatus

EXPECTED_SERVICES = ("analytics", "risk", "limits", "recorder")
"""The services beside the gateway itself, without which the system is not whole."""


class Health(BaseModel):
    """``down`` names each service that no ready replica spoke for, and why."""

    status: str
    down: dict[str, str]
    services: dict[str, list[ServiceStatus]]


def health_of(
    replicas: Mapping[str, ServiceStatus], gateway_waits_for: str | None, now: float, silent_seconds_max: float
) -> Health:
    """The system's health at ``now`` (Unix seconds); ``replicas`` by ``service/replica``."""
    fresh: dict[str, list[ServiceStatus]] = {name: [] for name in EXPECTED_SERVICES}
    for _, status in sorted(replicas.items()):
        if now - status.as_of.timestamp() <= silent_seconds_max:
            fresh.setdefault(status.service, []).append(status)
    down = {name: why for name in EXPECTED_SERVICES if (why := _why_down(fresh[name]))}
    if gateway_waits_for is not None:
        down["gateway"] = f"waits for {gateway_waits_for}"
    return Health(status="down" if down else "up", down=down, services=fresh)


def _why_down(fresh: list[ServiceStatus]) -> str | None:
    if any(status.state == "ready" for status in fresh):
        return None
    reasons = [reason for status in fresh for reason in status.reasons]
    return "; ".join(reasons) if reasons else "no replica has spoken"
