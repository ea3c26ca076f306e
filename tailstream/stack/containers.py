"""Kafka, PostgreSQL with TimescaleDB, and Valkey as Docker containers, each on a free port of 127.0.0.1 alone."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import docker
from docker.errors import DockerException
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from tailstream.stack.errors import DockerFailed
from tailstream.stack.jars import Progress
from tailstream.stack.kafka import SMALL_AND_QUICK, STARTED, replication
from tailstream.stack.ports import HOST, free_ports
from tailstream.stack.postgres import SETTINGS, postgres_answers
from tailstream.stack.processes import until
from tailstream.stack.redis import redis_answers
from tailstream.stack.run import Container, Run

IMAGES = {
    "kafka": "apache/kafka:4.3.1",
    "postgres": "timescale/timescaledb:latest-pg17",
    "redis": "valkey/valkey:9",
}
_LABEL = "tailstream.run"
_LOG_LINES = 15


@dataclass(frozen=True)
class _Plan:
    """How one server is run as a container."""

    inside_port: int
    address: str
    answers: Callable[[str], bool]
    """Whether it does its work by now, told its log: Docker's proxy accepts connections before the server does."""
    command: list[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def start_containers(
    run: Run, missing: Collection[str], progress: Progress, *, within_seconds: float
) -> dict[str, str]:
    """Run those of ``kafka``, ``postgres`` and ``redis`` that are ``missing``; return their addresses by name.

    Raises
    ------
    DockerFailed
        When Docker does not answer, an image cannot be had, more than one broker is asked for, or a server does not
        answer in time.
    """
    if run.record.brokers > 1 and "kafka" in missing:
        raise DockerFailed(f"brokers: expected 1 with Docker, was {run.record.brokers}")
    ports = dict(zip(missing, free_ports(len(missing)), strict=True))
    plans = {name: _PLANS[name](ports[name], run.record.password) for name in missing}
    try:
        _client().ping()
        run.save(uses_docker=True)
        for name, plan in plans.items():
            progress(f"starting {IMAGES[name]}")
            _start(run, name, plan, ports[name])
        for name, plan in plans.items():
            _await_answer(run, name, plan, within_seconds)
            progress(f"{name} answers")
    except DockerException as error:
        raise DockerFailed(f"Docker: expected a container of each of {', '.join(missing)}, was: {error}") from error
    return {name: plan.address for name, plan in plans.items()}


def running_containers(run_id: str) -> set[str]:
    """The ids of the run's containers that run.

    Raises
    ------
    DockerFailed
        When Docker does not answer any more.
    """
    try:
        return {str(container.id) for container in _client().containers.list(filters=_of(run_id))}
    except DockerException as error:
        raise DockerFailed(f"Docker: expected the containers of run {run_id}, was: {error}") from error


def remove_containers(run_id: str) -> None:
    """Remove every container of the run, written down or not, with its data.

    Raises
    ------
    DockerFailed
        When Docker does not answer any more.
    """
    try:
        for container in _client().containers.list(all=True, filters=_of(run_id)):
            container.remove(force=True, v=True)
    except DockerException as error:
        raise DockerFailed(f"Docker: expected to remove the containers of run {run_id}, was: {error}") from error


def _of(run_id: str) -> dict[str, str]:
    return {"label": f"{_LABEL}={run_id}"}


def _client() -> docker.DockerClient:
    return docker.from_env()


def _start(run: Run, name: str, plan: _Plan, port: int) -> None:
    testcontainers_config.ryuk_disabled = True  # the guard and the next start remove what a crash leaves
    container = DockerContainer(IMAGES[name], env=dict(plan.environment))
    if plan.command:
        container.with_command(plan.command)
    # with_bind_ports takes a port alone, and publishes it to every interface
    container.ports[f"{plan.inside_port}/tcp"] = (HOST, port)  # type: ignore[assignment]
    container.with_kwargs(labels={_LABEL: run.record.run_id}).start()
    started = Container(name=name, container_id=container.get_container_id(), port=port)
    run.save(containers=(*run.record.containers, started))


def _await_answer(run: Run, name: str, plan: _Plan, within_seconds: float) -> None:
    (started,) = (container for container in run.record.containers if container.name == name)
    container = _client().containers.get(started.container_id)

    def said() -> str:
        return str(container.logs().decode(errors="replace"))

    if not until(lambda: plan.answers(said()), within_seconds=within_seconds):
        tail = "\n  ".join(said().splitlines()[-_LOG_LINES:])
        raise DockerFailed(f"{name} ({IMAGES[name]}) did not answer within {within_seconds:.0f} s; it says:\n  {tail}")


def _kafka(port: int, password: str) -> _Plan:
    del password  # Kafka has none
    listeners = {
        "node.id": 1,
        "process.roles": "broker,controller",
        "controller.quorum.voters": "1@localhost:9093",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "INTERNAL",
        "listeners": "CLIENTS://:9092,INTERNAL://localhost:9094,CONTROLLER://localhost:9093",
        "advertised.listeners": f"CLIENTS://{HOST}:{port},INTERNAL://localhost:9094",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }
    properties = {**listeners, **replication(1), **SMALL_AND_QUICK}
    environment = {f"KAFKA_{name.upper().replace('.', '_')}": str(value) for name, value in properties.items()}
    return _Plan(9092, f"{HOST}:{port}", lambda said: STARTED in said, environment=environment)


def _postgres(port: int, password: str) -> _Plan:
    url = f"postgresql://postgres:{password}@{HOST}:{port}/tailstream"
    environment = {"POSTGRES_PASSWORD": password, "POSTGRES_DB": "tailstream", "TIMESCALEDB_TELEMETRY": "off"}
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    command = ["postgres", *settings]
    return _Plan(5432, url, lambda said: postgres_answers(url), command=command, environment=environment)


def _redis(port: int, password: str) -> _Plan:
    command = ["valkey-server", "--requirepass", password, "--save", "", "--appendonly", "no"]
    url = f"redis://:{password}@{HOST}:{port}/0"
    return _Plan(6379, url, lambda said: redis_answers(url), command=command)


_PLANS = {"kafka": _kafka, "postgres": _postgres, "redis": _redis}
