"""Replicas of services as processes of a stack: started, asked how they are, killed, frozen, stopped, started again."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache

import httpx

from tailstream.runtime.errors import TailstreamError
from tailstream.stack import Stack
from tailstream.stack.ports import HOST, free_ports

SERVICES = ("analytics", "risk", "limits", "recorder", "gateway")
STOP_SECONDS_MAX = 45.0
_READY_POLL_SECONDS = 0.1
_PROBE_SECONDS_MAX = 2.0
_LOG_LINES_SHOWN = 10

_LOCAL = {
    "TAILSTREAM_SESSION_TIMEOUT_MS": "6000",  # a replica that was killed gives up its shards after six seconds
    "TAILSTREAM_HEARTBEAT_INTERVAL_MS": "1000",
    "TAILSTREAM_REBALANCE_TIMEOUT_MS": "20000",
    "TAILSTREAM_STATUS_INTERVAL_SECONDS": "1",
    "OPENBLAS_NUM_THREADS": "1",  # the replicas share few cores
}


@cache
def _http() -> httpx.Client:
    return httpx.Client(timeout=_PROBE_SECONDS_MAX)


class ReplicaFailed(TailstreamError):
    """A replica ended, or did not become what was awaited; the message ends with the end of its log."""


class Replica:
    """One replica of a service, or the source: a process that the stack ends when its own process ends.

    ``name`` names its log file in the run directory; ``url`` is where its probes answer, the same one after a restart.
    """

    def __init__(
        self, stack: Stack, name: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._stack = stack
        self._command = (sys.executable, *command)
        (port,) = free_ports(1)
        self.url = f"http://{HOST}:{port}"
        told = {"TAILSTREAM_REPLICA": name, "TAILSTREAM_HTTP_PORT": str(port)}
        self.environment = {**_LOCAL, **told, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0

    @classmethod
    def of(
        cls, stack: Stack, service: str, *, number: int = 1, environment: Mapping[str, str] | None = None
    ) -> "Replica":
        """The ``number``-th replica of one of the five services."""
        return cls(stack, f"{service}-{number}", ("-m", f"services.{service}"), environment=environment)

    def start(self, **environment: str) -> None:
        """Start the process, once more after it ended; ``environment`` is for this time alone."""
        self.started_at = time.monotonic()
        self._process = self._stack.spawn(self.name, self._command, environment={**self.environment, **environment})

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        return self._running().poll()

    @property
    def pid(self) -> int:
        """The process that runs now, or ran last."""
        return self._running().pid

    def not_ready(self) -> str | None:
        """None when it is ready, else what it waits for, in its own words."""
        try:
            answer = _http().get(f"{self.url}/readyz")
        except httpx.HTTPError as error:
            return f"does not answer: {error}"
        return None if answer.status_code == httpx.codes.OK else answer.text

    def await_ready(self, *, within_seconds: float) -> None:
        """Return when it is ready.

        Raises
        ------
        ReplicaFailed
            When it ends, or is not ready in time.
        """
        deadline = time.monotonic() + within_seconds
        while (reason := self.not_ready()) is not None:
            if self.exit_code is not None:
                raise ReplicaFailed(f"{self.name}: expected it to run, ended with {self.exit_code}\n{self.log_end()}")
            if time.monotonic() > deadline:
                waited = f"expected it ready within {within_seconds:.0f} s, was not: {reason}"
                raise ReplicaFailed(f"{self.name}: {waited}\n{self.log_end()}")
            time.sleep(_READY_POLL_SECONDS)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self._signal(signal.SIGKILL)
        self._running().wait()

    def freeze(self) -> None:
        """Stop it where it is, as a paused machine would (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def stop(self, *, within_seconds: float = STOP_SECONDS_MAX) -> int:
        """Ask it to stop (SIGTERM), wait until it has, and return its exit code.

        Raises
        ------
        ReplicaFailed
            When it did not end in time; it is killed then.
        """
        self._signal(signal.SIGTERM)
        try:
            return self._running().wait(within_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            ended = f"expected it to stop within {within_seconds:.0f} s of SIGTERM, had to be killed"
            raise ReplicaFailed(f"{self.name}: {ended}\n{self.log_end()}") from None

    def wait(self, *, within_seconds: float = STOP_SECONDS_MAX) -> int:
        """Wait until it has ended by itself, and return its exit code."""
        return self._running().wait(within_seconds)

    def succeed(self, *, within_seconds: float) -> None:
        """Return once it has ended by itself with exit code 0.

        Raises
        ------
        ReplicaFailed
            When it ends with another, or still runs after ``within_seconds``.
        """
        try:
            code = self._running().wait(within_seconds)
        except subprocess.TimeoutExpired:
            message = f"{self.name}: expected it to end within {within_seconds:.0f} s, still runs"
            raise ReplicaFailed(f"{message}\n{self.log_end()}") from None
        if code != 0:
            raise ReplicaFailed(f"{self.name}: expected it to end with 0, ended with {code}\n{self.log_end()}")

    def log_end(self) -> str:
        """The last lines of its log."""
        lines = self._stack.run.log(self.name).read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES_SHOWN:])

    def _signal(self, number: signal.Signals) -> None:
        if self._running().poll() is None:
            self._running().send_signal(number)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process
