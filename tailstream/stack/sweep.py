"""Stopping a run, whoever started it, and clearing what crashed ones left behind."""

import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

from tailstream.stack.errors import RunDirectoryError
from tailstream.stack.jars import Progress
from tailstream.stack.processes import end
from tailstream.stack.run import Member, Run, remove, runs_directory

_STOP_SECONDS_MAX = 30.0


def clear(run: Run) -> None:
    """Stop everything that the run started, the users of its servers first, and remove what it left on disk."""
    _end(member for member in run.record.members if not member.is_server)
    _end(member for member in run.record.members if member.is_server)
    end(dict.fromkeys(run.processes(), signal.SIGKILL), within_seconds=_STOP_SECONDS_MAX)
    if run.record.uses_docker:
        from tailstream.stack.containers import remove_containers  # Docker's client is for those who use Docker

        remove_containers(run.record.run_id)
    remove(run)


def _end(members: Iterable[Member]) -> None:
    living = ((member.identity.living(), member.stop_signal) for member in members)
    end({process: how for process, how in living if process}, within_seconds=_STOP_SECONDS_MAX)


def sweep(progress: Progress) -> None:
    """Clear every run whose owner is gone; owned ones and detached living ones stay. Hold the lock of the runs."""
    for path in sorted(runs_directory().iterdir()):
        if not path.name.startswith("."):
            _sweep_one(path, progress)


def _sweep_one(path: Path, progress: Progress) -> None:
    try:
        run = Run.read(path.resolve())
    except RunDirectoryError as error:
        progress(f"left alone: {error}")
        return
    if run is None:
        _discard(path)
    elif not run.is_owned() and not (run.record.owner is None and run.is_alive()):
        progress(f"clearing what a run left in {run.path}")
        clear(run)


def _discard(path: Path) -> None:
    """Remove what is no run: the link to a removed one, or a directory whose maker was killed before the record."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
