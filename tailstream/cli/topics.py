"""``tailstream topics``: the topics of the bus, against what the table of topics says."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import typer

from contracts.topics import DAY_MS, TOPICS, Layout, Topic
from tailstream.cli.answers import Json, print_document, print_table
from tailstream.runtime.admin import create_topics
from tailstream.runtime.errand import answered, bus_settings
from tailstream.runtime.inventory import TopicHeld, take_inventory

app = typer.Typer(help="The topics of the bus, against what they should be; exit 1 if one is missing or differs.")


class TopicChecked(NamedTuple):
    """A topic of the table, and how the broker's differs."""

    topic: Topic
    held: TopicHeld | None
    differences: tuple[str, ...]

    @property
    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "topic": self.topic.name,
            "event": self.topic.event.__name__,
            "key": self.topic.key,
            "partitions": self.held and self.held.partitions,
            "policy": dict(self.topic.config),
            "records": self.held and self.held.offsets,
            "end_offsets": self.held and list(self.held.ends),
            "differences": list(self.differences),
        }


@app.callback(invoke_without_command=True)
def topics(ctx: typer.Context, as_json: Json = False) -> None:
    """Show every topic: partitions, policy, records. Records count offsets, so the marks of transactions as well."""
    if ctx.invoked_subcommand is not None:
        return
    bus = bus_settings()
    checked = check(answered(bus.kafka, take_inventory(bus.kafka, prefix=bus.topic_prefix)))
    if as_json:
        print_document([row.document for row in checked])
    else:
        print_table(("topic", "event", "partitions", "kept", "records", "differs"), map(_cells, checked))
    if any(row.differences for row in checked):
        raise typer.Exit(1)


@app.command()
def create(
    partitions: Annotated[int, typer.Option(min=1, help="Of each portfolio topic; it can never change.")],
    replication_factor: Annotated[int, typer.Option(min=1, help="Copies of each record.")] = 1,
) -> None:
    """Create the topics that are missing; leave the others alone."""
    bus = bus_settings()
    making = create_topics(
        bus.kafka, prefix=bus.topic_prefix, partitions=partitions, replication_factor=replication_factor
    )
    answered(bus.kafka, making)


def check(held: Mapping[str, TopicHeld]) -> list[TopicChecked]:
    """Every topic of the table, and how the broker's one differs from it."""
    width = _usual_width(held)
    return [TopicChecked(topic, held.get(topic.name), tuple(_differences(topic, held, width))) for topic in TOPICS]


def _usual_width(held: Mapping[str, TopicHeld]) -> int:
    """The number of partitions that most portfolio topics have."""
    widths = [held[t.name].partitions for t in TOPICS if t.layout is Layout.BY_PORTFOLIO and t.name in held]
    return max(widths, key=widths.count, default=1)


def _differences(topic: Topic, held: Mapping[str, TopicHeld], usual_width: int) -> list[str]:
    found = held.get(topic.name)
    if found is None:
        return ["missing"]
    width = 1 if topic.layout is Layout.SINGLE else usual_width
    wrong = [f"partitions: expected {width}, was {found.partitions}"] if found.partitions != width else []
    for name, expected in topic.config.items():
        was = found.config.get(name)
        if set(expected.split(",")) != set((was or "").split(",")):
            wrong.append(f"{name}: expected {expected}, was {was}")
    return wrong


def _cells(row: TopicChecked) -> tuple[object, ...]:
    partitions, records = (row.held.partitions, row.held.offsets) if row.held else (None, None)
    return row.topic.name, row.topic.event.__name__, partitions, _kept(row.topic), records, "; ".join(row.differences)


def _kept(topic: Topic) -> str:
    """How long records stay, in words."""
    newest = "the newest of each key" if topic.compacted else ""
    days = None if topic.retention_ms is None else topic.retention_ms / DAY_MS
    expires = "" if days is None else f"{days:g} day{'s' * (days != 1)}"
    return ", ".join(filter(None, (newest, expires))) or "for ever"
