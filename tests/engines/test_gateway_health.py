"""The system is up when a ready replica of every service has spoken lately."""

from datetime import UTC, datetime

from contracts.system import ServiceStatus
from services.gateway.health import EXPECTED_SERVICES, Health, health_of

NOW = datetime(2008, 9, 15, 15, 30, tzinfo=UTC)


def status(service: str, replica: str = "0", age_seconds: float = 1.0, reasons: tuple[str, ...] = ()) -> ServiceStatus:
    as_of = datetime.fromtimestamp(NOW.timestamp() - age_seconds, UTC)
    return ServiceStatus(
        service=service, replica=replica, state="starting" if reasons else "ready", as_of=as_of, reasons=reasons
    )


def health(*statuses: ServiceStatus, waits_for: str | None = None) -> Health:
    replicas = {f"{status.service}/{status.replica}": status for status in statuses}
    return health_of(replicas, waits_for, NOW.timestamp(), silent_seconds_max=20.0)


def test_it_is_up_when_each_service_has_a_ready_replica() -> None:
    found = health(*(status(service) for service in EXPECTED_SERVICES))
    assert (found.status, found.down) == ("up", {})


def test_a_service_that_never_spoke_or_fell_silent_is_down() -> None:
    found = health(status("risk", age_seconds=21.0), status("limits"), status("recorder"))
    assert found.status == "down"
    assert found.down == {"analytics": "no replica has spoken", "risk": "no replica has spoken"}


def test_one_ready_replica_is_enough() -> None:
    others = [status(service) for service in EXPECTED_SERVICES if service != "risk"]
    found = health(*others, status("risk", "0", reasons=("its shards",)), status("risk", "1"))
    assert found.status == "up"


def test_a_service_that_waits_says_for_what() -> None:
    assert health(status("risk", reasons=("its shards to be restored",))).down["risk"] == "its shards to be restored"


def test_a_gateway_that_is_behind_is_down_itself() -> None:
    found = health(*(status(service) for service in EXPECTED_SERVICES), waits_for="7 records still to be read")
    assert found.down == {"gateway": "waits for 7 records still to be read"}
