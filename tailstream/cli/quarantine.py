"""``tailstream quarantine``: look at the records that were refused, repair them, put them back."""

import base64
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from pydantic import ValidationError

from contracts.event import Event
from contracts.system import RecordQuarantined
from contracts.topics import BY_NAME, QUARANTINE, Topic
from tailstream.cli.answers import Json, print_document, print_table
from tailstream.runtime.decoding import explain
from tailstream.runtime.errand import answered, bus_settings, put_record
from tailstream.runtime.errors import TailstreamError
from tailstream.runtime.records import Emission, Record, Shard
from tailstream.runtime.restore import read_back

app = typer.Typer(help="Refused records: look, repair, put back.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The refusal's event id, or as much of its beginning as only it has.")]
SHORT_ID = 8
_KEY_FIELDS = {"portfolio": "portfolio_id", "limit": "limit_id", "instrument": "instrument_id"}
"""Where in an event the parts of a key are found, as the table of topics names them."""


class QuarantineRefusal(TailstreamError):
    """What was asked for is not in quarantine, or cannot go back."""


class Refused(NamedTuple):
    """A refused record, and when it was refused."""

    at: datetime
    event: RecordQuarantined

    @property
    def where(self) -> str:
        """Where the record stands on the bus."""
        return f"{self.event.topic}:{self.event.partition}:{self.event.offset}"

    @property
    def value(self) -> bytes | None:
        """The first 64 KiB of the record; None for a tombstone."""
        return None if self.event.value_base64 is None else base64.b64decode(self.event.value_base64)

    @property
    def is_whole(self) -> bool:
        """Whether that is all of it."""
        return len(self.value or b"") == self.event.size_bytes

    @property
    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"refused_at": self.at.isoformat(), **self.event.model_dump(mode="json")}


@app.command("list")
def list_refused(as_json: Json = False) -> None:
    """Show what was refused, the oldest first; each refusal once, however many replicas made it."""
    refused = _read()
    if as_json:
        print_document([each.document for each in refused])
        return
    columns = ("id", "refused at", "by", "topic:partition:offset", "key", "field", "reason")
    print_table(columns, map(_cells, refused))


@app.command()
def show(
    refusal: Id,
    as_json: Json = False,
    only_value: Annotated[bool, typer.Option("--value", help="Only the record's bytes, for a file to repair.")] = False,
) -> None:
    """Show one refusal: why, where, and what the record holds."""
    found = _find(_read(), refusal)
    if only_value:
        sys.stdout.buffer.write(found.value or b"")
    elif as_json:
        print_document({**found.document, "value": _text(found)})
    else:
        for name, value in found.document.items():
            typer.echo(f"{name:>12}  {_text(found) if name == 'value_base64' else value}")


@app.command()
def replay(
    refusal: Id,
    value: Annotated[
        str | None, typer.Option(metavar="FILE", help="The repaired record; - reads it here. [default: as it was]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put a record back onto its topic, under its right key, in its right partition, once it can be read."""
    repaired = None if value is None else _contents(value)
    emission = put_back(_find(_read(), refusal), repaired)
    bus = bus_settings()
    stands = answered(bus.kafka, put_record(bus, "quarantine", emission))
    if as_json:
        print_document({"put_back_as": stands})
    else:
        typer.echo(f"put back as {stands}")


def put_back(refused: Refused, repaired: bytes | None) -> Emission:
    """The record to be published: ``repaired``, or the refused record as it was.

    Raises
    ------
    QuarantineRefusal
        Naming what is still wrong with it.
    """
    topic = BY_NAME.get(refused.event.topic)
    if topic is None:
        raise QuarantineRefusal(f"topic: expected one of the table of topics, was {refused.event.topic}")
    value = _original(refused) if repaired is None else repaired
    try:
        event = topic.event.from_json(value)
    except ValidationError as error:
        raise QuarantineRefusal(f"{refused.where} is not repaired: {explain(error)}") from error
    return Emission(
        topic,
        _key(topic, event) or refused.event.key or "",
        getattr(event, "portfolio_id", None),
        value,
        getattr(event, "event_id", None),
        refused.where,
    )


def once_each(records: Sequence[Record]) -> list[Refused]:
    """The refusals among ``records`` in their order, each once."""
    found: dict[str, Refused] = {}
    for record in records:
        try:
            event = RecordQuarantined.from_json(record.value or b"")
        except ValidationError as error:
            typer.echo(f"{QUARANTINE.name}:0:{record.offset} cannot be read: {explain(error)}", err=True)
            continue
        at = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
        found.setdefault(str(event.event_id), Refused(at, event))
    return list(found.values())


def _read() -> list[Refused]:
    bus = bus_settings()
    return once_each(answered(bus.kafka, read_back(bus, Shard(QUARANTINE.name, 0))))


def _find(refused: Sequence[Refused], beginning: str) -> Refused:
    found = [each for each in refused if str(each.event.event_id).startswith(beginning)]
    if len(found) != 1:
        raise QuarantineRefusal(
            f"ID: expected the beginning of one of {len(refused)} refusals, {beginning!r} is that of {len(found)}"
        )
    return found[0]


def _original(refused: Refused) -> bytes:
    if refused.value is None:
        raise QuarantineRefusal(f"{refused.where} was a tombstone: expected the record to put in its place, by --value")
    if not refused.is_whole:
        raise QuarantineRefusal(
            f"{refused.where} has {refused.event.size_bytes} bytes, of which quarantine keeps the first"
            f" {len(refused.value)}: expected the whole record, by --value"
        )
    return refused.value


def _key(topic: Topic, event: Event) -> str | None:
    """The key that the table of topics asks for; None where it is not made of the event's fields."""
    parts = [getattr(event, _KEY_FIELDS.get(part, part), None) for part in topic.key.split("/")]
    return None if None in parts else "/".join(map(str, parts))


def _contents(name: str) -> bytes:
    try:
        return (sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()).strip()
    except OSError as error:
        raise QuarantineRefusal(f"--value: expected a file to read, was {name}: {error.strerror}") from error


def _text(refused: Refused) -> str | None:
    return None if refused.value is None else refused.value.decode("utf-8", "backslashreplace")


def _cells(refused: Refused) -> tuple[object, ...]:
    event = refused.event
    identity = str(event.event_id)[:SHORT_ID]
    return (
        identity,
        f"{refused.at:%Y-%m-%d %H:%M:%S}",
        event.service,
        refused.where,
        event.key,
        event.field,
        event.reason,
    )
