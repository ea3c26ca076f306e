"""What a broker has of the table of topics: partitions, policies and offsets."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from contracts.topics import TOPICS


class TopicHeld(NamedTuple):
    """A topic as the broker holds it; offsets by partition."""

    partitions: int
    config: Mapping[str, str]
    """Every setting, as Kafka names them."""
    begins: Sequence[int]
    ends: Sequence[int]

    @property
    def offsets(self) -> int:
        """How many offsets it spans: records, what compaction took out of them, and the marks of transactions."""
        return sum(self.ends) - sum(self.begins)


async def take_inventory(bootstrap: str, *, prefix: str = "") -> dict[str, TopicHeld]:
    """The topics of the table that the broker has, by logical name.

    Raises
    ------
    aiokafka.errors.KafkaError
        When the broker does not answer.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id="tailstream-inventory")
    try:
        await admin.start()
        described = {row["topic"]: len(row["partitions"]) for row in await admin.describe_topics()}
        widths = {name: described[name] for topic in TOPICS if (name := prefix + topic.name) in described}
        configs = await _configs(admin, list(widths))
    finally:
        await admin.close()
    begins, ends = await _offsets(bootstrap, widths)
    return {
        name.removeprefix(prefix): TopicHeld(width, configs[name], begins[name], ends[name])
        for name, width in widths.items()
    }


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
    if not names:
        return {}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    return {
        resource["resource_name"]: {
            entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]
        }
        for answer in answers
        for resource in answer.to_object()["resources"]
    }


Offsets = dict[str, list[int]]


async def _offsets(bootstrap: str, widths: Mapping[str, int]) -> tuple[Offsets, Offsets]:
    if not widths:
        return {}, {}
    where = [TopicPartition(name, partition) for name, width in widths.items() for partition in range(width)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, isolation_level="read_committed")
    try:
        await consumer.start()
        begins, ends = await consumer.beginning_offsets(where), await consumer.end_offsets(where)
    finally:
        await consumer.stop()
    return _by_topic(widths, begins), _by_topic(widths, ends)


def _by_topic(widths: Mapping[str, int], found: Mapping[TopicPartition, int]) -> Offsets:
    return {
        name: [int(found[TopicPartition(name, partition)]) for partition in range(width)]
        for name, width in widths.items()
    }
