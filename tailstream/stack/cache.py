"""Where the stack keeps what outlives a run: Kafka's jars, and the list of runs."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from tailstream.stack.errors import RunDirectoryError

VARIABLE = "TAILSTREAM_CACHE"


def cache_directory() -> Path:
    """The directory named by ``TAILSTREAM_CACHE``, or ``tailstream`` in the user's cache; made when missing.

    Raises
    ------
    RunDirectoryError
        When it cannot be made or written.
    """
    given = os.environ.get(VARIABLE)
    return writable_directory(Path(given).absolute() if given else user_cache_path("tailstream"))


def writable_directory(path: Path) -> Path:
    """``path``, made when missing, readable by its owner alone when new.

    Raises
    ------
    RunDirectoryError
        When it cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise RunDirectoryError(f"{path}: expected a directory to write to, was: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise RunDirectoryError(f"{path}: expected a directory to write to, was one without the permission")
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` for this process alone; the kernel lets go of it however the process ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
