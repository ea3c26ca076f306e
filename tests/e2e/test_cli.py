"""The command line as people and scripts meet it: answers, exit codes, and errors that say what to do."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from contracts.topics import TOPICS
from services.gateway.auth import Claims, read_token
from tailstream.cli import COMMANDS
from tailstream.cli.db import migrations_directory
from tailstream.stack import Addresses

TAILSTREAM = Path(sys.executable).with_name("tailstream")
SECRET = "0123456789abcdef0123456789abcdef"
NOWHERE = "127.0.0.1:1"


def tailstream(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with nothing of ours in its environment but what is given."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TAILSTREAM_")}
    return subprocess.run(
        [TAILSTREAM, *arguments], env=bare | environment, capture_output=True, text=True, timeout=60, check=False
    )


def document(answer: "subprocess.CompletedProcess[str]") -> Any:
    return json.loads(answer.stdout)


def test_help_names_every_command_and_imports_none() -> None:
    listing = "import sys; sys.argv = ['tailstream', '--help']\ntry:\n import tailstream.cli; tailstream.cli.main()\n"
    seen = "except SystemExit: print(sorted(m for m in sys.modules if m.startswith('tailstream.cli.')))"
    answer = subprocess.run([sys.executable, "-c", listing + seen], capture_output=True, text=True, check=True)
    assert answer.stdout.rstrip().endswith("[]")
    assert [name for name in COMMANDS if name not in answer.stdout] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_how_it_is_used(command: str) -> None:
    answer = tailstream(command, "--help")
    assert answer.returncode == 0, answer.stderr
    assert f"tailstream {command}" in answer.stdout


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("db",), ("token", "--roles", "king"), ("token", "--ttl", "0"), ("quarantine", "show")]
)
def test_a_wrong_call_exits_with_2_and_prints_nothing_on_stdout(arguments: tuple[str, ...]) -> None:
    answer = tailstream(*arguments, TAILSTREAM_JWT_SECRET=SECRET)
    assert answer.returncode == 2
    assert (arguments == ("db",)) or answer.stdout == ""


def test_migrating_twice_and_at_once_applies_each_file_once(database: str) -> None:
    command = [TAILSTREAM, "db", "migrate", "--json", "--postgres", database]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    applied = [json.loads(process.communicate(timeout=60)[0])["applied"] for process in both]
    names = sorted(path.stem for path in migrations_directory().glob("*.sql"))
    assert sorted(applied) == [[], names]
    assert document(tailstream("db", "migrate", "--json", TAILSTREAM_POSTGRES=database)) == {"applied": []}


def test_a_database_that_is_behind_is_told_from_one_that_is_not_and_left_alone(database: str) -> None:
    behind = tailstream("db", "check", "--json", TAILSTREAM_POSTGRES=database)
    assert behind.returncode == 1
    assert "0101_history" in document(behind)["pending"]
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (0,)
    assert tailstream("db", "migrate", TAILSTREAM_POSTGRES=database).returncode == 0
    assert tailstream("db", "check", TAILSTREAM_POSTGRES=database).returncode == 0


def test_a_migration_that_fails_is_named_leaves_nothing_and_can_be_tried_again(database: str) -> None:
    def execute(command: str) -> None:
        with psycopg.connect(database) as connection:
            connection.execute(command)

    execute("create schema history; create view history.risk_metrics as select 1 as one")
    failed = tailstream("db", "migrate", TAILSTREAM_POSTGRES=database)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: 0101_history: ")
    with psycopg.connect(database) as connection:
        assert connection.execute("select to_regclass('history.analytics_metrics')").fetchone() == (None,)
    execute("drop schema history cascade")
    assert tailstream("db", "migrate", TAILSTREAM_POSTGRES=database).returncode == 0


def test_a_lock_that_a_killed_migration_left_behind_holds_nobody_up(database: str) -> None:
    tailstream("db", "migrate", TAILSTREAM_POSTGRES=database)
    with psycopg.connect(database) as connection:
        connection.execute("drop schema history cascade")
        connection.execute("delete from _yoyo_migration where migration_id = '0101_history'")
        connection.execute("insert into yoyo_lock (locked, ctime, pid) values (1, now(), 1)")
    answer = tailstream("db", "migrate", "--json", TAILSTREAM_POSTGRES=database)
    assert document(answer) == {"applied": ["0101_history"]}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://nobody:secret@127.0.0.1:1/x", "does not answer"),
        ("mysql://nobody:secret@127.0.0.1/x", "expected postgresql://"),
    ],
)
def test_a_database_that_cannot_be_reached_is_one_line_without_its_password(url: str, said: str) -> None:
    answer = tailstream("db", "migrate", TAILSTREAM_POSTGRES=url)
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: ")
    assert said in answer.stderr
    assert "secret" not in answer.stderr


def test_a_token_says_whose_it_is_and_what_he_may(addresses: Addresses) -> None:
    arguments = ("--roles", "viewer,trader", "--portfolios", "book-1,book-2", "--ttl", "60", "--subject", "ann")
    made = tailstream("token", *arguments, TAILSTREAM_JWT_SECRET=SECRET).stdout.strip()
    claims = read_token(SECRET, made, time.time())
    assert isinstance(claims, Claims)
    assert (claims.subject, claims.roles, claims.portfolios) == ("ann", {"viewer", "trader"}, {"book-1", "book-2"})
    assert 0 < claims.expires_at - time.time() <= 60


def test_without_a_secret_there_is_no_token() -> None:
    for secret in ("", "short"):
        answer = tailstream("token", TAILSTREAM_JWT_SECRET=secret)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert f"TAILSTREAM_JWT_SECRET: expected the gateway's, 32 bytes or more, was {len(secret)}" in answer.stderr


def test_topics_are_all_there_as_they_should_be(addresses: Addresses, prefix: str) -> None:
    bus = {"TAILSTREAM_KAFKA": addresses.kafka, "TAILSTREAM_TOPIC_PREFIX": prefix}
    answer = tailstream("topics", "--json", **bus)
    assert answer.returncode == 0, answer.stdout
    rows = document(answer)
    assert [row["topic"] for row in rows] == [topic.name for topic in TOPICS]
    assert {row["records"] for row in rows} == {0}
    assert tailstream("topics", **bus).stdout.count("\n") > len(TOPICS)


def test_missing_topics_are_named_and_can_be_created_and_differing_ones_are_named_too(addresses: Addresses) -> None:
    prefix = f"t{time.time_ns()}."
    bus = {"TAILSTREAM_KAFKA": addresses.kafka, "TAILSTREAM_TOPIC_PREFIX": prefix}
    missing = tailstream("topics", "--json", **bus)
    assert missing.returncode == 1
    assert {tuple(row["differences"]) for row in document(missing)} == {("missing",)}
    assert tailstream("topics", "create", "--partitions", "2", **bus).returncode == 0
    created = tailstream("topics", "--json", **bus)
    assert created.returncode == 0, created.stdout
    assert {row["partitions"] for row in document(created)} == {1, 2}


def test_a_broker_that_is_away_is_one_line_that_names_the_address() -> None:
    for command in (("topics",), ("quarantine", "list")):
        answer = tailstream(*command, TAILSTREAM_KAFKA=NOWHERE)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert answer.stderr.startswith(f"error: kafka at {NOWHERE} (TAILSTREAM_KAFKA) does not answer")
        assert answer.stderr.count("\n") == 1


def test_a_setting_that_cannot_be_is_named() -> None:
    answer = tailstream("topics", TAILSTREAM_BATCH_RECORDS_MAX="many")
    assert answer.returncode == 1
    assert "batch_records_max" in answer.stderr
    assert "'many'" in answer.stderr


def test_the_doctor_finds_a_whole_installation_well(addresses: Addresses, database: str, prefix: str) -> None:
    tailstream("db", "migrate", TAILSTREAM_POSTGRES=database)
    well = {**addresses.env(), "TAILSTREAM_POSTGRES": database, "TAILSTREAM_TOPIC_PREFIX": prefix}
    answer = tailstream("doctor", "--json", TAILSTREAM_JWT_SECRET=SECRET, **well)
    assert answer.returncode == 0, answer.stdout
    assert {check["status"] for check in document(answer)["checks"]} == {"ok"}


def test_the_doctor_says_what_to_do_about_everything_that_is_wrong(database: str) -> None:
    ill = {
        "TAILSTREAM_KAFKA": NOWHERE,
        "TAILSTREAM_POSTGRES": database,
        "TAILSTREAM_REDIS": f"redis://{NOWHERE}/0",
        "TAILSTREAM_JWT_SECRET": "short",
    }
    answer = tailstream("doctor", "--json", **ill)
    assert answer.returncode == 1
    wrong = {check["name"]: check["advice"] for check in document(answer)["checks"] if check["status"] == "wrong"}
    assert sorted(wrong) == ["database", "kafka", "redis", "token secret"]
    assert all(wrong.values())
    assert wrong["database"] == "tailstream db migrate"
    assert tailstream("doctor", **ill).returncode == 1


def test_a_service_in_the_foreground_stops_cleanly_on_sigterm(addresses: Addresses, database: str, prefix: str) -> None:
    tailstream("db", "migrate", TAILSTREAM_POSTGRES=database)
    bus = {**addresses.env(), "TAILSTREAM_POSTGRES": database, "TAILSTREAM_TOPIC_PREFIX": prefix}
    with subprocess.Popen(
        [TAILSTREAM, "run", "recorder"], env=os.environ | bus, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "shards adopted" in line:
                process.send_signal(signal.SIGTERM)
                break
        assert process.wait(30) == 0


def test_a_service_without_what_it_needs_says_which_setting(addresses: Addresses) -> None:
    answer = tailstream("run", "recorder", TAILSTREAM_KAFKA=addresses.kafka)
    assert answer.returncode == 2
    assert "TAILSTREAM_POSTGRES" in answer.stderr
