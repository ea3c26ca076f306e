"""A run: one directory that holds everything a stack writes, and the record of what it started."""

import os
import shutil
import signal
import tempfile
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tailstream.stack.cache import cache_directory, writable_directory
from tailstream.stack.errors import AlreadyRunning, RunDirectoryError
from tailstream.stack.processes import Identity, marked

RECORD = "run.json"
FREE_BYTES_MIN = 500_000_000


def _cluster_id() -> str:
    """A random id as Kafka writes it, never beginning with a dash: its tools would take that for an option."""
    return urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")


class Member(BaseModel):
    """A process that the run started, and the signal that stops it."""

    model_config = ConfigDict(frozen=True)

    name: str
    identity: Identity
    stop_signal: signal.Signals
    port: int | None = None
    is_server: bool = False
    """Servers stop after everything that uses them."""


class Container(BaseModel):
    """A Docker container that the run started."""

    model_config = ConfigDict(frozen=True)

    name: str
    container_id: str
    port: int


class Record(BaseModel):
    """What ``run.json`` says; a directory without it is none of ours."""

    model_config = ConfigDict(frozen=True)

    run_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    cluster_id: str = Field(default_factory=_cluster_id)
    password: str = Field(default_factory=lambda: uuid.uuid4().hex)
    """Of PostgreSQL's superuser and of Redis: other users of the machine can reach the ports, not the data."""
    brokers: int
    partitions: int
    keep: bool
    """Whether the data stay when the stack stops."""
    owner: Identity | None
    """The process whose end ends the run; None when the run is detached, and for a kept one at rest."""
    uses_docker: bool = False
    addresses: dict[str, str] = {}
    members: tuple[Member, ...] = ()
    containers: tuple[Container, ...] = ()


class Run:
    """A run directory with its record; every change of the record is on disk before the call returns."""

    def __init__(self, path: Path, record: Record) -> None:
        self.path = path
        self.record = record

    @classmethod
    def read(cls, path: Path) -> "Run | None":
        """The run in ``path``, or None when there is none (any more).

        Raises
        ------
        RunDirectoryError
            When its record cannot be read.
        """
        try:
            return cls(path, Record.model_validate_json((path / RECORD).read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValidationError) as error:
            raise RunDirectoryError(f"{path / RECORD}: expected the record of a run, was: {error}") from error

    def save(self, **changes: object) -> None:
        """Change the record, here and on disk."""
        self.record = self.record.model_copy(update=changes)
        partial = self.path / f"{RECORD}.partial"
        partial.touch(mode=0o600)
        partial.write_text(self.record.model_dump_json(indent=2))
        partial.replace(self.path / RECORD)

    def add(self, member: Member) -> None:
        """Write down a process that was just started, in place of an earlier one of its name."""
        others = (known for known in self.record.members if known.name != member.name)
        self.save(members=(*others, member))

    def log(self, name: str) -> Path:
        """The log file of the process called ``name``."""
        return self.path / "logs" / f"{name}.log"

    def processes(self) -> list[psutil.Process]:
        """Every living process of the run: those written down, and those whose starter was killed before it could."""
        known = [member.identity.living() for member in self.record.members]
        return list({process for process in known if process} | set(marked(self.record.run_id)))

    def is_owned(self) -> bool:
        """Whether a living process answers for the run."""
        return self.record.owner is not None and self.record.owner.living() is not None

    def is_alive(self) -> bool:
        """Whether anything that the run started still runs (containers count until they are removed)."""
        return bool(self.record.containers) or any(member.identity.living() for member in self.record.members)


def runs_directory() -> Path:
    """Where runs are found: a directory, or a link to one, for each."""
    return writable_directory(cache_directory() / "runs")


def runs_lock() -> Path:
    """The lock to hold while runs are made or cleared."""
    return runs_directory() / ".lock"


def standing_directory() -> Path:
    """The run directory of the stack that ``tailstream stack up`` leaves running."""
    return runs_directory() / "standing"


def open_run(directory: Path | None, *, brokers: int, partitions: int, keep: bool) -> Run:
    """Make a run in ``directory`` (a new one when None), owned by this process.

    The directory of an earlier run that was kept is taken up again with its data. Hold :func:`runs_lock`.

    Raises
    ------
    AlreadyRunning
        When a living stack has the directory.
    RunDirectoryError
        When it cannot be written, is not empty and not of a run, has other brokers, or its disk is full.
    """
    existed = directory is not None and directory.exists()
    path = Path(tempfile.mkdtemp(prefix="run-", dir=runs_directory())) if directory is None else directory.absolute()
    try:
        run = _take(path, Record(brokers=brokers, partitions=partitions, keep=keep, owner=Identity.of(os.getpid())))
    except BaseException:
        if not existed:
            shutil.rmtree(path, ignore_errors=True)
        raise
    _link(run)
    return run


def _take(path: Path, record: Record) -> Run:
    _check_is_ours(path)
    writable_directory(path)
    _check_room(path)
    earlier = _earlier(path, record)
    for name in ("logs", "tmp"):
        writable_directory(path / name)
    run = Run(path, earlier or record)
    run.save(owner=record.owner, keep=record.keep, partitions=record.partitions)
    return run


def _check_is_ours(path: Path) -> None:
    if path.is_dir() and any(path.iterdir()) and not (path / RECORD).exists():
        raise RunDirectoryError(f"{path}: expected an empty directory or one of an earlier run, has other files")


def _check_room(path: Path) -> None:
    free = shutil.disk_usage(path).free
    if free < FREE_BYTES_MIN:
        raise RunDirectoryError(
            f"{path}: expected {FREE_BYTES_MIN / 1e6:.0f} MB of free disk for a stack, was {free / 1e6:.0f} MB"
        )


def _earlier(path: Path, wanted: Record) -> Record | None:
    run = Run.read(path)
    if run is None:
        return None
    if run.is_owned() or run.is_alive():
        raise AlreadyRunning(f"{path}: expected no running stack, was one; `tailstream stack down` stops it")
    if run.record.brokers != wanted.brokers:
        raise RunDirectoryError(f"{path}: expected {run.record.brokers} brokers as in its data, was {wanted.brokers}")
    return run.record


def _link(run: Run) -> None:
    """Let the next start find a run that lives elsewhere."""
    if run.path.parent != runs_directory():
        link = runs_directory() / run.record.run_id
        link.unlink(missing_ok=True)
        link.symlink_to(run.path)


def remove(run: Run) -> None:
    """Remove the directory of a run whose processes have ended, or only its record of them when the data are kept."""
    if run.record.keep:
        run.save(owner=None, members=(), containers=(), uses_docker=False, addresses={})
    else:
        shutil.rmtree(run.path, ignore_errors=True)
    if run.path.parent != runs_directory():
        (runs_directory() / run.record.run_id).unlink(missing_ok=True)
