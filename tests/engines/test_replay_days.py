"""The replayed days: real closes as the files have them, synthetic slices between them, and passes that follow."""

import csv
import gzip
import hashlib
import re
from datetime import date, timedelta
from functools import cache
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.market import InstrumentDefined
from tailstream.runtime.errors import ConfigurationError
from tailstream.sources.bridge import bridge
from tailstream.sources.days import days
from tailstream.sources.history import History, load_history
from tailstream.sources.instruments import instruments
from tailstream.sources.passes import Plan, quoted
from tailstream.sources.replay import days_after
from tailstream.sources.session import closing, opening

DATA = Path(__file__).parents[2] / "data"
PRICES = st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=5)


@cache
def history() -> History:
    return load_history()


def plan(first: str, last: str, **options: object) -> Plan:
    return Plan(date.fromisoformat(first), date.fromisoformat(last), **options)  # type: ignore[arg-type]


def rows(name: str) -> dict[str, dict[str, str]]:
    with gzip.open(DATA / name, "rt") as file:
        return {row["Date"]: row for row in csv.DictReader(file)}


def test_the_files_are_the_ones_whose_provenance_is_written_down() -> None:
    written = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", (DATA / "README.md").read_text(), re.MULTILINE))
    found = {hashlib.sha256(path.read_bytes()).hexdigest(): path.name for path in DATA.glob("*.csv.gz")}
    assert found == written


def test_every_close_is_the_price_in_the_file() -> None:
    stocks, index, rates = rows("sp500_stocks.csv.gz"), rows("sp500_index.csv.gz"), rows("ecb_reference_rates.csv.gz")
    seen = {day.period: day.prices for day in days(history(), plan("1990-01-02", "2022-12-28", once=True))}
    assert list(seen) == list(stocks)
    for period, prices in seen.items():
        expected = {name: float(price) for name, price in stocks[period].items() if name != "Date"}
        expected["SP500"] = float(index[period]["SP500"])
        rate = rates.get(period)
        expected |= {f"fx:EUR{name}": float(price) for name, price in rate.items() if name != "Date"} if rate else {}
        assert expected.items() <= prices.items()
    assert len(seen) == 8313


def test_a_day_without_a_rate_has_the_last_one_that_was_published() -> None:
    seen = {day.period: day.prices for day in days(history(), plan("2000-04-20", "2000-04-25", once=True))}
    assert seen["2000-04-24"]["fx:EURUSD"] == seen["2000-04-20"]["fx:EURUSD"] == 0.9376
    assert seen["2000-04-25"]["fx:EURUSD"] != 0.9376


def test_there_is_no_euro_before_it_was_born() -> None:
    seen = {day.period: day.prices for day in days(history(), plan("1998-12-30", "1999-01-04", once=True))}
    assert [name for name in seen["1998-12-31"] if name.startswith("fx:")] == []
    assert seen["1999-01-04"]["fx:EURUSD"] == 1.1789


def test_the_warm_up_has_prices_alone_and_ends_where_the_days_begin() -> None:
    replayed = list(days(history(), plan("2007-01-01", "2007-01-05", once=True)))
    warm_up = [day for day in replayed if day.warm_up]
    assert len(warm_up) == 500
    assert not any(day.at_open or day.at_close for day in warm_up)
    assert [day.period for day in replayed[500:]] == ["2007-01-03", "2007-01-04", "2007-01-05"]
    assert warm_up[-1].period == "2006-12-29"


def test_the_warm_up_is_as_long_as_the_history_allows() -> None:
    replayed = list(days(history(), plan("1990-01-05", "1990-01-05", once=True)))
    assert [day.warm_up for day in replayed] == [True, True, True, False]


def test_a_range_without_a_trading_day_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match=r"from, to: expected .* 1990-01-02 and 2022-12-28, was 2007-01-06 to 2007-01-07"
    ):
        next(days(history(), plan("2007-01-06", "2007-01-07")))


def test_days_go_on_after_the_periods_that_are_closed() -> None:
    whole = [day.period for day in days(history(), plan("2007-01-01", "2007-01-05", once=True))]
    left = days_after(whole[:501], days(history(), plan("2007-01-01", "2007-01-05", once=True)))
    assert [day.period for day in left] == ["2007-01-04", "2007-01-05"]


def test_nothing_is_left_of_a_plan_that_ends_before_the_log_does() -> None:
    whole = [day.period for day in days(history(), plan("2007-01-01", "2007-01-05", once=True))]
    left = days_after(whole, days(history(), plan("2007-01-01", "2007-01-04", once=True)))
    assert list(left) == []


def test_a_log_that_was_begun_with_another_plan_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"market\.closes\.v1: expected period 2005-01-06, was 2006-12-22"):
        days_after(["2006-12-22"], days(history(), plan("2007-01-01", "2007-01-05")))


def test_the_same_plan_makes_the_same_days() -> None:
    def made() -> list[bytes]:
        replayed = days(history(), plan("2007-01-01", "2007-06-30", once=True, warm_up_closes=3))
        return [
            event.to_json()
            for day in replayed
            for event in (*day.at_open.holdings, *day.slices(3, "replay"), *day.at_close.holdings)
        ]

    assert made() == made()


def test_slices_are_labelled_synthetic_and_lie_within_the_session_in_order() -> None:
    *_, day = days(history(), plan("2008-10-01", "2008-10-15", once=True))
    slices = list(day.slices(20, "replay"))
    times = [piece.as_of for piece in slices]
    assert len(slices) == 20
    assert all(piece.synthetic for piece in slices)
    assert all(piece.prices.keys() == day.prices.keys() for piece in slices)
    assert times == sorted(set(times))
    assert opening(day.day) < times[0]
    assert times[-1] < closing(day.day)


def test_no_slices_are_made_when_none_are_wanted_or_no_close_came_before() -> None:
    first, second, *_ = days(history(), plan("1990-01-02", "1990-01-08", once=True))
    assert not list(first.slices(20, "replay"))
    assert not list(second.slices(0, "replay"))


def test_an_instrument_without_a_close_before_is_not_in_the_slices() -> None:
    [*_, born] = days(history(), plan("1998-12-30", "1999-01-04", once=True))
    assert "fx:EURUSD" in born.prices
    assert all("fx:EURUSD" not in piece.prices for piece in born.slices(5, "replay"))


@given(closes=PRICES, steps=st.integers(1, 30), seed=st.integers(0, 2**32), growth=st.floats(0.5, 2.0))
def test_a_bridge_goes_from_close_to_close_and_stays_positive(
    closes: list[float], steps: int, seed: int, growth: float
) -> None:
    start = np.array(closes)
    path = bridge(start, start * growth, steps, np.random.default_rng(seed))
    assert path.shape == (steps + 1, start.size)
    assert np.array_equal(path[0], start)
    assert np.array_equal(path[-1], start * growth)
    assert (path > 0).all()
    assert np.isfinite(path).all()


def test_a_bridge_strays_as_far_as_it_says() -> None:
    start = np.full(20_000, 100.0)
    middle = np.log(bridge(start, start, 2, np.random.default_rng(1))[1] / 100.0)
    assert middle.std() == pytest.approx(0.01 / 2, rel=0.02)  # half way, a unit bridge has variance 1/4


def test_a_further_pass_goes_on_from_the_last_price_with_the_returns_of_the_first() -> None:
    looped = list(islice(days(history(), plan("2020-01-02", "2020-12-31", warm_up_closes=1)), 1 + 3 * 253))
    first, second, third = looped[1:254], looped[254:507], looped[507:760]
    assert not any(day.synthetic for day in first)
    assert all(day.synthetic for day in (*second, *third))
    for name in ("AAPL", "RRC", "SP500", "fx:EURUSD"):
        trend = np.log(first[-1].prices[name] / first[0].before[name]) / 253
        for one, other in zip(first, second, strict=True):
            expected = one.prices[name] / one.before[name] * np.exp(-trend)
            assert other.prices[name] / other.before[name] == pytest.approx(expected, rel=1e-12)
        assert second[-1].prices[name] == pytest.approx(first[-1].prices[name], rel=1e-12)
        assert third[-1].prices[name] == pytest.approx(first[-1].prices[name], rel=1e-12)


def test_further_passes_are_shifted_by_whole_weeks_and_time_never_stands_still() -> None:
    looped = list(islice(days(history(), plan("2020-01-02", "2020-12-31", warm_up_closes=0)), 3 * 253))
    assert all(one.day < other.day for one, other in pairwise(looped))
    for one, other in zip(looped[:253], looped[253:506], strict=True):
        assert (other.day - one.day) % timedelta(weeks=1) == timedelta()


def test_a_pass_over_the_birth_of_the_euro_goes_on_from_its_last_price() -> None:
    looped = list(islice(days(history(), plan("1998-12-30", "1999-01-06", warm_up_closes=0)), 10))
    rates = [day.prices.get("fx:EURUSD") for day in looped]
    assert rates[:2] == [None, None]
    assert rates[5:7] == pytest.approx([rates[4]] * 2, rel=0.02)
    assert rates[-1] == pytest.approx(rates[4], rel=1e-12)


def test_a_pass_of_a_single_day_repeats_its_close() -> None:
    looped = list(islice(days(history(), plan("2020-01-02", "2020-01-02", warm_up_closes=1)), 5))
    assert [day.prices["AAPL"] for day in looped[1:]] == pytest.approx([looped[1].prices["AAPL"]] * 4)


def test_the_passes_end_with_the_calendar() -> None:
    *_, last = quoted(history(), plan("1990-01-02", "2022-12-28", warm_up_closes=0))
    assert 9960 < last.day.year <= 9999


def test_every_instrument_is_defined_with_its_currency_kind_and_sector() -> None:
    defined = {event.instrument_id: event for event in instruments(history())}
    assert list(defined) == list(history().instruments)
    assert [e.kind for e in defined.values()] == ["equity"] * 20 + ["index"] + ["fx"] * 4
    assert all(event.sector for event in defined.values() if event.kind == "equity")
    assert defined["fx:EURGBP"].currency == "GBP"
    assert all(InstrumentDefined.from_json(event.to_json()) == event for event in defined.values())
