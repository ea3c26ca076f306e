"""Which servers a run needs, as processes out of Python packages."""

from collections.abc import Collection
from dataclasses import dataclass

from tailstream.stack.jars import Progress, kafka_jars
from tailstream.stack.kafka import Broker, Ports
from tailstream.stack.ports import HOST, free_ports
from tailstream.stack.postgres import Postgres
from tailstream.stack.redis import Redis
from tailstream.stack.run import Run
from tailstream.stack.server import Server


@dataclass(frozen=True)
class Embedded:
    """Servers to start, and the addresses that they will have."""

    servers: tuple[Server, ...]
    addresses: dict[str, str]


def embedded_servers(run: Run, missing: Collection[str], progress: Progress) -> Embedded:
    """The servers for those of ``kafka``, ``postgres`` and ``redis`` that are ``missing``, on free ports."""
    brokers = _brokers(run, progress) if "kafka" in missing else ()
    postgres_port, redis_port = free_ports(2)
    postgres, redis = Postgres(run, postgres_port), Redis(run, redis_port)
    servers: dict[str, tuple[Server, ...]] = {"kafka": brokers, "postgres": (postgres,), "redis": (redis,)}
    addresses = {
        "kafka": ",".join(f"{HOST}:{broker.port}" for broker in brokers),
        "postgres": postgres.url,
        "redis": redis.url,
    }
    return Embedded(
        tuple(server for name in missing for server in servers[name]), {name: addresses[name] for name in missing}
    )


def _brokers(run: Run, progress: Progress) -> tuple[Broker, ...]:
    jars = kafka_jars(progress)
    numbers = range(1, run.record.brokers + 1)
    ports = free_ports(2 * len(numbers))
    cluster = dict(zip(numbers, map(Ports, ports[0::2], ports[1::2]), strict=True))
    return tuple(Broker(run, number, cluster, jars) for number in numbers)
