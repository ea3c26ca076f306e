from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest

from tailstream.files.errors import UnclearKind, WrongFile
from tailstream.files.series import Kind, Periods, expect_hits, periods_of, told_apart
from tailstream.files.table import read_table

Write = Callable[..., str]


def rows(*cells: str) -> list[str]:
    return [f"2020-01-{day:02},{cell}" for day, cell in enumerate(cells, start=1)]


def periods(write: Write, kind: Kind, *cells: str, header: str = "Date,A") -> Periods:
    return periods_of(read_table(write(header, *rows(*cells))), kind)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (("0.01", "-0.02", "0.03"), Kind.RETURNS),
        (("0", "0", "0"), Kind.RETURNS),
        (("0.01", "-1.5", "0.03"), Kind.RETURNS),
        (("0.01", "-0.02", "10000"), Kind.RETURNS),
        (("100", "101", "99"), Kind.PRICES),
        (("0.264", "0.266", "0.275"), Kind.PRICES),
        (("100", "", "0.001"), Kind.PRICES),
    ],
    ids=str,
)
def test_returns_and_prices_are_told_apart_where_that_is_clear(
    write: Write, cells: tuple[str, ...], kind: Kind
) -> None:
    assert told_apart(read_table(write("Date,A", *rows(*cells)))) is kind


@pytest.mark.parametrize("cells", [("0.01", "0.02"), ("1.2", "-0.8"), ("100", "-5"), ("", "")], ids=str)
def test_what_could_be_either_is_not_guessed(write: Write, cells: tuple[str, ...]) -> None:
    with pytest.raises(UnclearKind, match=r"expected what is clearly prices, or returns .*, found"):
        told_apart(read_table(write("Date,A", *rows(*cells))))


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("100,0.01", "101,0.02"), "nothing but numbers above 0, of which half are small in column 'B'"),
        (("100,50", "101,0"), "0 in row 3, column 'B', but half of the numbers are large in column 'A'"),
        (("-0.01,90", "0.02,91"), "-0.01 in row 2, column 'A', but half of the numbers are large in column 'B'"),
        ((",", ","), "no number"),
    ],
    ids=str,
)
def test_what_could_be_either_says_where_the_doubt_comes_from(write: Write, lines: tuple[str, ...], found: str) -> None:
    with pytest.raises(UnclearKind, match=f"found {found}$"):
        told_apart(read_table(write("Date,A,B", *rows(*lines))))


def test_one_column_that_may_be_either_makes_the_table_unclear(write: Write) -> None:
    with pytest.raises(UnclearKind):
        told_apart(read_table(write("Date,A,B", *rows("100,0.01", "101,0.02"))))


def test_a_return_over_a_gap_in_prices_is_missing_and_not_made_up(write: Write) -> None:
    (series,) = periods(write, Kind.PRICES, "100", "110", "", "121", "133.1").series()
    assert series.returns == pytest.approx([0.1, 0.1])
    assert series.dates == (datetime(2020, 1, 2), datetime(2020, 1, 5))
    assert series.start == datetime(2020, 1, 1)


def test_each_series_has_a_mask_of_its_own(write: Write) -> None:
    first, second = periods(write, Kind.RETURNS, "0.1,", "0.2,0.3", header="Date,A,B").series()
    assert (first.returns.tolist(), second.returns.tolist()) == ([0.1, 0.2], [0.3])
    assert (first.start, second.start) == (None, datetime(2020, 1, 1))


@pytest.mark.parametrize("price", ["0", "-1"])
def test_a_price_that_is_not_above_zero_is_named(write: Write, price: str) -> None:
    with pytest.raises(WrongFile, match=rf"series\.csv: row 3, column 'A': expected a price above 0, was {price}$"):
        periods(write, Kind.PRICES, "100", price)


def test_the_newest_periods_of_prices_are_as_many_returns(write: Write) -> None:
    found = periods(write, Kind.PRICES, "100", "110", "121", "133.1")
    assert found.newest(2).returns.tolist() == [pytest.approx([0.1, 0.1])]
    assert found.newest(2).starts[0] == datetime(2020, 1, 2)
    assert found.newest(99).returns.shape == found.newest(None).returns.shape == (1, 3)


def test_overlapping_returns_compound_every_run_of_periods() -> None:
    days = tuple(datetime(2020, 1, day) for day in range(1, 5))
    found = Periods((None, *days[:-1]), days, ("A",), np.array([[0.1, -0.1, 0.2, 0.0]])).compounded(2)
    assert found.returns.tolist() == [pytest.approx([-0.01, 0.08, 0.2])]
    assert found.dates == days[1:]
    assert found.starts == (None, days[0], days[1])


def test_a_gap_makes_every_overlapping_return_across_it_missing() -> None:
    days = tuple(datetime(2020, 1, day) for day in range(1, 5))
    found = Periods(days, days, ("A",), np.array([[0.1, np.nan, 0.2, 0.0]])).compounded(2)
    assert np.isnan(found.returns).tolist() == [[True, True, False]]


@pytest.mark.parametrize("horizon", [3, 4, 5, 50])
def test_a_horizon_longer_than_the_series_leaves_nothing(horizon: int) -> None:
    days = (datetime(2020, 1, 1), datetime(2020, 1, 2))
    found = Periods(days, days, ("A",), np.array([[0.1, 0.1]])).compounded(horizon)
    assert found.returns.shape == (1, 0)
    assert found.dates == found.starts == ()


def test_one_price_has_no_returns(write: Write) -> None:
    (series,) = periods(write, Kind.PRICES, "100").series()
    assert series.returns.size == 0
    assert series.start is None


@pytest.mark.parametrize("cell", ["0.5", "2", "-1"])
def test_a_hit_is_one_or_zero(write: Write, cell: str) -> None:
    table = read_table(write("Date,A", *rows("0", "", "1", cell)))
    with pytest.raises(WrongFile, match=r"row 5, column 'A': expected 1 for a hit or 0 for none"):
        expect_hits(table)
