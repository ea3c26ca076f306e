"""The whole system on a stack: the database, the topics, five services, the limits, and the source that feeds them."""

import asyncio
import os
import secrets
import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import tailstream
from services.gateway.auth import make_token
from tailstream.cli.db import migrate
from tailstream.cli.fleet import Fleet
from tailstream.cli.limits import apply_rules, read_rules
from tailstream.cli.replicas import SERVICES, Replica
from tailstream.runtime.errors import TailstreamError
from tailstream.runtime.settings import ServiceSettings
from tailstream.stack import Stack

READY_SECONDS_MAX = 180.0
PREPARE_SECONDS_MAX = 120.0
LIMITS_SECONDS_MAX = 60.0
TOKEN_SECONDS = 7 * 86_400

_GATEWAY = {"TAILSTREAM_MESSAGES_PER_SECOND": "1000"}  # a client here subscribes to everything at once

Progress = Callable[[str], None]


class LimitsRefused(TailstreamError):
    """A limit of the demo was rejected."""


def limits_file() -> Path:
    """The demo's limits: inside an installed package, or in ``deploy`` of a checkout."""
    package = Path(tailstream.__file__).parent
    installed = package / "limits" / "demo.yaml"
    return installed if installed.is_file() else package.parent / "deploy" / "limits" / "demo.yaml"


class System:
    """Everything that runs on ``stack``, which ends it with itself.

    ``replay`` are the source's settings by their environment variables; ``environment`` is told to all.
    """

    def __init__(
        self, stack: Stack, *, replay: Mapping[str, str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.stack = stack
        self._secret = secrets.token_urlsafe(32)
        self.environment = {**_GATEWAY, **(environment or {}), "TAILSTREAM_JWT_SECRET": self._secret}
        self.topic_prefix = {**os.environ, **self.environment}.get("TAILSTREAM_TOPIC_PREFIX", "")
        services = [Replica.of(stack, service, environment=self.environment) for service in SERVICES]
        self.gateway = services[SERVICES.index("gateway")]
        self.source = Replica(
            stack, "source-1", ("-m", "tailstream.sources.replay"), environment={**self.environment, **replay}
        )
        self.services = Fleet(services)
        self.all = Fleet([*services, self.source], finishing={self.source.name})
        """With the source, for when it runs."""

    def prepare(self, progress: Progress) -> None:
        """Bring everything to where the first day may begin: services ready, history and books on the bus.

        Raises
        ------
        TailstreamError
            When something does not come up.
        """
        migrate(self.stack.addresses.postgres)
        self.stack.create_topics(prefix=self.topic_prefix)
        self.services.start()
        progress("publishing the books and the closes before the first day")
        self.source.start(TAILSTREAM_REPLAY_PREPARE="true")
        self.services.await_ready(within_seconds=READY_SECONDS_MAX)
        progress(f"{', '.join(SERVICES)} are ready")
        self.source.succeed(within_seconds=PREPARE_SECONDS_MAX)
        progress(f"{self._define_limits()} limits are defined")

    def _define_limits(self) -> int:
        settings = self.settings("demo")
        outcomes = asyncio.run(apply_rules(settings, read_rules(str(limits_file())), seconds_max=LIMITS_SECONDS_MAX))
        refused = [outcome.message for outcome in outcomes if outcome.outcome == "rejected"]
        if refused:
            raise LimitsRefused(f"{limits_file()}: expected every limit to be accepted, was: {'; '.join(refused[:3])}")
        return len(outcomes)

    def settings(self, name: str) -> ServiceSettings:
        """How this process, as ``name``, finds the system's bus."""
        return ServiceSettings(kafka=self.stack.addresses.kafka, topic_prefix=self.topic_prefix, replica=name)

    @property
    def websocket_url(self) -> str:
        """Where clients connect."""
        return f"{self.gateway.url.replace('http', 'ws', 1)}/ws/v1"

    def token(self) -> str:
        """A token that shows everything."""
        return make_token(self._secret, "demo", ["viewer", "operator"], "*", TOKEN_SECONDS, time.time())

    def attach_file(self) -> Path:
        """A file of the run directory that tells a shell where all of it is, with a token; for this user alone."""
        told = {
            **self.stack.addresses.env(),
            "TAILSTREAM_TOPIC_PREFIX": self.topic_prefix,
            "TAILSTREAM_URL": self.websocket_url,
            "TAILSTREAM_TOKEN": self.token(),
        }
        file = self.stack.run.path / "attach.env"
        file.touch(mode=0o600)
        file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in told.items()))
        return file

    def log_directory(self) -> Path:
        """Where each process logs."""
        return self.stack.run.log("any").parent
