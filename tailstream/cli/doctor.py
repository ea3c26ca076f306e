"""``tailstream doctor``: what is wrong with this installation, and what to do about it."""

import os
import shutil
import sys
from collections.abc import Callable
from typing import Literal, NamedTuple

import redis
import typer

from services.gateway.auth import SECRET_BYTES_MIN
from tailstream.cli.answers import Json, print_document, print_table
from tailstream.cli.db import pending
from tailstream.cli.topics import check as check_topics
from tailstream.runtime.errand import answered, bus_settings
from tailstream.runtime.errors import TailstreamError
from tailstream.runtime.inventory import take_inventory
from tailstream.stack.cache import cache_directory

app = typer.Typer()

PYTHON_MIN = (3, 11)
FREE_BYTES_MIN = 2 * 1024**3
ANSWER_SECONDS_MAX = 5


class Check(NamedTuple):
    """One thing that was looked at; ``advice`` says what to do where it is wrong."""

    name: str
    status: Literal["ok", "wrong"]
    found: str
    advice: str = ""


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look at everything that the services need; exit 1 when something is wrong."""
    checks = [check() for check in CHECKS]
    if as_json:
        print_document({"ok": all(c.status == "ok" for c in checks), "checks": [c._asdict() for c in checks]})
    else:
        print_table(("check", "status", "found", "what to do"), checks)
    if any(check.status == "wrong" for check in checks):
        raise typer.Exit(1)


def _judge(name: str, good: bool, found: str, advice: str) -> Check:
    return Check(name, "ok", found) if good else Check(name, "wrong", found, advice)


def _unreachable(variable: str) -> str:
    return f'start it and set {variable}; eval "$(tailstream stack up)" does both on this machine'


def _python() -> Check:
    found = sys.version.split()[0]
    return _judge("python", sys.version_info >= PYTHON_MIN, found, "install Python 3.11 or newer")


def _disk() -> Check:
    where = cache_directory()
    free = shutil.disk_usage(where).free
    advice = f"free some: the demo writes up to {FREE_BYTES_MIN / 1024**3:.0f} GiB"
    return _judge("disk", free >= FREE_BYTES_MIN, f"{free / 1024**3:.1f} GiB free in {where}", advice)


def _secret() -> Check:
    size = len(os.environ.get("TAILSTREAM_JWT_SECRET", "").encode())
    advice = (
        f"export TAILSTREAM_JWT_SECRET with {SECRET_BYTES_MIN} random bytes or more; the gateway signs tokens with it"
    )
    return _judge("token secret", size >= SECRET_BYTES_MIN, f"{size} bytes", advice)


def _kafka() -> Check:
    try:
        bus = bus_settings()
        held = answered(bus.kafka, take_inventory(bus.kafka, prefix=bus.topic_prefix))
    except TailstreamError as error:
        return Check("kafka", "wrong", str(error), _unreachable("TAILSTREAM_KAFKA"))
    wrong = [row for row in check_topics(held) if row.differences]
    found = "; ".join(f"{row.topic.name}: {', '.join(row.differences)}" for row in wrong)
    advice = "tailstream topics create makes missing ones; what differs is corrected on the broker"
    return _judge("kafka", not wrong, found or f"{bus.kafka}, {len(held)} topics", advice)


def _database() -> Check:
    url = os.environ.get("TAILSTREAM_POSTGRES")
    if not url:
        return Check("database", "wrong", "TAILSTREAM_POSTGRES is not set", _unreachable("TAILSTREAM_POSTGRES"))
    try:
        missing = pending(url)
    except TailstreamError as error:
        return Check("database", "wrong", str(error), _unreachable("TAILSTREAM_POSTGRES"))
    return _judge("database", not missing, ", ".join(missing) or "up to date", "tailstream db migrate")


def _redis() -> Check:
    url = os.environ.get("TAILSTREAM_REDIS")
    if not url:
        return Check("redis", "wrong", "TAILSTREAM_REDIS is not set", _unreachable("TAILSTREAM_REDIS"))
    try:
        with redis.Redis.from_url(
            url, socket_timeout=ANSWER_SECONDS_MAX, socket_connect_timeout=ANSWER_SECONDS_MAX
        ) as r:
            r.ping()
    except (redis.RedisError, ValueError) as error:
        return Check("redis", "wrong", str(error), _unreachable("TAILSTREAM_REDIS"))
    return Check("redis", "ok", "answers")


CHECKS: tuple[Callable[[], Check], ...] = (_python, _disk, _kafka, _database, _redis, _secret)
