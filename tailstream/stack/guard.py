"""The guard: a small process that clears a run when its owner dies without having stopped it, even by kill -9.

``python -m tailstream.stack.guard RUN_DIRECTORY`` reads its standard input, whose other end the owner alone holds, and
acts when that closes. It is told nothing: a run that was stopped is gone from the disk, a detached one says so there.
"""

import sys
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen

from tailstream.stack.cache import locked
from tailstream.stack.run import Run, runs_lock
from tailstream.stack.sweep import clear


def start_guard(run: Run) -> "Popen[bytes]":
    """Guard ``run`` from now on, until the returned process's standard input is closed or its holder ends."""
    with run.log("guard").open("ab") as log:
        return Popen(
            [sys.executable, "-m", "tailstream.stack.guard", str(run.path)],
            stdin=PIPE,
            stdout=log,
            stderr=STDOUT,
            start_new_session=True,
        )


def dismiss_guard(guard: "Popen[bytes]") -> None:
    """Let the guard go; it clears the run first when it is neither stopped nor detached."""
    if guard.stdin:
        guard.stdin.close()
    guard.wait()


def _watch(directory: Path) -> None:
    sys.stdin.buffer.read()
    with locked(runs_lock()):
        run = Run.read(directory)
        if run is not None and run.record.owner is not None:
            clear(run)


if __name__ == "__main__":
    _watch(Path(sys.argv[1]))
