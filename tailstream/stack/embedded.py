"""Which servers a run needs, as processes out of Python packages."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    # All ports in one draw: none is bound yet, so a second draw could meet the first.
    postgres_port, redis_port, *broker_ports = free_ports(2 + 2 * run.record.brokers)
    postgres, redis = Postgres(run, postgres_port), Redis(run, redis_port)
    brokers = _brokers(run, broker_ports, kafka_jars(progress)) if "kafka" in missing else ()
    servers: dict[str, tuple[Server, ...]] = {"kafka": brokers, "postgres": (postgres,), "redis": (redis,)}
    addresses = {
        "kafka": ",".join(f"{HOST}:{broker.port}" for broker in brokers),
        "postgres": postgres.url,
        "redis": redis.url,
    }
    return Embedded(
        tuple(server for name in missing for server in servers[name]), {name: addresses[name] for name in missing}
    )


def _brokers(run: Run, ports: Sequence[int], jars: Path) -> tuple[Broker, ...]:
    cluster = dict(enumerate(map(Ports, ports[0::2], ports[1::2]), start=1))
    return tuple(Broker(run, number, cluster, jars) for number in cluster)
