"""True figures: what the whole system measured, against an oracle that knows nothing of it but the log's inputs."""

import ast
import gzip
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tailstream.cli.db import migrate
from tailstream.cli.replicas import Replica
from tailstream.sources.books import DESKS, books
from tailstream.stack import Stack

pytestmark = pytest.mark.timeout(1_500)

ROOT = Path(__file__).resolve().parents[2]
ORACLE = ROOT / "tests/oracle"
SERVICES = (("analytics", 1), ("risk", 1), ("risk", 2), ("recorder", 1))
"""Each with the number of its replica; risk has most to do."""
REPLAYED = {
    "TAILSTREAM_REPLAY_ONCE": "true",
    "TAILSTREAM_REPLAY_SPEED": "max",
    "TAILSTREAM_REPLAY_SLICES": "0",
}
FITTED_RARELY = {"TAILSTREAM_REFIT_EVERY": "100"}
"""The oracle does not judge what was fitted, but what follows from it at every close."""
PORTFOLIOS = len(books(seed=1)) + len(DESKS) + 1
"""Books, their desks and the firm."""
CLOSED_WITHIN_A_YEAR = sum(book.closed_after_days is not None for book in books(seed=1))
ROWS_A_CLOSE = {"portfolio_valuations": 1, "analytics_metrics": 4, "risk_metrics": 1, "risk_backtests": 1}
"""Rows that history has of each portfolio and close."""
MEASURED_SECONDS_MAX = 900.0
POLL_SECONDS = 0.2
FIRST_CLOSE_ALONE = ("--every", "1000")
UNHEARD_OF = """
import pandas as pd
from flat import figures_of
from oracle import report
from rows import deviations
event = {"portfolio_id": "a", "period": "2008-10-15", "coverage": 1.0, "hunch": {"0.99": {"value": None}}}
nothing = pd.Series(dtype=float, index=pd.MultiIndex.from_arrays([[], []]))
report(deviations(figures_of(event), [], nothing).assign(source="risk"), [])
"""


@dataclass(frozen=True)
class Run:
    """What a run left on the log and in history."""

    kafka: str
    prefix: str
    postgres: str

    def ask_oracle(self, *options: str) -> "subprocess.CompletedProcess[str]":
        """Hold it against the truth: exit code and what the oracle says."""
        where = ("--kafka", self.kafka, "--prefix", self.prefix, "--postgres", self.postgres)
        command = (sys.executable, str(ORACLE / "oracle.py"), *where, *options)
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ORACLE)


@pytest.fixture(scope="module")
def through_2008(stack: Stack) -> Iterator[Run]:
    """Thirteen months: windows are full and the average moves in the end, and a book was closed on the way."""
    with measured(stack, "2007-12-03", "2008-12-31", open_at_the_end=PORTFOLIOS - CLOSED_WITHIN_A_YEAR) as run:
        yield run


@pytest.fixture(scope="module")
def first_euros(stack: Stack) -> Iterator[Run]:
    """Six weeks: the books in euro begin on the way, and there are too few of its rates to measure their risk."""
    with measured(stack, "1998-12-15", "1999-01-29", open_at_the_end=PORTFOLIOS) as run:
        yield run


@contextmanager
def measured(stack: Stack, first: str, last: str, *, open_at_the_end: int) -> Iterator[Run]:
    """The days from ``first`` to ``last``, measured and recorded to the end by the real services."""
    prefix = f"t{uuid.uuid4().hex[:8]}."
    stack.create_topics(prefix=prefix, partitions=4)
    with own_database(stack.addresses.postgres) as database:
        migrate(database)
        run = Run(stack.addresses.kafka, prefix, database)
        measure(stack, run, first, last, open_at_the_end)
        yield run
    stack.delete_topics(prefix=prefix)


@contextmanager
def own_database(server: str, *, template: str = "template1") -> Iterator[str]:
    """The URL of a database of its own; or of one that begins as a copy of ``template``."""
    name = f"t{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}")
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f"drop database {name} with (force)")


def measure(stack: Stack, run: Run, first: str, last: str, open_at_the_end: int) -> None:
    """Replay the days through the services, and return when the last close is in history."""
    environment = {"TAILSTREAM_TOPIC_PREFIX": run.prefix, "TAILSTREAM_POSTGRES": run.postgres, **FITTED_RARELY}
    replayed = {"TAILSTREAM_REPLAY_FROM": first, "TAILSTREAM_REPLAY_TO": last, **REPLAYED}
    source = Replica(stack, "source", ("-m", "tailstream.sources.replay"), environment=environment | replayed)
    services = [Replica.of(stack, service, number=number, environment=environment) for service, number in SERVICES]
    started: list[Replica] = []
    try:
        for replica in (*services, source):
            replica.start()
            started.append(replica)
        source.succeed(within_seconds=MEASURED_SECONDS_MAX)
        await_recorded(run.postgres, last, open_at_the_end, services)
        for replica in services:
            assert replica.stop() == 0, replica.log_end()
    finally:
        for replica in started:
            replica.kill()


def await_recorded(postgres: str, last: str, portfolios: int, services: Sequence[Replica]) -> None:
    expected = {table: rows * portfolios for table, rows in ROWS_A_CLOSE.items()}
    deadline = time.monotonic() + MEASURED_SECONDS_MAX
    while (recorded := recorded_of(last, postgres)) != expected:
        assert time.monotonic() < deadline, f"expected {expected} rows of {last}, have {recorded}"
        for replica in services:
            assert replica.exit_code is None, replica.log_end()
        time.sleep(POLL_SECONDS)


def recorded_of(period: str, postgres: str) -> dict[str, int]:
    counted = "select count(*) from history.{} where period = %s"
    with psycopg.connect(postgres) as connection:
        return {t: connection.execute(counted.format(t), [period]).fetchall()[0][0] for t in ROWS_A_CLOSE}


def wrong(answer: "subprocess.CompletedProcess[str]") -> set[tuple[str, str]]:
    """The figures that the oracle calls wrong, each with where it found it."""
    marked = (line.split() for line in answer.stdout.splitlines() if line.startswith("WRONG"))
    return {(source, figure) for _, source, figure, *_ in marked}


@pytest.mark.slow
def test_every_figure_on_kafka_and_in_postgresql_is_true(through_2008: Run) -> None:
    answer = through_2008.ask_oracle("--every", "90")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert wrong(answer) == set()
    assert figures_compared(answer) > (6 * 270 + 4 * 1_300) * PORTFOLIOS
    assert not_judged(answer) == {
        "backtests fits", "risk copula", "risk extreme_value", "risk garch", "risk monte_carlo", "risk stress",
        "risk student_t",
    }  # fmt: skip


def figures_compared(answer: "subprocess.CompletedProcess[str]") -> int:
    return int(answer.stdout.splitlines()[-1].split()[0])


def not_judged(answer: "subprocess.CompletedProcess[str]") -> set[str]:
    """Of what the oracle says that it has no truth."""
    told = (line.removeprefix("not judged: ") for line in answer.stdout.splitlines() if line.startswith("not judged"))
    return {line.split(",")[0] for line in told}


def test_a_figure_that_the_oracle_neither_judges_nor_lists_is_wrong() -> None:
    answer = subprocess.run((sys.executable, "-c", UNHEARD_OF), capture_output=True, text=True, check=True, cwd=ORACLE)
    assert wrong(answer) == {("risk", "coverage"), ("risk", "hunch")}


def test_figures_are_true_or_missing_where_the_euro_is_too_young_for_them(first_euros: Run) -> None:
    answer = first_euros.ask_oracle("--every", "15")
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_price_that_is_wrong_by_a_millionth_is_noticed(first_euros: Run, tmp_path: Path) -> None:
    data = shutil.copytree(ROOT / "data", tmp_path / "data")
    change_price(data / "sp500_stocks.csv.gz", day="1999-01-15", stock="JPM", factor=1 + 1e-6)
    answer = first_euros.ask_oracle("--data", str(data), *FIRST_CLOSE_ALONE)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert {("prices", "price"), ("valuations", "nav"), ("history", "nav"), ("valuations", "period_return")} <= wrong(
        answer
    )
    assert "0 faults" in answer.stdout


def change_price(path: Path, *, day: str, stock: str, factor: float) -> None:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    (row,) = [number for number, line in enumerate(lines) if line.startswith(day)]
    column = lines[0].split(",").index(stock)
    cells = lines[row].split(",")
    cells[column] = repr(float(cells[column]) * factor)
    lines[row] = ",".join(cells)
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


def test_a_row_of_history_that_is_missing_or_not_the_logs_is_noticed(first_euros: Run) -> None:
    with own_database(first_euros.postgres, template=urlsplit(first_euros.postgres).path[1:]) as copy:
        with psycopg.connect(copy) as connection:
            one = "where portfolio_id = 'euro-01' and period = '1999-01-15'"
            connection.execute(f"update history.portfolio_valuations set nav = nav * (1 + 2e-9) {one}")
            connection.execute(f"update history.risk_metrics set event = '{{}}' {one}")
            connection.execute(f"delete from history.analytics_metrics {one} and analyzer = 'risk'")
        answer = replace(first_euros, postgres=copy).ask_oracle(*FIRST_CLOSE_ALONE)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert wrong(answer) == {("history", "nav")}
    key = "portfolio_id='euro-01', period='1999-01-15', revision=0"
    assert f"FAULT analytics_metrics: Key({key}, analyzer='risk') is missing" in answer.stdout
    assert f"FAULT risk_metrics: Key({key}, analyzer='') is not what the log says" in answer.stdout
    assert "2 faults" in answer.stdout


def test_the_oracle_imports_nothing_of_ours() -> None:
    trees = [ast.parse(path.read_text()) for path in ORACLE.glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    foreign = {name.split(".")[0] for name in imported} - {path.stem for path in ORACLE.glob("*.py")}
    assert foreign - sys.stdlib_module_names == {"aiokafka", "numpy", "pandas", "psycopg", "scipy"}
