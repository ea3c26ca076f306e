"""From a process's first line to its exit code."""

import asyncio
import gc
import sys
from collections.abc import Callable
from typing import TypeVar

import structlog
import uvloop
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tailstream.runtime import logs
from tailstream.runtime.errors import ConfigurationError
from tailstream.runtime.service import Service
from tailstream.runtime.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)
EXIT_CONFIGURATION = 2
_SECRET = ("jwt_secret", "postgres", "redis")


def run(build: Callable[[S], Service], settings_type: type[S], *, name: str) -> None:
    """Run the service that ``build`` makes of its settings until told to stop; exit 2 on settings that cannot work."""
    try:
        settings = settings_type()
    except ValidationError as error:
        print(_explain(error), file=sys.stderr)
        sys.exit(EXIT_CONFIGURATION)
    logs.configure(name, settings)
    collect_garbage_less_often()
    try:
        uvloop.run(_main(build, settings))
    except ConfigurationError as error:
        structlog.get_logger().critical("cannot work as configured", error=str(error))
        sys.exit(EXIT_CONFIGURATION)


def collect_garbage_less_often() -> None:
    """Events are many, short-lived and without cycles: by default collecting takes a seventh of a service's time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _main(build: Callable[[S], Service], settings: S) -> None:
    asyncio.get_running_loop().set_debug(False)
    await build(settings).run()


def _explain(error: ValidationError) -> str:
    """Each setting that is wrong; what came is left out where it may hold a password."""
    return "\n".join(_line(str(e["loc"][0]), e) for e in error.errors() if e["loc"]) or str(error)


def _line(field: str, wrong: ErrorDetails) -> str:
    came = ", was not set" if wrong["type"] == "missing" else f", was {wrong['input']!r}"
    return f"TAILSTREAM_{field.upper()}: {wrong['msg']}" + ("" if field in _SECRET else came)
