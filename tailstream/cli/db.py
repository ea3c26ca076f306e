"""``tailstream db``: the database's schema, as the numbered SQL files of ``deploy/migrations`` make it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import psycopg
import typer
import yoyo

import tailstream
from tailstream.runtime.errors import TailstreamError

app = typer.Typer(help="The database's schema.", no_args_is_help=True)

Postgres = Annotated[
    str, typer.Option("--postgres", envvar="TAILSTREAM_POSTGRES", help="postgresql://user:password@host:port/database")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

SCHEMES = ("postgresql", "postgres")
CONNECT_SECONDS_MAX = 10
_ONE_AT_A_TIME = "select pg_advisory_lock(hashtext('tailstream migrations'))"


class MigrationFailed(TailstreamError):
    """The database could not be reached or brought up to date."""


@app.command("migrate")
def migrate_command(postgres: Postgres, as_json: Json = False) -> None:
    """Bring the database up to date; nothing to do is fine, and so are several at once."""
    applied = migrate(postgres)
    if as_json:
        typer.echo(json.dumps({"applied": applied}))
    else:
        typer.echo("\n".join(f"applied {name}" for name in applied) or "up to date")


@app.command("check")
def check_command(postgres: Postgres, as_json: Json = False) -> None:
    """Tell whether the database is up to date; exit 1 when it is behind. Changes nothing."""
    missing = pending(postgres)
    if as_json:
        typer.echo(json.dumps({"up_to_date": not missing, "pending": missing}))
    else:
        typer.echo("\n".join(f"pending {name}" for name in missing) or "up to date")
    if missing:
        raise typer.Exit(1)


def migrations_directory() -> Path:
    """Where the SQL is: inside an installed package, or in ``deploy`` of a checkout."""
    package = Path(tailstream.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "deploy" / "migrations"


def migrate(url: str) -> list[str]:
    """Apply what is missing, in order, and return the names of it. Each file is a transaction of its own.

    Raises
    ------
    MigrationFailed
        Naming the address, or the file that the database refused.
    """
    with _connected(url) as guard:
        guard.execute(_ONE_AT_A_TIME)  # ours goes with the connection; yoyo's own lock would outlive a killed process
        missing = _pending(guard)
        try:
            _apply(url)
        except psycopg.Error as error:
            raise MigrationFailed(f"{next(iter(_pending(guard)), 'migrations')}: {error}") from error
    return missing


def pending(url: str) -> list[str]:
    """Names of the migrations that the database has not seen, in order. Changes nothing.

    Raises
    ------
    MigrationFailed
        When the database cannot be reached.
    """
    with _connected(url) as connection:
        return _pending(connection)


def _pending(connection: psycopg.Connection) -> list[str]:
    known = connection.execute("select to_regclass('_yoyo_migration') is not null").fetchone()
    applied = (
        {name for (name,) in connection.execute("select migration_id from _yoyo_migration")}
        if known == (True,)
        else set()
    )
    return [name for name in _names() if name not in applied]


def _names() -> list[str]:
    names = sorted(path.stem for path in migrations_directory().glob("*.sql"))
    if not names:
        raise MigrationFailed(f"{migrations_directory()}: expected numbered SQL files, found none")
    return names


def _apply(url: str) -> None:
    with yoyo.get_backend(urlsplit(url)._replace(scheme="postgresql+psycopg").geturl()) as backend:
        backend.break_lock()
        for migration in backend.to_apply(yoyo.read_migrations(str(migrations_directory()))):
            with backend.transaction():  # yoyo's own way notes it in a second transaction, which a kill may prevent
                migration.process_steps(backend, "apply")
                backend.mark_one(migration)


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise MigrationFailed(f"--postgres: expected postgresql://user:password@host:port/database, was {scheme}://...")
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX)
    except psycopg.OperationalError as error:
        raise MigrationFailed(f"the database does not answer: {str(error).strip()}") from error
    with connection:
        yield connection
