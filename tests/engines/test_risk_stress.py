"""Stress by hand: stretches of the past and shocks on the holdings of a close; stressed VaR; what is delivered."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.risk import RiskBacktested, RiskMeasured, Stressed
from services.risk.app import stress_book
from services.risk.stress import StressBook
from tailstream.quant.options import Option, price
from tailstream.runtime.errors import ConfigurationError
from tests.engines import log
from tests.engines.log import Log

PAGE = Path(__file__).parents[2] / "docs" / "scenarios.md"

pytestmark = pytest.mark.filterwarnings("error")


def book_of(*scenarios: dict[str, Any]) -> StressBook:
    return StressBook.model_validate({"scenarios": scenarios})


def window(first: int, last: int, name: str = "past") -> dict[str, Any]:
    """The closes of these days."""
    return {"name": name, "window": {"first": log.period(first), "last": log.period(last)}}


def shocks(name: str = "shock", **of: Any) -> dict[str, Any]:
    return {"name": name, "shocks": of}


def crash(positions: dict[str, float], **cash: float) -> Log:
    """A falls by a half and rises by a fifth, then doubles; B has its first price at the third close."""
    of = Log()
    of.instruments("A", "B", "fx:EURUSD", sector="metals")
    of.instruments("E", currency="EUR")
    of.book("a", positions, **cash)
    for day, a in enumerate((100.0, 50.0, 60.0, 120.0, 100.0)):
        of.close_at({"A": a, "E": 10.0, "fx:EURUSD": 1.25} | ({"B": 10.0} if day > 1 else {}))
    return of


def measured(of: Log, *scenarios: dict[str, Any], **asked: Any) -> RiskMeasured:
    return log.risked(log.measured_last(log.risk(stress=book_of(*scenarios), **asked), of), "a")[-1]


def stressed(of: Log, scenario: dict[str, Any], **asked: Any) -> Stressed:
    return measured(of, scenario, **asked).stress[scenario["name"]]


# -- stretches of the past -------------------------------------------------------------------------------------------


def test_a_window_compounds_its_returns_on_what_is_held_now_and_names_its_worst_period() -> None:
    """10 A at 100 lose a half and gain a fifth of the rest: 400 of 1,500."""
    found = stressed(crash({"A": 10.0}, USD=500.0), window(1, 2))
    assert (found.kind, found.status, found.reason, found.coverage) == ("window", "ok", None, 1.0)
    assert (found.loss, found.loss_fraction) == (pytest.approx(400.0), pytest.approx(400 / 1_500))
    assert (found.worst_period, found.worst_period_loss) == (log.period(1), pytest.approx(500.0))


def test_a_short_position_gains_from_a_crash() -> None:
    found = stressed(crash({"A": -10.0}, USD=5_000.0), window(1, 2))
    assert (found.loss, found.worst_period) == (pytest.approx(-400.0), log.period(2))


def test_what_was_not_there_throughout_is_left_out_and_too_much_of_it_degrades_the_figure() -> None:
    found = stressed(crash({"A": 10.0, "B": 100.0}), window(1, 2))
    assert (found.loss, found.coverage) == (pytest.approx(400.0), 0.5)
    assert (found.status, found.reason) == ("degraded", "coverage: expected at least 0.95, was 0.5000")
    little = stressed(crash({"A": 10.0, "B": 1.0}), window(1, 2))
    assert (little.status, little.coverage) == ("ok", 1_000 / 1_010)


def test_a_proxy_that_stands_in_for_what_was_not_there_is_named() -> None:
    of = crash({"A": 10.0, "B": 100.0})
    of.instruments("B", proxy="A")
    of.close_at({"A": 100.0, "B": 10.0, "E": 10.0, "fx:EURUSD": 1.25})
    found = stressed(of, window(1, 2), history=10)
    assert (found.loss, found.coverage, found.status) == (pytest.approx(800.0), 1.0, "ok")
    assert found.proxied == {"B": "A"}


@pytest.mark.parametrize(
    ("scenario", "positions", "reason"),
    [
        (window(0, 2), {"A": 1.0}, "the closes do not reach over the window"),
        (window(3, 9), {"A": 1.0}, "the closes do not reach over the window"),
        (window(1, 2), {"B": 1.0}, "nothing that is held has prices throughout the window"),
    ],
    ids=["begins too early", "has not ended", "nobody was there"],
)
def test_a_window_that_is_not_known_has_no_loss_and_says_why(
    scenario: dict[str, Any], positions: dict[str, float], reason: str
) -> None:
    found = stressed(crash(positions), scenario)
    assert (found.status, found.reason) == ("insufficient", reason)
    assert (found.loss, found.loss_fraction, found.coverage, found.worst_period) == (None,) * 4


def test_cash_loses_nothing_in_a_window() -> None:
    found = stressed(crash({}, USD=100.0), window(1, 2))
    assert (found.status, found.loss, found.coverage) == ("ok", 0.0, 1.0)


# -- shocks ----------------------------------------------------------------------------------------------------------


def test_the_shock_of_an_instrument_goes_before_that_of_its_sector_and_that_before_its_kind() -> None:
    found = stressed(
        crash({"A": 10.0, "B": 100.0, "E": 80.0}),
        shocks(instruments={"A": -0.5}, sectors={"metals": -0.1}, kinds={"equity": 0.2}),
    )
    assert found.loss == pytest.approx(500.0 + 100.0 - 200.0)
    assert (found.kind, found.status, found.coverage, found.worst_period) == ("shock", "ok", 1.0, None)


def test_a_currency_moves_what_is_quoted_in_it_and_the_money() -> None:
    """A dollar that is worth a tenth more makes a euro worth 1/1.1 as many: nothing else is said to move."""
    found = stressed(crash({"A": 10.0, "E": 80.0}, EUR=400.0), shocks(currencies={"USD": 0.10}))
    assert found.loss == pytest.approx((1_000.0 + 500.0) * (1 - 1 / 1.1))
    assert found.coverage == pytest.approx(1_500 / 2_500)
    assert found.status == "ok"


def test_a_shock_compounds_with_that_of_the_currency() -> None:
    found = stressed(crash({"E": 80.0}), shocks(kinds={"equity": -0.2}, currencies={"EUR": -0.5}))
    assert found.loss == pytest.approx(1_000.0 * (1 - 0.8 * 0.5))


def test_what_has_no_price_leaves_the_loss_in_doubt_and_is_named() -> None:
    of = crash({"A": 10.0, "ghost": 1.0})
    found = stressed(of, shocks(kinds={"equity": -0.2}))
    assert (found.status, found.loss, found.coverage) == ("degraded", pytest.approx(200.0), None)
    assert found.reason == "left out, without a price or a return: ghost"
    assert stressed(of, window(1, 2)).reason == "coverage: unknown, because a position has no price"


def test_an_option_is_revalued_at_once_under_the_shock_of_its_underlying() -> None:
    of, put = Log(), Option("put", 100.0)
    of.instruments("A")
    terms = {"underlying": "A", "right": "put", "strike": 100.0, "expires_at": log.FIRST_DAY + timedelta(days=369)}
    of.instruments("O", kind="option", option=terms)
    of.book("a", {"O": 10.0})
    for spot in (90.0, 110.0, 95.0, 105.0, 100.0):
        of.close_at({"A": spot, "O": worth(put, 100.0)})
    found = stressed(of, shocks(kinds={"equity": -0.2}))
    assert found.loss == pytest.approx(10 * (worth(put, 100.0) - worth(put, 80.0)))
    assert found.loss < 0.0


def worth(option: Option, spot: float) -> float:
    """At a volatility of 20 %, a year before expiry."""
    return float(price(option, np.array([spot]), 1.0, 0.2)[0])


@pytest.mark.parametrize(
    "scenario", [window(1, 2), shocks(kinds={"equity": 1e200})], ids=["two bad ticks in the window", "a shock"]
)
def test_a_loss_beyond_all_money_is_undefined_and_the_rest_is_published(scenario: dict[str, Any]) -> None:
    of = Log()
    of.instruments("A")
    of.book("a", {"A": -10.0}, USD=5_000.0)
    for spot in (1e-100, 1.0, 1e100, 100.0, 101.0, 99.0, 100.0):
        of.close(A=spot)
    event = measured(of, scenario, window=2, history=8)
    found = event.stress[scenario["name"]]
    assert (found.status, found.loss, found.worst_period) == ("undefined", None, None)
    assert found.reason == "the loss is no amount of money below 1e+150"
    assert event.methods["historical"].status == "ok"


# -- stressed VaR ----------------------------------------------------------------------------------------------------


def stretch() -> Log:
    """Quiet closes, a stretch of wild ones, quiet ones again."""
    of = Log()
    of.instruments("A")
    of.book("a", {"A": 10.0})
    price = 100.0
    for day in range(20):
        of.close(A=price)
        price *= 1 + (0.10 if day in (6, 8) else -0.10 if day in (7, 9) else 0.001 * (day % 3))
    return of


def test_stressed_var_is_that_of_the_stretch_that_was_worst_for_the_book() -> None:
    asked = {"history": 30, "stressed_window": 4, "stressed_every": 1}
    event = log.risked(log.measured(log.risk(**asked), stretch()), "a")[-1]
    assert event.stressed is not None
    assert (event.stressed.first_period, event.stressed.last_period) == (log.period(5), log.period(8))
    assert event.stressed.levels["0.99"].var == pytest.approx(0.10 * (event.gross.value or 0.0))
    assert (event.methods["historical"].levels["0.99"].var or 0.0) < 0.01 * (event.gross.value or 0.0)


def test_between_searches_the_stretch_stays_and_the_log_says_when_it_was_looked_for() -> None:
    asked = {"history": 30, "stressed_window": 4, "stressed_every": 6}
    tests: list[RiskBacktested] = log.backtested(log.measured(log.risk(**asked), stretch()), "a")
    searched = [day for day, event in enumerate(tests) if event.stressed_at == log.period(day)]
    assert searched[0] == 4
    assert [b - a for a, b in pairwise(searched[1:])] == [6] * (len(searched) - 2)
    for before, after in pairwise(tests):
        assert after.stressed_at == after.period or after.stressed_window == before.stressed_window


def test_a_history_shorter_than_the_window_has_no_stressed_var_and_says_how_much_it_needs() -> None:
    event = measured(crash({"A": 1.0}), stressed_window=9)
    assert event.stressed is not None
    assert (event.stressed.status, event.stressed.reason) == ("insufficient", "needs 9 periods of what is held")
    assert event.stressed.levels["0.99"].var is None


# -- the file --------------------------------------------------------------------------------------------------------


def test_scenarios_are_published_in_the_order_of_the_file() -> None:
    event = measured(crash({"A": 1.0}), shocks("first"), window(1, 2, "second"), shocks("third"))
    assert list(event.stress) == ["first", "second", "third"]


def test_the_delivered_scenarios_are_the_crises_and_shocks_that_the_page_names() -> None:
    delivered = {scenario.name: scenario for scenario in stress_book(None).scenarios}
    windows = {name: (of.window.first, of.window.last) for name, of in delivered.items() if of.window}
    assert windows == {
        "2000-03": ("2000-03-01", "2000-03-31"),
        "2008-09..10": ("2008-09-01", "2008-10-31"),
        "2020-02..03": ("2020-02-01", "2020-03-31"),
    }
    assert sum(of.shocks is not None for of in delivered.values()) >= 3


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("scenarios: [{name: x}]", "expected either a window or shocks"),
        ("scenarios: [{name: x, shocks: {kinds: {equity: -1.5}}}]", "scenarios.0.shocks.kinds.equity"),
        ("scenarios: [{name: x, shocks: {}}, {name: x, shocks: {}}]", "expected names that differ"),
        ("scenarios: [{name: x, window: {first: '2008'}}]", "scenarios.0.window"),
        ("scenarios: [", "stress.yaml"),
    ],
    ids=["neither", "more than all is lost", "one name twice", "no period", "no YAML"],
)
def test_a_file_that_is_wrong_is_named_with_what_is_wrong_in_it(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "stress.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=str(path)) as error:
        stress_book(path)
    assert wrong in str(error.value)


def test_the_example_of_the_page_is_a_file_that_can_be_read(tmp_path: Path) -> None:
    example = PAGE.read_text().split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "stress.yaml"
    path.write_text(example)
    assert len(stress_book(path).scenarios) == 2


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        stress_book(tmp_path / "nowhere.yaml")
