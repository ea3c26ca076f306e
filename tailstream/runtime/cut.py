"""Where the reference topics end right now: the cut that a closing source writes into each close."""

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.event import Cut
from contracts.topics import ACTIONS, DEFINITIONS, HOLDINGS, INSTRUMENTS, Layout, Topic
from tailstream.runtime.service import Service

_TOPICS = (HOLDINGS, DEFINITIONS, INSTRUMENTS, ACTIONS)


class CutReader:
    """Asks the broker for the last stable offsets; reads no record. One round trip a cut."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._shards: dict[Topic, list[TopicPartition]] = {}
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Connect; the service must know its partitions."""
        self._shards = {topic: self._shards_of(topic) for topic in _TOPICS}
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._service.settings.kafka, enable_auto_commit=False, isolation_level="read_committed"
        )
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None

    async def now(self) -> Cut:
        """The end offsets of holdings, definitions, instruments and actions.

        What was acknowledged before the call lies below them. A later cut is never below an earlier one.

        Raises
        ------
        aiokafka.errors.KafkaError
            When the broker does not answer in time.
        """
        if self._consumer is None:
            raise RuntimeError("the cut reader was not started")
        ends = await self._consumer.end_offsets([shard for shards in self._shards.values() for shard in shards])
        offsets = {topic: tuple(int(ends[shard]) for shard in shards) for topic, shards in self._shards.items()}
        return Cut(
            holdings=offsets[HOLDINGS],
            definitions=offsets[DEFINITIONS],
            instruments=offsets[INSTRUMENTS][0],
            actions=offsets[ACTIONS][0],
        )

    def _shards_of(self, topic: Topic) -> list[TopicPartition]:
        count = 1 if topic.layout is Layout.SINGLE else self._service.partitions
        name = self._service.settings.topic_prefix + topic.name
        return [TopicPartition(name, partition) for partition in range(count)]
