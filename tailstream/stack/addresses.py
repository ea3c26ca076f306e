"""Where Kafka, PostgreSQL and Redis answer, as the services are told it."""

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from tailstream.stack.errors import AddressSilent
from tailstream.stack.kafka import kafka_answers
from tailstream.stack.postgres import postgres_answers
from tailstream.stack.redis import redis_answers

VARIABLES = {"kafka": "TAILSTREAM_KAFKA", "postgres": "TAILSTREAM_POSTGRES", "redis": "TAILSTREAM_REDIS"}


@dataclass(frozen=True)
class Addresses:
    """The three addresses of a stack.

    ``kafka`` is a bootstrap list (``host:port[,host:port]``), ``postgres`` and ``redis`` are URLs; the URLs of an
    embedded stack carry its password.
    """

    kafka: str
    postgres: str
    redis: str

    def env(self) -> dict[str, str]:
        """The addresses as the environment variables that services read."""
        return {VARIABLES[server]: address for server, address in asdict(self).items()}


def check_given(server: str, address: str) -> None:
    """Ask the server at an address from the environment.

    Raises
    ------
    AddressSilent
        When it does not answer; the message leaves the address's password out.
    """
    answers = {"kafka": kafka_answers, "postgres": postgres_answers, "redis": redis_answers}
    if not answers[server](address):
        raise AddressSilent(
            f"{VARIABLES[server]}: expected a running {server}, nothing answers at {without_password(address)}; "
            "unset the variable to have one started"
        )


def without_password(address: str) -> str:
    """An address as it may be shown."""
    return re.sub(r"(?<=:)[^:@/]*(?=@)", "***", address)


def given_addresses(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The addresses that the environment names, by server; an empty variable names none."""
    return {server: environment[name] for server, name in VARIABLES.items() if environment.get(name)}
