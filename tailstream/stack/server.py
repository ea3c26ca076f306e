"""What a server of the stack is to the code that starts it, and starting one."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import STDOUT, CalledProcessError, Popen, check_output
from typing import Protocol

from tailstream.stack.errors import PortTaken, RunDirectoryError, ServerFailed, StackError
from tailstream.stack.ports import HOST, is_free
from tailstream.stack.processes import MARK, until
from tailstream.stack.run import Run

_LOG_LINES = 15


class Server(Protocol):
    """A server: how its data are made, how it is run, and whether it answers."""

    @property
    def name(self) -> str:
        """Of its process, its log and its part of the run directory."""

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""

    @property
    def stop_signal(self) -> signal.Signals:
        """The signal that stops it fast enough and without leaving anything behind."""

    def prepare(self) -> None:
        """Write the configuration, and the empty data when there are none yet."""

    def command(self) -> Sequence[str]:
        """The command that runs it in the foreground."""

    def answers(self, said: str) -> bool:
        """Whether it does its work by now; ``said`` is its log since it was started."""


@dataclass(frozen=True)
class Started:
    """A server with its process, and where in its log this start begins."""

    server: Server
    process: Popen[bytes]
    log: Path
    log_begins: int

    def said(self) -> str:
        """The log since the start."""
        with self.log.open("rb") as log:
            log.seek(self.log_begins)
            return log.read().decode(errors="replace")

    def await_answer(self, *, within_seconds: float) -> None:
        """Wait until the server answers.

        Raises
        ------
        PortTaken
            When it found another program on its port.
        ServerFailed
            When it ends, or does not answer in time; with the end of its log.
        RunDirectoryError
            When the disk is full.
        """
        if not until(self._has_answered_or_ended, within_seconds=within_seconds):
            raise self._failure(f"did not answer on port {self.server.port} within {within_seconds:.0f} s")
        if self.process.poll() is not None:
            raise self._failure(f"ended with exit code {self.process.returncode}")

    def _has_answered_or_ended(self) -> bool:
        return self.process.poll() is not None or self.server.answers(self.said())

    def _failure(self, what: str) -> StackError:
        said = self.said()
        if "address already in use" in said.lower():
            return port_taken(self.server)
        return _failed(f"{self.server.name} {what}", said)


def check_port(server: Server) -> None:
    """Raise :class:`PortTaken` when another program listens where ``server`` is to."""
    if not is_free(server.port):
        raise port_taken(server)


def port_taken(server: Server) -> PortTaken:
    """The error of a server that finds another program on its port."""
    return PortTaken(f"{server.name}: expected port {server.port} of {HOST} to be free, another program has it")


def run_tool(run: Run, name: str, command: Sequence[str]) -> None:
    """Run a tool to its end; ``name`` says whose it is and what it does, for the error.

    Raises
    ------
    ServerFailed
        With what the tool said, when it fails.
    RunDirectoryError
        When the disk is full.
    """
    try:
        check_output(command, cwd=run.path, stderr=STDOUT, env={**os.environ, MARK: run.record.run_id})
    except CalledProcessError as error:
        said = error.output.decode(errors="replace")
        raise _failed(f"{name} failed with exit code {error.returncode}", said) from error
    except OSError as error:
        raise ServerFailed(f"{name}: {command[0]} cannot be run: {error.strerror}") from error


def _failed(what: str, said: str) -> StackError:
    tail = "".join(f"\n  {line}" for line in said.splitlines()[-_LOG_LINES:])
    if "no space left on device" in said.lower():
        return RunDirectoryError(f"{what}: the disk of the run directory is full; it says:{tail}")
    return ServerFailed(f"{what}; it says:{tail}")
