"""Processes that may outlive whoever started them: who they are, and how they end."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen

import psutil
from pydantic import BaseModel, ConfigDict

# Every process of a run carries the run's id in this variable: a process that was started but not yet written down
# when its starter was killed is found by it.
MARK = "TAILSTREAM_RUN"
_POLL_SECONDS = 0.02
# The start time is computed from the machine's clock, which may be set by a little between two readings.
_SAME_START_SECONDS = 2.0


class Identity(BaseModel):
    """One process for ever: pids are used again, a pid together with its start time is not."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Identity":
        """The identity of the process that has ``pid`` now."""
        return cls(pid=pid, started=psutil.Process(pid).create_time())

    def living(self) -> psutil.Process | None:
        """The process, or None when it has ended (a zombie has)."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) <= _SAME_START_SECONDS
        except psutil.Error:
            return None
        return process if same and is_alive(process) else None


def is_alive(process: psutil.Process) -> bool:
    """Whether ``process`` still runs; one that only waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def memory_mb(process: psutil.Process) -> int | None:
    """What of ``process`` is resident, in MB; None when it ended just now."""
    try:
        return round(process.memory_info().rss / 1e6)
    except psutil.Error:
        return None


def start(command: Sequence[str], *, directory: Path, log: Path, environment: dict[str, str]) -> Popen[bytes]:
    """Start ``command`` in a session of its own, so that a Ctrl-C at the terminal is not its business.

    Output and errors are appended to ``log``; ``environment`` is added to this process's.
    """
    with log.open("ab") as output:
        return Popen(
            command,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
            start_new_session=True,
        )


def marked(run_id: str) -> list[psutil.Process]:
    """The living processes that carry the mark of the run."""
    return [process for process in psutil.process_iter() if _mark(process) == run_id and is_alive(process)]


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None  # somebody else's, or gone


def end(processes: Mapping[psutil.Process, signal.Signals], *, within_seconds: float) -> None:
    """Send each process its signal and wait until all are gone; what is left after ``within_seconds`` is killed."""
    left = {process: how for process, how in processes.items() if is_alive(process)}
    for how_far in (left, dict.fromkeys(left, signal.SIGKILL)):
        _signal(how_far)
        if until(lambda: not any(map(is_alive, left)), within_seconds=within_seconds):
            return


def _signal(processes: Mapping[psutil.Process, signal.Signals]) -> None:
    for process, how in processes.items():
        with suppress(psutil.NoSuchProcess):
            process.send_signal(how)


def until(condition: Callable[[], bool], *, within_seconds: float) -> bool:
    """Wait until ``condition`` holds; False when it still does not after ``within_seconds``."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
