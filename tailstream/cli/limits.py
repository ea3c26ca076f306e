"""``tailstream limits``: limits as code, submitted as commands and answered by their outcomes."""

import asyncio
import getpass
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from contracts.limits import Limit, LimitCommandDecided, LimitCommandIssued
from contracts.portfolio import PortfolioDefined
from contracts.topics import COMMANDS, DEFINITIONS, OUTCOMES
from tailstream.cli.answers import Json, print_document, print_table
from tailstream.cli.limit_rules import Rules, WrongRules
from tailstream.runtime.admin import find_topics
from tailstream.runtime.decoding import decode
from tailstream.runtime.errand import answered, bus_settings
from tailstream.runtime.errors import ConfigurationError, TailstreamError
from tailstream.runtime.outlets import Outlet
from tailstream.runtime.records import Emission, Shard, emission, partition_of
from tailstream.runtime.restore import end_offset, read_back
from tailstream.runtime.settings import ServiceSettings

app = typer.Typer(help="Limits as code.", no_args_is_help=True)

OUTCOME_SECONDS_MAX = 30.0
_POLL_SECONDS = 0.1


class NoOutcome(TailstreamError):
    """Commands were not decided in time; nothing says whether they will be."""


@app.callback()
def _limits() -> None:
    """Limits as code."""


@app.command()
def apply(
    file: Annotated[str, typer.Argument(help="A YAML file of rules; - reads it here.")],
    as_json: Json = False,
    seconds: Annotated[float, typer.Option(min=1, help="How long to wait for the outcomes.")] = OUTCOME_SECONDS_MAX,
) -> None:
    """Define every limit of the file on the portfolios that are defined, and tell what became of each; exit 1 when one
    was rejected. A limit that is as it was stays as it is."""
    bus = bus_settings()
    outcomes = answered(bus.kafka, apply_rules(bus, read_rules(file), seconds_max=seconds))
    rejected = [outcome for outcome in outcomes if outcome.outcome == "rejected"]
    if as_json:
        print_document([outcome.model_dump(mode="json") for outcome in outcomes])
    else:
        columns = ("portfolio", "limit", "version", "outcome", "reason", "message")
        print_table(
            columns, ((o.portfolio_id, o.limit_id, o.version, o.outcome, o.reason, o.message) for o in outcomes)
        )
    if rejected:
        raise typer.Exit(1)


def read_rules(file: str) -> Rules:
    """The rules of a file, or of standard input for ``-``.

    Raises
    ------
    WrongRules
        When it cannot be read, naming what is wrong.
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongRules(f"{file}: expected a YAML file: {error}") from error
    return Rules.from_yaml(text, name=file)


async def apply_rules(settings: ServiceSettings, rules: Rules, *, seconds_max: float) -> list[LimitCommandDecided]:
    """Submit the rules' limits as commands and return their outcomes, in the order of the limits.

    Raises
    ------
    WrongRules
        When a rule cannot be applied to the portfolios that are defined; no command was submitted.
    NoOutcome
        When some were not decided in time.
    """
    partitions = await _partitions(settings)
    commands = [_command(limit) for limit in rules.limits_on(await _defined(settings, partitions))]
    begins = {shard: await end_offset(settings, shard) for shard in _shards(commands, partitions)}
    await _submit(settings, partitions, [_emission(command) for command in commands])
    try:
        return await asyncio.wait_for(_outcomes(settings, commands, begins), seconds_max)
    except TimeoutError:
        raise NoOutcome(
            f"expected {len(commands)} outcomes on {OUTCOMES.name} within {seconds_max:.0f} s: is limits running?"
        ) from None


async def _partitions(settings: ServiceSettings) -> int:
    found = await find_topics(settings.kafka, prefix=settings.topic_prefix)
    if missing := [topic.name for topic in (DEFINITIONS, COMMANDS, OUTCOMES) if topic.name not in found]:
        raise ConfigurationError(f"{missing}: expected these topics, with prefix {settings.topic_prefix!r}")
    return found[COMMANDS.name].partitions


async def _defined(settings: ServiceSettings, partitions: int) -> Mapping[str, PortfolioDefined]:
    """The portfolios that are defined and not closed."""
    newest: dict[str, PortfolioDefined] = {}
    for partition in range(partitions):
        arrivals, _refused = decode(await read_back(settings, Shard(DEFINITIONS.name, partition)), partitions)
        for arrival in arrivals:
            if isinstance(arrival.event, PortfolioDefined):
                newest[arrival.key] = arrival.event
            else:
                newest.pop(arrival.key, None)
    return newest


def _command(limit: Limit) -> LimitCommandIssued:
    return LimitCommandIssued(
        command="define_limit",
        idempotency_key=f"apply {uuid.uuid4()}",
        portfolio_id=limit.portfolio_id,
        issued_by=getpass.getuser(),
        issued_at=datetime.now(UTC),
        limit=limit,
    )


def _emission(command: LimitCommandIssued) -> Emission:
    return emission(COMMANDS, command, key=command.portfolio_id, portfolio_id=command.portfolio_id)


def _shards(commands: Iterable[LimitCommandIssued], partitions: int) -> list[Shard]:
    return [Shard(OUTCOMES.name, p) for p in sorted({partition_of(c.portfolio_id, partitions) for c in commands})]


async def _submit(settings: ServiceSettings, partitions: int, emissions: Sequence[Emission]) -> None:
    outlet = Outlet(settings, "cli", partitions=lambda: partitions)
    await outlet.start()
    try:
        await outlet.publish(emissions)
    finally:
        await outlet.stop()


async def _outcomes(
    settings: ServiceSettings, commands: Sequence[LimitCommandIssued], begins: Mapping[Shard, int]
) -> list[LimitCommandDecided]:
    outcomes: dict[str, LimitCommandDecided] = {}
    wanted = [command.idempotency_key for command in commands]
    while not outcomes.keys() >= set(wanted):
        for shard, begin in begins.items():
            for record in await read_back(settings, shard, start=begin):
                outcome = LimitCommandDecided.from_json(record.value or b"")
                outcomes[outcome.idempotency_key] = outcome
        await asyncio.sleep(_POLL_SECONDS)
    return [outcomes[key] for key in wanted]
