"""When a run of the demo proves that all works, and what it says when it does not."""

from dataclasses import replace

import pytest
from rich.console import Console

from tailstream.cli.latency import Delays, Latency
from tailstream.cli.summary import RECORDED, Summary
from tailstream.cli.tally import Table

BOTH = frozenset({"a", "b"})
GOOD = Summary(
    seconds=20.0,
    first_period="2007-01-03",
    last_period="2007-01-31",
    closes=20,
    slices=400,
    portfolios=("a", "b"),
    published=dict.fromkeys(("analytics", "risk", "limits", "gateway"), BOTH),
    history={name: Table(40, BOTH) for name in (*RECORDED, "risk_events")},
    quarantined={},
    alerts_raised=3,
    restarts={},
    latency=Latency(100, 12.0, 48.0),
)


def test_a_run_in_which_everything_came_for_everyone_has_no_problem() -> None:
    assert GOOD.problems == []
    assert GOOD.document()["ok"] is True
    assert GOOD.document()["published"] == dict.fromkeys(("analytics", "risk", "limits", "gateway", "recorder"), 2)
    assert GOOD.document()["closes_per_second"] == 1.0


@pytest.mark.parametrize("service", ["analytics", "risk", "limits", "gateway"])
def test_a_service_that_left_one_portfolio_out_is_named_with_it(service: str) -> None:
    summary = replace(GOOD, published={**GOOD.published, service: {"a"}})
    assert summary.problems == [f"{service}: expected something for every portfolio, had nothing for b"]


@pytest.mark.parametrize("table", RECORDED)
def test_a_table_without_rows_of_one_portfolio_is_the_recorders_problem(table: str) -> None:
    summary = replace(GOOD, history={**GOOD.history, table: Table(20, frozenset({"a"}))})
    assert summary.problems == ["recorder: expected something for every portfolio, had nothing for b"]


def test_alerts_need_not_come_for_everyone() -> None:
    assert replace(GOOD, history={**GOOD.history, "risk_events": Table(0, frozenset())}).problems == []


def test_a_run_without_a_day_or_without_portfolios_proves_nothing() -> None:
    assert "closes" in replace(GOOD, closes=0).problems[0]
    assert "portfolios" in replace(GOOD, portfolios=()).problems[0]


def test_one_refused_record_is_a_problem_and_many_do_not_flood() -> None:
    refused = {str(number): f"reason {number:02}" for number in range(40)}
    assert replace(GOOD, quarantined={"1": "risk refused it"}).problems == ["quarantine: risk refused it"]
    assert replace(GOOD, quarantined=refused).problems[-1] == "quarantine: and 35 more reasons"


def test_what_kept_the_run_from_its_end_is_a_problem() -> None:
    assert replace(GOOD, unfinished=("interrupted",)).problems == ["interrupted"]


def test_a_replica_that_came_back_is_told_and_is_no_problem() -> None:
    summary = replace(GOOD, restarts={"risk-1": 2})
    assert summary.problems == []
    console = Console(width=100)
    with console.capture() as shown:
        console.print(summary.drawn())
    assert "risk-1 2" in shown.get()


def test_a_run_of_no_time_has_no_rate() -> None:
    assert replace(GOOD, seconds=0.0).document()["closes_per_second"] is None


def test_delays_of_nothing_are_unknown_and_those_of_something_are_percentiles() -> None:
    delays = Delays()
    assert delays.measured() == Latency(0, None, None)
    for delay_ms in range(1, 101):
        delays.add(delay_ms)
    assert delays.measured() == Latency(100, 50.5, 99.0)
