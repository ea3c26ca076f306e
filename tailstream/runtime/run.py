"""From a process's first line to its exit code."""

import asyncio
import sys
from collections.abc import Callable
from typing import TypeVar

import structlog
import uvloop
from pydantic import ValidationError

from tailstream.runtime import logs
from tailstream.runtime.errors import ConfigurationError
from tailstream.runtime.service import Service
from tailstream.runtime.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)
EXIT_CONFIGURATION = 2


def run(build: Callable[[S], Service], settings_type: type[S], *, name: str) -> None:
    """Run the service that ``build`` makes of its settings until told to stop; exit 2 on settings that cannot work."""
    try:
        settings = settings_type()
    except ValidationError as error:
        sys.exit(_explain(error))
    logs.configure(name, settings)
    try:
        uvloop.run(_main(build, settings))
    except ConfigurationError as error:
        structlog.get_logger().critical("cannot work as configured", error=str(error))
        sys.exit(EXIT_CONFIGURATION)


async def _main(build: Callable[[S], Service], settings: S) -> None:
    asyncio.get_running_loop().set_debug(False)
    await build(settings).run()


def _explain(error: ValidationError) -> str:
    lines = [
        f"TAILSTREAM_{str(e['loc'][0]).upper()}: {e['msg']}, was {e['input']!r}" for e in error.errors() if e["loc"]
    ]
    return "\n".join(lines) or str(error)
