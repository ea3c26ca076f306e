"""The embedded stack answers, stops what it started, and says clearly what kept it from starting."""

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from contracts.topics import TOPICS, Layout
from tailstream.runtime.admin import find_topics
from tailstream.stack import (
    Addresses,
    AddressSilent,
    DockerFailed,
    DownloadFailed,
    JarMismatch,
    PortTaken,
    RunDirectoryError,
    ServerFailed,
    Stack,
    StackError,
)
from tailstream.stack import postgres as postgres_module
from tailstream.stack.addresses import VARIABLES, without_password
from tailstream.stack.jars import check_jars, expected_hashes, kafka_jars
from tailstream.stack.ports import free_ports, is_free
from tailstream.stack.processes import marked
from tailstream.stack.run import Record, Run, runs_directory
from tailstream.stack.server import run_tool


def ignore(message: str) -> None:
    del message


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, with runs of its own, that has Kafka's jars already."""
    jars = kafka_jars(ignore)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / jars.name).symlink_to(jars)
    monkeypatch.setenv("TAILSTREAM_CACHE", str(cache))
    return cache


@pytest.fixture
def given(addresses: Addresses, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the environment name the session's servers, all or some of them; the others have to be started."""

    def give(*servers: str) -> None:
        for server, name in VARIABLES.items():
            if server in servers:
                monkeypatch.setenv(name, addresses.env()[name])
            else:
                monkeypatch.delenv(name, raising=False)

    return give


@pytest.fixture
def occupied() -> Iterator[int]:
    """A port that another program, this one, listens on."""
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


async def send(addresses: Addresses, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=addresses.kafka, enable_idempotence=True) as producer:
        await producer.send_and_wait(topic, value)


async def first(addresses: Addresses, topic: str) -> bytes | None:
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=addresses.kafka, auto_offset_reset="earliest", isolation_level="read_committed"
    ) as consumer:
        value: bytes | None = (await consumer.getone()).value
        return value


class TestThatItAnswers:
    async def test_kafka_hands_on_what_it_was_sent(self, addresses: Addresses, prefix: str) -> None:
        await send(addresses, f"{prefix}market.prices.v1", b"100.25")
        assert await first(addresses, f"{prefix}market.prices.v1") == b"100.25"

    async def test_every_topic_of_the_table_has_its_partitions(self, addresses: Addresses, prefix: str) -> None:
        found = await find_topics(addresses.kafka, prefix=prefix)
        partitions = {name: topic.partitions for name, topic in found.items()}
        assert partitions == {topic.name: 1 if topic.layout is Layout.SINGLE else 4 for topic in TOPICS}

    async def test_every_topic_of_the_table_has_its_cleanup_policy(self, addresses: Addresses, prefix: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=addresses.kafka)
        await admin.start()
        try:
            asked = [ConfigResource(ConfigResourceType.TOPIC, prefix + topic.name) for topic in TOPICS]
            answers = [row for reply in await admin.describe_configs(asked) for row in reply.resources]
        finally:
            await admin.close()
        policies = {row[3]: {entry[0]: entry[1] for entry in row[4]}["cleanup.policy"] for row in answers}
        expected = {prefix + topic.name: topic.config.get("cleanup.policy", "delete") for topic in TOPICS}
        assert policies == expected

    def test_a_client_creates_no_topic_by_accident(self, stack: Stack) -> None:
        if not stack.run.record.members:
            pytest.skip("the environment's Kafka has its own settings")
        settings = (stack.run.path / "kafka-1" / "server.properties").read_text()
        assert "auto.create.topics.enable=false" in settings

    def test_postgres_keeps_a_row_and_speaks_utc(self, database: str) -> None:
        with psycopg.connect(database) as connection:
            connection.execute("CREATE TABLE kept (value text)")
            connection.execute("INSERT INTO kept VALUES ('σ')")
        with psycopg.connect(database) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == ("σ",)
            assert connection.execute("SHOW timezone").fetchone() == ("UTC",)

    def test_redis_keeps_a_key(self, addresses: Addresses, prefix: str) -> None:
        with redis.Redis.from_url(addresses.redis) as client:
            client.set(prefix, "1", ex=60)
            assert client.get(prefix) == b"1"

    def test_who_does_not_know_the_password_gets_no_data(self, stack: Stack) -> None:
        if not stack.run.record.members:
            pytest.skip("the environment's servers have their own passwords")
        postgres = stack.addresses.postgres.replace(stack.run.record.password, "guess")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(postgres)
        with (
            redis.Redis.from_url(stack.addresses.redis.replace(stack.run.record.password, "guess")) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()


class TestABrokerAway:
    async def test_a_killed_broker_comes_back_on_its_port_with_its_records(self, stack: Stack, prefix: str) -> None:
        own_broker(stack)
        await send(stack.addresses, f"{prefix}market.prices.v1", b"before")
        stack.kill_broker()
        stack.start_broker()
        assert await first(stack.addresses, f"{prefix}market.prices.v1") == b"before"

    def test_a_port_taken_meanwhile_is_named_and_the_broker_starts_once_it_is_free(self, stack: Stack) -> None:
        own_broker(stack)
        port = int(stack.addresses.kafka.rpartition(":")[2])
        stack.kill_broker()
        with closing(socket.create_server(("127.0.0.1", port))), pytest.raises(PortTaken, match=f"kafka-1.*{port}"):
            stack.start_broker()
        stack.start_broker()

    def test_a_broker_that_was_not_started_here_is_not_killed(self, stack: Stack) -> None:
        with pytest.raises(StackError, match="kafka-9: expected a broker started here"):
            stack.kill_broker(9)


def own_broker(stack: Stack) -> None:
    if "kafka-1" not in {member.name for member in stack.run.record.members}:
        pytest.skip("the environment's Kafka is not ours to kill")


class TestAddressesOfTheEnvironment:
    def test_they_are_used_and_outlive_the_stack(
        self, cache: Path, given: Callable[..., None], addresses: Addresses
    ) -> None:
        given("kafka", "postgres", "redis")
        with Stack.start() as other:
            assert other.addresses == addresses
            assert other.run.record.members == ()
        with redis.Redis.from_url(addresses.redis) as client, psycopg.connect(addresses.postgres):
            assert client.ping()

    def test_one_of_them_alone_has_the_others_started(
        self, cache: Path, given: Callable[..., None], addresses: Addresses
    ) -> None:
        given("kafka", "postgres")
        with Stack.start() as other:
            assert [member.name for member in other.run.record.members] == ["redis"]
            assert other.addresses.kafka == addresses.kafka
            assert other.addresses.redis != addresses.redis

    @pytest.mark.parametrize(
        ("server", "address"),
        [
            ("kafka", "127.0.0.1:1"),
            ("kafka", "nonsense"),
            ("postgres", "postgresql://u:secret@127.0.0.1:1/d"),
            ("redis", "redis://:secret@127.0.0.1:1/0"),
        ],
    )
    def test_one_that_does_not_answer_is_named_without_its_password(
        self, cache: Path, given: Callable[..., None], monkeypatch: pytest.MonkeyPatch, server: str, address: str
    ) -> None:
        given(*VARIABLES)
        monkeypatch.setenv(VARIABLES[server], address)
        with pytest.raises(AddressSilent, match=f"{VARIABLES[server]}: expected a running {server}") as refused:
            Stack.start()
        assert "secret" not in str(refused.value)
        assert_no_run_is_left(cache)

    def test_an_address_is_shown_without_its_password(self) -> None:
        assert without_password("redis://:p4ss@h:1/0") == "redis://:***@h:1/0"
        assert without_password("postgresql://u:p4ss@h:1/d") == "postgresql://u:***@h:1/d"
        assert without_password("h:1,h:2") == "h:1,h:2"


class TestWhatKeepsItFromStarting:
    @pytest.mark.parametrize("server", ["kafka", "postgres", "redis"])
    def test_a_port_lost_to_another_program_at_the_last_moment(
        self,
        cache: Path,
        given: Callable[..., None],
        occupied: int,
        monkeypatch: pytest.MonkeyPatch,
        server: str,
    ) -> None:
        given(*(VARIABLES.keys() - {server}))
        before, after = [(0, 3), (1, 2), (2, 1)][["postgres", "redis", "kafka"].index(server)]
        ports = [*free_ports(before), occupied, *free_ports(after)]
        monkeypatch.setattr("tailstream.stack.embedded.free_ports", lambda count: ports[:count])
        monkeypatch.setattr("tailstream.stack.server.is_free", lambda port: True)
        with pytest.raises(PortTaken, match=f"{server}.*expected port {occupied} of 127.0.0.1 to be free"):
            Stack.start()
        assert_no_run_is_left(cache)

    def test_no_free_port_at_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tailstream.stack.ports.is_free", lambda port: False)
        with pytest.raises(PortTaken, match="expected 2 free ports"):
            free_ports(2)

    def test_a_run_directory_under_a_file(self, cache: Path, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(RunDirectoryError, match="expected a directory to write to, was: Not a directory"):
            Stack.start(tmp_path / "file" / "run")

    def test_a_run_directory_with_somebody_elses_files_which_stay(self, cache: Path, tmp_path: Path) -> None:
        theirs = tmp_path / "theirs"
        theirs.mkdir()
        (theirs / "thesis.txt").write_text("years of work")
        with pytest.raises(RunDirectoryError, match="expected an empty directory or one of an earlier run"):
            Stack.start(theirs)
        assert (theirs / "thesis.txt").read_text() == "years of work"

    def test_a_cache_that_cannot_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("TAILSTREAM_CACHE", str(tmp_path / "file"))
        with pytest.raises(RunDirectoryError, match=str(tmp_path / "file")):
            Stack.start()

    def test_a_full_disk(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tailstream.stack.run.FREE_BYTES_MIN", 10**18)
        with pytest.raises(RunDirectoryError, match="MB of free disk for a stack, was"):
            Stack.start()
        assert_no_run_is_left(cache)

    def test_a_server_that_ends_shows_the_end_of_its_log(
        self, cache: Path, given: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given("kafka", "redis")
        monkeypatch.setitem(postgres_module.SETTINGS, "max_connections", "none")
        with pytest.raises(ServerFailed, match=r"postgres ended with exit code 1[\s\S]*max_connections"):
            Stack.start()
        assert_no_run_is_left(cache)

    def test_a_disk_that_fills_up_while_data_are_made(self, tmp_path: Path) -> None:
        run = Run(tmp_path, Record(brokers=1, partitions=4, keep=False, owner=None))
        full = ["sh", "-c", "echo 'could not write: No space left on device'; exit 1"]
        with pytest.raises(RunDirectoryError, match=r"postgres: initdb failed with exit code 1: the disk .* is full"):
            run_tool(run, "postgres: initdb", full)

    def test_root_without_the_means_to_be_somebody_else(
        self, cache: Path, given: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given("kafka", "redis")
        monkeypatch.setattr("tailstream.stack.postgres._is_root", lambda: True)
        monkeypatch.setattr(shutil, "which", lambda program: None)
        monkeypatch.setattr("os.chown", lambda *owner: None)
        with pytest.raises(ServerFailed, match=r"setpriv.*run as another user, or set TAILSTREAM_POSTGRES"):
            Stack.start()

    def test_docker_that_does_not_answer(
        self, cache: Path, given: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given("kafka", "postgres")
        monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
        with pytest.raises(DockerFailed, match="Docker: expected a container of each of redis"):
            Stack.start(docker=True)

    @pytest.mark.parametrize("brokers", [0, 2, 4])
    def test_a_number_of_brokers_without_a_majority_to_lose(self, brokers: int) -> None:
        with pytest.raises(StackError, match=f"brokers: expected one of .1, 3., was {brokers}"):
            Stack.start(brokers=brokers)

    @pytest.mark.parametrize("partitions", ["0", "-1", "many", "4.0"])
    def test_partitions_that_are_no_number(self, monkeypatch: pytest.MonkeyPatch, partitions: str) -> None:
        monkeypatch.setenv("TAILSTREAM_PARTITIONS", partitions)
        with pytest.raises(StackError, match="TAILSTREAM_PARTITIONS: expected a whole number from 1"):
            Stack.start()


class TestJars:
    @pytest.fixture
    def no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", "http://127.0.0.1:1")

    @pytest.fixture
    def copies(self, cache: Path) -> Path:
        """The jars as files of the test's own."""
        link = cache / kafka_jars(ignore).name
        jars = link.resolve()
        link.unlink()
        shutil.copytree(jars, link)
        return link

    def test_the_ones_in_the_cache_are_the_ones_committed(self, copies: Path) -> None:
        check_jars(copies)
        assert len(expected_hashes()) == 46

    def test_one_with_a_changed_byte_is_named(self, copies: Path) -> None:
        damage(copies / "kafka-clients-4.3.1.jar")
        with pytest.raises(JarMismatch, match=r"kafka-clients-4\.3\.1\.jar: expected sha256 \w{64}, was \w{64}"):
            check_jars(copies)

    def test_a_missing_one_is_named(self, copies: Path) -> None:
        (copies / "kafka-clients-4.3.1.jar").unlink()
        with pytest.raises(JarMismatch, match=r"kafka-clients-4\.3\.1\.jar: expected sha256 \w{64}, was missing"):
            check_jars(copies)

    def test_one_too_many_is_named(self, copies: Path) -> None:
        (copies / "kafka-clients-3.9.0.jar").touch()
        with pytest.raises(JarMismatch, match=r"kafka-clients-3\.9\.0\.jar: expected no such jar"):
            check_jars(copies)

    @pytest.mark.usefixtures("no_network")
    def test_a_damaged_one_is_not_used_even_when_no_other_can_be_had(self, copies: Path) -> None:
        damage(copies / "kafka-clients-4.3.1.jar")
        told: list[str] = []
        with pytest.raises(DownloadFailed, match="Connect to the network for the first start"):
            kafka_jars(told.append)
        assert "kafka-clients-4.3.1.jar" in told[0]

    @pytest.mark.usefixtures("no_network")
    def test_what_a_killed_download_left_is_not_taken_for_whole(self, copies: Path, cache: Path) -> None:
        copies.rename(cache / f"{copies.name}.partial")
        with pytest.raises(DownloadFailed):
            kafka_jars(ignore)
        assert [path.name for path in cache.iterdir()] == [".jars.lock"]


def damage(jar: Path) -> None:
    content = bytearray(jar.read_bytes())
    content[len(content) // 2] ^= 1
    jar.write_bytes(content)


def assert_no_run_is_left(cache: Path) -> None:
    assert [path.name for path in runs_directory().iterdir() if path.name != ".lock"] == []
    assert runs_directory().parent == cache


class TestKept:
    def test_data_that_are_kept_are_there_again(self, cache: Path, tmp_path: Path, given: Callable[..., None]) -> None:
        given("kafka", "redis")
        directory = tmp_path / "kept"
        with Stack.start(directory, keep=True) as first_time, psycopg.connect(first_time.addresses.postgres) as sql:
            sql.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        assert_no_run_is_left(cache)
        with (
            Stack.start(directory, keep=True) as second_time,
            psycopg.connect(second_time.addresses.postgres) as sql,
        ):
            assert sql.execute("SELECT answer FROM kept").fetchone() == (42,)
        assert (directory / "postgres" / "PG_VERSION").exists()

    @pytest.mark.slow
    async def test_a_kept_kafka_has_its_records_on_new_ports(
        self, cache: Path, tmp_path: Path, given: Callable[..., None]
    ) -> None:
        given("postgres", "redis")
        with Stack.start(tmp_path / "kept", keep=True) as first_time:
            former = first_time.addresses.kafka
            await send(first_time.addresses, "market.prices.v1", b"kept")
        with Stack.start(tmp_path / "kept", keep=True) as second_time:
            assert second_time.addresses.kafka != former
            assert await first(second_time.addresses, "market.prices.v1") == b"kept"

    def test_data_of_another_number_of_brokers_are_refused(
        self, cache: Path, tmp_path: Path, given: Callable[..., None]
    ) -> None:
        given("kafka", "postgres", "redis")
        Stack.start(tmp_path / "kept", keep=True).stop()
        with pytest.raises(RunDirectoryError, match="expected 1 brokers as in its data, was 3"):
            Stack.start(tmp_path / "kept", keep=True, brokers=3)


class TestThreeBrokers:
    @pytest.mark.slow
    async def test_what_was_acknowledged_outlives_a_broker(self, cache: Path, given: Callable[..., None]) -> None:
        given("postgres", "redis")
        with Stack.start(brokers=3) as stack:
            await send(stack.addresses, "market.prices.v1", b"acknowledged")
            stack.kill_broker(1)
            assert await first(stack.addresses, "market.prices.v1") == b"acknowledged"
            await send(stack.addresses, "market.prices.v1", b"with one away")
        assert marked(stack.run.record.run_id) == []
        assert all(is_free(int(address.rpartition(":")[2])) for address in stack.addresses.kafka.split(","))
