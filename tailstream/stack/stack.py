"""The stack: starts what is missing of Kafka, PostgreSQL and Redis, knows where they answer, stops what it started."""

import os
import signal
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen
from types import TracebackType
from typing import Any, Self

from tailstream.stack.addresses import VARIABLES, Addresses, check_given, given_addresses
from tailstream.stack.cache import locked
from tailstream.stack.embedded import embedded_servers
from tailstream.stack.errors import RunDirectoryError, StackError
from tailstream.stack.guard import dismiss_guard, start_guard
from tailstream.stack.jars import Progress
from tailstream.stack.processes import MARK, Identity, memory_mb, start
from tailstream.stack.run import Member, Record, Run, open_run, runs_lock, standing_directory
from tailstream.stack.server import Server, Started, check_port
from tailstream.stack.sweep import clear, sweep

PARTITIONS_VARIABLE = "TAILSTREAM_PARTITIONS"
_PARTITIONS = 4
_BROKERS_ALLOWED = (1, 3)
_START_SECONDS_MAX = 90.0


def _say_nothing(message: str) -> None:
    del message


class Stack:
    """Kafka, PostgreSQL and Redis for this machine; a context manager that stops them at its end.

    Addresses in the environment (``TAILSTREAM_KAFKA``, ``TAILSTREAM_POSTGRES``, ``TAILSTREAM_REDIS``) are used as they
    are: such a server is neither started nor stopped. When the owning process dies without :meth:`stop`, even by
    kill -9, a guard process clears the run; when that is killed too, the next start does.

    Make one with :meth:`start` or :meth:`find`.
    """

    def __init__(self, run: Run, guard: "Popen[bytes] | None" = None) -> None:
        self.run = run
        self._guard = guard
        self._servers: dict[str, Server] = {}
        self._processes: dict[str, Popen[bytes]] = {}
        self._writing = threading.Lock()

    @classmethod
    def start(
        cls,
        run_directory: Path | None = None,
        *,
        brokers: int = 1,
        docker: bool = False,
        keep: bool = False,
        progress: Progress = _say_nothing,
    ) -> Self:
        """Start what is missing and return when everything answers and the topics exist.

        Parameters
        ----------
        run_directory : Path, optional
            Where everything is written; a new one in the user's cache when None. It is removed at the end.
        brokers : int
            1, or 3 for tests of fail-over.
        docker : bool
            Run the servers as Docker containers.
        keep : bool
            Leave the data in ``run_directory``; a later start there goes on with them.
        progress : callable
            Told in a line what happens.

        Raises
        ------
        StackError
            See :mod:`tailstream.stack.errors`; nothing is left running.
        """
        partitions = _partitions()
        if brokers not in _BROKERS_ALLOWED:
            raise StackError(f"brokers: expected one of {_BROKERS_ALLOWED}, was {brokers}")
        with locked(runs_lock()):
            sweep(progress)
            run = open_run(run_directory, brokers=brokers, partitions=partitions, keep=keep)
        stack = cls(run)
        try:
            stack._guard = start_guard(run)
            stack._bring_up(docker, progress)
        except OSError as error:
            stack.stop()
            raise RunDirectoryError(f"{run.path}: expected to start a stack there, was: {error}") from error
        except BaseException:
            stack.stop()
            raise
        return stack

    @classmethod
    def find(cls, run_directory: Path | None = None) -> "Stack | None":
        """The stack in ``run_directory`` (the one that ``tailstream stack up`` left, when None), or None.

        It may have lost processes, or all: see :attr:`is_running`.
        """
        run = Run.read((run_directory or standing_directory()).absolute())
        return cls(run) if run and run.record.members + run.record.containers else None

    @property
    def addresses(self) -> Addresses:
        """Where the three answer, once the stack is up."""
        return Addresses(**self.run.record.addresses)

    @property
    def is_running(self) -> bool:
        """Whether the stack is up and every process and container that it started still runs."""
        is_up = self.run.record.addresses.keys() == VARIABLES.keys()
        return is_up and all(row["running"] for row in self.processes())

    def processes(self) -> list[dict[str, Any]]:
        """Name, port, and whether it runs, of everything that the stack started; pid and memory where it is a process.

        ``memory_mb`` is what is resident, in MB.
        """
        record = self.run.record
        return [_process_row(member) for member in record.members] + _container_rows(record)

    def spawn(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> "Popen[bytes]":
        """Start a process that uses the stack: told the addresses, logged in the run directory, ended with the stack.

        ``environment`` comes on top of this process's and of the addresses. A name that is used again replaces the
        former process of that name, which must have ended, in the record.
        """
        told = {**self.addresses.env(), **(environment or {})}
        return self._launch(name, command, told, stop_signal=stop_signal)

    def create_topics(self, *, prefix: str = "", partitions: int | None = None) -> None:
        """Create every topic of the system that is missing, each name with ``prefix`` before it."""
        from tailstream.stack.topics import create_topics  # Kafka's client, which the guard does not need

        record = self.run.record
        create_topics(
            self.addresses.kafka,
            prefix=prefix,
            partitions=partitions or record.partitions,
            replication_factor=record.brokers,
        )

    def delete_topics(self, *, prefix: str) -> None:
        """Delete every topic whose name begins with ``prefix``, which must not be empty."""
        from tailstream.stack.topics import delete_topics  # as above

        delete_topics(self.addresses.kafka, prefix=prefix)

    def kill_broker(self, number: int = 1) -> None:
        """Kill -9 one broker, as an outage would.

        Raises
        ------
        StackError
            When this object started no such broker.
        """
        process = self._processes[self._broker(number).name]
        process.kill()
        process.wait()

    def start_broker(self, number: int = 1) -> None:
        """Start a killed broker again, on its port and its data, and wait until it answers.

        Raises
        ------
        StackError
            When this object started no such broker, its port is taken, or it does not come up.
        """
        self._start_server(self._broker(number)).await_answer(within_seconds=_START_SECONDS_MAX)

    def detach(self) -> None:
        """Leave the stack running when this process ends; :meth:`find` finds it again."""
        self.run.save(owner=None)
        self._dismiss_guard()

    def stop(self) -> None:
        """Stop everything the stack started, and remove the run directory unless it is kept."""
        clear(self.run)
        for process in self._processes.values():
            process.wait()
        self._dismiss_guard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _broker(self, number: int) -> Server:
        name = f"kafka-{number}"
        if name not in self._servers:
            raise StackError(f"{name}: expected a broker started here, have {sorted(self._servers) or 'none'}")
        return self._servers[name]

    def _bring_up(self, docker: bool, progress: Progress) -> None:
        given = given_addresses()
        missing = [server for server in VARIABLES if server not in given]
        for server, address in given.items():
            check_given(server, address)
            progress(f"{server} is the one that {VARIABLES[server]} names")
        found = self._bring_up_containers(missing, progress) if docker else self._bring_up_servers(missing, progress)
        self.run.save(addresses={**given, **found})
        if "kafka" in missing:
            progress("creating the topics")
            self.create_topics()

    def _bring_up_servers(self, missing: Collection[str], progress: Progress) -> dict[str, str]:
        embedded = embedded_servers(self.run, missing, progress)
        progress(f"starting {', '.join(server.name for server in embedded.servers)}")
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda server: server.prepare(), embedded.servers))
        begun = time.monotonic()
        for started in [self._start_server(server) for server in embedded.servers][::-1]:  # Kafka, the slowest, last
            started.await_answer(within_seconds=_START_SECONDS_MAX)
            progress(f"{started.server.name} answers after {time.monotonic() - begun:.1f} s")
        return embedded.addresses

    def _bring_up_containers(self, missing: Collection[str], progress: Progress) -> dict[str, str]:
        from tailstream.stack.containers import start_containers  # Docker's client is for those who use Docker

        return start_containers(self.run, missing, progress, within_seconds=_START_SECONDS_MAX)

    def _start_server(self, server: Server) -> Started:
        check_port(server)
        self._servers[server.name] = server
        log = self.run.log(server.name)
        log_begins = log.stat().st_size if log.exists() else 0
        process = self._launch(
            server.name, server.command(), {}, stop_signal=server.stop_signal, port=server.port, is_server=True
        )
        return Started(server, process, log, log_begins)

    def _launch(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        stop_signal: signal.Signals,
        port: int | None = None,
        is_server: bool = False,
    ) -> "Popen[bytes]":
        marked = {**environment, MARK: self.run.record.run_id}
        with self._writing:
            process = start(command, directory=self.run.path, log=self.run.log(name), environment=marked)
            self._processes[name] = process
            identity = Identity.of(process.pid)
            self.run.add(Member(name=name, identity=identity, stop_signal=stop_signal, port=port, is_server=is_server))
        return process

    def _dismiss_guard(self) -> None:
        if self._guard:
            dismiss_guard(self._guard)
            self._guard = None


def _process_row(member: Member) -> dict[str, Any]:
    process = member.identity.living()
    return {
        "name": member.name,
        "running": process is not None,
        "pid": member.identity.pid,
        "port": member.port,
        "memory_mb": process and memory_mb(process),
    }


def _container_rows(record: Record) -> list[dict[str, Any]]:
    if not record.containers:
        return []
    from tailstream.stack.containers import running_containers  # Docker's client is for those who use Docker

    running = running_containers(record.run_id)
    return [
        {"name": each.name, "running": each.container_id in running, "container": each.container_id, "port": each.port}
        for each in record.containers
    ]


def _partitions() -> int:
    given = os.environ.get(PARTITIONS_VARIABLE, str(_PARTITIONS))
    if not given.isdecimal() or int(given) < 1:
        raise StackError(f"{PARTITIONS_VARIABLE}: expected a whole number from 1, was {given!r}")
    return int(given)
