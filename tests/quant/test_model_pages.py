"""The pages of the methods: each has all that is promised, and its table is what the code gives."""

import re
from datetime import date

import numpy as np
import pytest

from contracts.event import Status
from contracts.risk import MethodRisk
from docs.tables import statuses
from docs.tables.backtests import EQUAL, LEVELS, records
from docs.tables.pages import ALL, INDEX_PAGE, PAGES, backtest_of, between, methods_of, path_of, replaced
from tailstream.quant.averaging import ID as AVERAGE
from tailstream.quant.var import MINIMUM_OBSERVATIONS, FittedMethod, MarketMethod, Window
from tailstream.quant.var.pareto import fit
from tailstream.runtime.plugins import OWN, methods

from .cases import noise
from .index_windows import RETURNS, up_to

SECTIONS = ("Definition", "Assumptions", "Parameters", "When it fails, and what the service does then", "References")
QUICK = ("historical", "normal")
METHODS = methods(MINIMUM_OBSERVATIONS, OWN)
INDEX = INDEX_PAGE.read_text()


def written(page: str) -> str:
    """The table of a page, as it stands there."""
    found = between("backtest").findall(path_of(page).read_text())
    assert len(found) == 1
    return str(found[0])


def rows(table: str) -> list[list[str]]:
    """The cells of a table's lines, without its head."""
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines if not line.startswith(("| level", "| method"))]


@pytest.mark.parametrize("page", PAGES)
def test_a_method_has_a_page_with_every_section(page: str) -> None:
    text = path_of(page).read_text()
    assert text.startswith(f"# {', '.join(method for method in methods_of(page) if method != EQUAL)}\n")
    sections = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert [section for section in sections if section in SECTIONS] == list(SECTIONS)
    assert text.endswith("<!-- backtest: end -->\n")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_tells_how_its_methods_did_at_every_level(page: str) -> None:
    table = written(page)
    assert re.findall(r"^`(\w+)`: ", table, flags=re.MULTILINE) == list(methods_of(page))
    assert [row[0] for row in rows(table)] == [f"{100 * level:g} %" for level in LEVELS] * len(methods_of(page))


@pytest.mark.parametrize("page", QUICK)
def test_the_table_of_a_page_is_what_a_fresh_backtest_gives(page: str) -> None:
    assert written(page) == backtest_of(page, records([page]))


def test_every_method_and_variant_stands_on_one_page() -> None:
    assert sorted(method for page in PAGES for method in methods_of(page)) == sorted([*OWN, AVERAGE, EQUAL])


def test_the_index_tells_the_window_of_every_method_and_who_is_averaged() -> None:
    told = {row[0].partition("]")[0].strip("["): row for row in rows(INDEX[: INDEX.index("## The backtest")])}
    assert tuple(told) == PAGES
    for page in PAGES[:-1]:
        method = METHODS[page]
        assert told[page][2] == {Window.SCENARIOS: "500", Window.FIT: "1,000"}[method.window]
        assert told[page][4].startswith("yes") is method.averaged
        assert told[page][3].startswith("market-wide") is isinstance(method, MarketMethod)
        assert ("every 20 closes, " in told[page][3]) is isinstance(method, FittedMethod)


@pytest.mark.parametrize(("table", "methods"), [("backtest", ALL), ("status", PAGES)])
def test_the_index_compares_all_methods(table: str, methods: tuple[str, ...]) -> None:
    found = between(table).findall(INDEX)
    assert [row[0].partition("]")[0].strip("[") for row in rows(found[0])] == list(methods)


def test_what_the_index_says_of_its_table_stands_in_it() -> None:
    found = {row[0].partition("]")[0].strip("["): row[1:] for row in rows(between("backtest").findall(INDEX)[0])}
    passed = {method for method, (_, kupiec, *_) in found.items() if float(kupiec.removeprefix("< ")) > 0.05}
    assert passed == {"filtered", "average", EQUAL}
    by_loss = sorted(set(OWN), key=lambda method: float(found[method][5]))
    assert set(by_loss[:3]) == {"age_weighted", "filtered", "garch"}
    assert float(found[by_loss[0]][5]) < float(found["average"][5]) < float(found[EQUAL][5])


def told(page: str, pattern: str) -> list[float]:
    """The numbers that a page tells in a sentence."""
    found = re.search(pattern, path_of(page).read_text())
    assert found, f"expected the sentence {pattern}"
    return [float(number) for number in found.groups()]


def test_the_shapes_that_the_page_of_extreme_value_tells_are_those_of_the_index() -> None:
    least, most = told("extreme_value", r"shapes from (-[\d.]+) to ([\d.]+), the highest in March 2020")
    windows = [RETURNS[first : first + 1_000] for first in range(0, RETURNS.size - 1_000, 40)]
    shapes = [fit(excesses_of(pnl)).shape for pnl in windows]
    assert least <= min(shapes)
    assert max(shapes) < most
    assert fit(excesses_of(up_to("2020-03-20"))).shape == pytest.approx(most, abs=0.005)


def excesses_of(pnl: np.ndarray) -> np.ndarray:
    above = -pnl - np.quantile(-pnl, 0.9)
    return above[above > 0.0]


def with_and_without_a_bad_tick(page: str) -> tuple[float, float, float]:
    """The df before and after a loss a million times the usual one, and how many times the VaR at 99 % it makes."""
    spoilt = noise(1_000)
    spoilt[500] = -1e4
    before, after = (METHODS[page].estimate(pnl, (0.99,)) for pnl in (noise(1_000), spoilt))
    return before.parameters["df"], after.parameters["df"], (after.var[0] or 0.0) / (before.var[0] or 1.0)


def test_what_the_page_of_student_t_says_of_a_bad_tick_is_so() -> None:
    sentence = r"df falls, from ([\d.]+) to ([\d.]+) in 1,000 observations, and the VaR at 99 % grows by (\d+) %"
    before, after, growth = with_and_without_a_bad_tick("student_t")
    assert [round(before, 1), round(after, 1), round(100.0 * (growth - 1.0))] == told("student_t", sentence)


def test_what_the_page_of_garch_says_of_a_bad_tick_is_so() -> None:
    _, after, growth = with_and_without_a_bad_tick("garch")
    assert told("garch", r"df near ([\d.]+): the VaR at 99 % is about one and a half times") == [
        pytest.approx(after, abs=0.1)
    ]
    assert growth == pytest.approx(1.5, abs=0.05)


def test_every_method_is_ok_at_nearly_all_shipped_closes() -> None:
    found = rows(between("status").findall(INDEX)[0])
    assert [row[0] for row in found if float(row[1].removesuffix(" %")) < 99.0] == []


def test_a_census_counts_every_measurement_of_every_method_once() -> None:
    counted = statuses.counted(date(2007, 1, 3), date(2007, 1, 5))
    assert (counted.closes, len(counted.portfolios)) == (3, 6)
    assert {name: tally.statuses.total() for name, tally in counted.tallies.items()} == dict.fromkeys(PAGES, 18)
    twice = statuses.together([counted, counted])
    assert twice.closes == 6
    assert twice.tallies["normal"].statuses == {Status.OK: 36}


def test_a_measurement_that_is_not_ok_is_counted_with_its_reason() -> None:
    tally = statuses.Tally()
    for risk in (("ok", None, {"matched": 1.0}), ("ok", None, {"matched": 0.0}), ("degraded", "a day outweighs", {})):
        tally.count(MethodRisk(status=risk[0], reason=risk[1], parameters=risk[2], levels={}))
    assert tally == statuses.Tally({"ok": 2, "degraded": 1}, {"a day outweighs": 1}, matched=1)


def test_a_page_without_its_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="markers of backtest once, found them 0 times"):
        replaced("# historical\n", "backtest", "a table")
