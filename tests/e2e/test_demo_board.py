"""What the demo's table says, from events alone."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from contracts.alerts import AlertChanged
from contracts.event import Figure, Status
from contracts.examples import EXAMPLES
from contracts.limits import LimitState
from contracts.portfolio import PortfolioDefined
from contracts.risk import RiskMeasured
from contracts.topics import ALERTS, DEFINITIONS, METRICS, PRICES, QUARANTINE, RISK, STATES, STATUS, VALUATIONS
from tailstream.cli.board import Board, table
from tailstream.cli.bus import Bus
from tailstream.runtime.records import Record

BOOK = "equity-01"


def changed(topic: str, **changes: Any) -> Any:
    return EXAMPLES[topic].model_copy(update=changes)


@pytest.fixture
def board() -> Board:
    board = Board()
    board.define(PortfolioDefined(portfolio_id="equity", name="Equities", base_currency="USD"))
    board.define(changed(DEFINITIONS.name))
    return board


def drawn(board: Board, lines_max: int = 50) -> str:
    console = Console(width=120, record=True, file=StringIO())
    console.print(table(board.rows, lines_max=lines_max))
    return console.export_text()


def test_a_portfolio_of_which_nothing_is_known_yet_shows_dashes_and_no_number(board: Board) -> None:
    line = next(line for line in drawn(board).splitlines() if BOOK in line)
    assert not set(line.replace(BOOK, "")) & set("0123456789")


def test_a_figure_that_is_undefined_is_no_zero(board: Board) -> None:
    board.apply(EXAMPLES[VALUATIONS.name])
    assert board.rows[BOOK].nav == 12_466_500.0
    board.apply(changed(VALUATIONS.name, nav=Figure(value=None, status=Status.UNPRICED)))
    assert board.rows[BOOK].nav is None


def test_risk_of_a_method_that_gave_nothing_is_unknown(board: Board) -> None:
    board.apply(EXAMPLES[RISK.name])
    assert board.rows[BOOK].var_99 == 412_870.5
    nothing: RiskMeasured = changed(RISK.name, methods={})
    board.apply(nothing)
    assert board.rows[BOOK].var_99 is None


def test_the_worst_limit_is_the_level_that_is_shown(board: Board) -> None:
    assert board.rows[BOOK].level is None
    state: LimitState = changed(STATES.name, limit_id="a", level="ok", live_level="ok")
    board.apply(state)
    assert board.rows[BOOK].level == "ok"
    board.apply(state.model_copy(update={"limit_id": "b", "level": "ok", "live_level": "warn"}))
    assert board.rows[BOOK].level == "warn"
    board.apply(state.model_copy(update={"limit_id": "b"}))
    assert board.rows[BOOK].level == "ok"


def test_an_alert_is_open_until_it_is_resolved_and_counted_once(board: Board) -> None:
    alert = EXAMPLES[ALERTS.name]
    assert isinstance(alert, AlertChanged)
    for state in ("raised", "raised", "escalated"):
        board.apply(alert.model_copy(update={"state": state}))
    assert (len(board.rows[BOOK].alerts), board.alerts_raised) == (1, 1)
    board.apply(alert.model_copy(update={"state": "resolved"}))
    assert (len(board.rows[BOOK].alerts), board.alerts_raised) == (0, 1)


def test_an_event_of_a_portfolio_that_nobody_defined_or_that_was_closed_is_not_shown(board: Board) -> None:
    board.apply(changed(VALUATIONS.name, portfolio_id="unheard-of"))
    board.close(BOOK)
    board.apply(EXAMPLES[VALUATIONS.name])
    assert set(board.rows) == {"equity"}


def test_a_portfolio_is_complete_once_metrics_risk_and_limits_have_come(board: Board) -> None:
    for topic in (METRICS, RISK):
        board.apply(EXAMPLES[topic.name])
    assert board.complete() == []
    board.apply(EXAMPLES[STATES.name])
    assert board.complete() == [BOOK]


def test_a_small_terminal_shows_desks_and_the_books_in_trouble(board: Board) -> None:
    for number in range(2, 9):
        board.define(changed(DEFINITIONS.name, portfolio_id=f"equity-0{number}"))
    board.apply(changed(STATES.name, portfolio_id="equity-07", level="breach"))
    text = drawn(board, lines_max=2)
    assert "equity-07" in text
    assert "equity-01" not in text
    assert "2 of 9" in text


def record(topic: str, value: bytes | None, *, key: str = BOOK, timestamp_ms: int = 1_000) -> Record:
    return Record(topic, 0, 0, key, value, timestamp_ms)


def test_the_bus_tells_who_is_defined_and_who_was_closed(board: Board) -> None:
    bus = Bus(board)
    bus.apply([record(DEFINITIONS.name, changed(DEFINITIONS.name, portfolio_id="new").to_json(), key="new")])
    assert "new" in board.rows
    bus.apply([record(DEFINITIONS.name, None, key="new"), record(DEFINITIONS.name, None, key="never")])
    assert "new" not in board.rows


def test_the_bus_remembers_when_prices_were_published(board: Board) -> None:
    bus, prices = Bus(board), EXAMPLES[PRICES.name]
    bus.apply([record(PRICES.name, prices.to_json(), timestamp_ms=77)])
    assert bus.published_ms(prices.as_of) == 77  # type: ignore[attr-defined]
    assert bus.published_ms(EXAMPLES[METRICS.name].as_of) is None  # type: ignore[attr-defined]


def test_garbage_on_the_bus_is_left_to_the_services(board: Board) -> None:
    bus = Bus(board)
    bus.apply([record(PRICES.name, b"garbage"), record(STATUS.name, None), record(DEFINITIONS.name, b"{}")])
    assert (bus.records[PRICES.name], bus.statuses, len(board.rows)) == (1, {}, 2)


def test_a_refusal_seen_twice_is_one(board: Board) -> None:
    bus = Bus(board)
    bus.apply([record(QUARANTINE.name, EXAMPLES[QUARANTINE.name].to_json())] * 2)
    assert len(bus.refused) == 1


def test_the_replica_furthest_behind_is_the_one_that_counts(board: Board) -> None:
    bus = Bus(board)
    assert bus.closes_behind == 0
    for replica, behind in (("risk-1", 3), ("analytics-1", 1), ("risk-1", 2)):
        bus.apply([record(STATUS.name, changed(STATUS.name, replica=replica, closes_behind=behind).to_json())])
    assert bus.closes_behind == 2
