"""Structured logs on stderr: one JSON object a line, or colours for people."""

import logging
import sys

import structlog
from structlog.typing import Processor

from tailstream.runtime.settings import ServiceSettings

_NOISY = ("aiokafka", "faststream", "uvicorn", "kafka")


class _OncePerInterval(logging.Filter):
    """Lets one line of a message's form through per second: a lost broker makes thousands of them."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        fresh = record.created - self._last.get(str(record.msg), 0.0) >= 1.0
        if fresh:
            self._last[str(record.msg)] = record.created
        return fresh


def configure(service: str, settings: ServiceSettings) -> None:
    """Send all logs, the libraries' too, to stderr in one form, with the service and replica bound."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer))
    handler.addFilter(_OncePerInterval())
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service, replica=settings.replica)
