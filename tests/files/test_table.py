import gzip
import io
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from tailstream.files.errors import WrongFile
from tailstream.files.table import label, read_table

Write = Callable[..., str]


def test_the_first_column_is_the_date_and_every_other_one_a_series(write: Write) -> None:
    table = read_table(write("Date,A,B", "2020-01-02,1,2.5", "2020-01-03,-1e-3,4"))
    assert table.dates == (datetime(2020, 1, 2), datetime(2020, 1, 3))
    assert table.columns == ("A", "B")
    assert table.values.tolist() == [[1.0, 2.5], [-0.001, 4.0]]


def test_an_empty_cell_is_a_gap_and_is_not_filled(write: Write) -> None:
    table = read_table(write("Date,A,B", "2020-01-02,1, ", "2020-01-03,,4"))
    assert np.isnan(table.values).tolist() == [[False, True], [True, False]]


def test_blank_lines_a_byte_order_mark_and_foreign_line_ends_are_no_data(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(b"\xef\xbb\xbfDate,A\r\n2020-01-02,1\r\n\r\n2020-01-03,2\r\n\r\n")
    table = read_table(str(path))
    assert table.values.ravel().tolist() == [1.0, 2.0]
    assert table.rows == (2, 4)


def test_a_gzipped_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "series"
    path.write_bytes(gzip.compress(b"Date,A\n2020-01-02,1\n"))
    assert read_table(str(path)).values.tolist() == [[1.0]]


def test_standard_input_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Date,A\n2020-01-02,x\n")))
    with pytest.raises(WrongFile, match=r"^standard input: row 2, column 'A': expected a finite number"):
        read_table("-")


def test_a_closed_standard_input_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(WrongFile, match=r"^standard input: expected a CSV or Parquet file, was closed$"):
        read_table("-")


@pytest.mark.parametrize("indexed", [True, False], ids=["dates are the index", "dates are a column"])
@pytest.mark.parametrize("days", [[date(2020, 1, 2), date(2020, 1, 3)], ["2020-01-02", "2020-01-03"]], ids=str)
def test_parquet_is_the_same_as_csv(tmp_path: Path, days: list[Any], indexed: bool) -> None:
    frame = pandas.DataFrame({"Date": days, "A": [1.0, None], "B": [3, 4]})
    path = tmp_path / "series.parquet"
    (frame.set_index("Date") if indexed else frame).to_parquet(path)
    table = read_table(str(path))
    assert table.dates == (datetime(2020, 1, 2), datetime(2020, 1, 3))
    assert table.columns == ("A", "B")
    np.testing.assert_array_equal(table.values, [[1.0, 3.0], [np.nan, 4.0]])


def test_parquet_with_timestamps_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "series.parquet"
    index = pandas.date_range("2020-01-02 16:00", periods=2, tz="UTC")
    pandas.DataFrame({"A": [1.0, 2.0]}, index=index).to_parquet(path)
    assert [label(moment) for moment in read_table(str(path)).dates] == [
        "2020-01-02T16:00:00+00:00",
        "2020-01-03T16:00:00+00:00",
    ]


def test_a_missing_value_in_parquet_is_a_gap_whatever_its_type_and_a_missing_date_is_named(tmp_path: Path) -> None:
    path = tmp_path / "series.parquet"
    days = pandas.to_datetime(["2020-01-02", "2020-01-03"])
    pandas.DataFrame({"Date": days, "A": pandas.array([None, 1], dtype="Int64")}).to_parquet(path)
    np.testing.assert_array_equal(read_table(str(path)).values, [[np.nan], [1.0]])
    pandas.DataFrame({"Date": [days[0], pandas.NaT], "A": [1.0, 2.0]}).to_parquet(path)
    with pytest.raises(WrongFile, match=r"row 2, column 'Date': expected a date such as 2022-12-28, was None$"):
        read_table(str(path))


def test_a_word_in_parquet_is_named_by_its_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "series.parquet"
    pandas.DataFrame({"Date": ["2020-01-02"], "A": ["high"]}).to_parquet(path)
    with pytest.raises(WrongFile, match=r"series\.parquet: row 1, column 'A': expected a finite number .* was 'high'"):
        read_table(str(path))


@pytest.mark.parametrize("cell", ["x", "nan", "NaN", "inf", "-Infinity", "1e999", "1_000", "1;5", "5%", "0x1"])
def test_a_cell_that_is_no_finite_number_is_named(write: Write, cell: str) -> None:
    with pytest.raises(WrongFile, match=r"series\.csv: row 3, column 'B': expected a finite number or an empty cell"):
        read_table(write("Date,A,B", "2020-01-02,1,2", f"2020-01-03,1,{cell}"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["Date,A", "2020-01-03,1", "2020-01-02,1"], "row 3, column 'Date': expected dates oldest first"),
        (["Date,A", "2020-01-02,1", "2020-01-02,1"], "row 3, column 'Date': expected every date once"),
        (["Date,A", "01/02/2020,1"], "row 2, column 'Date': expected a date such as 2022-12-28, was '01/02/2020'"),
        (["Date,A", ",1"], "row 2, column 'Date': expected a date such as 2022-12-28, was ''"),
        (["Date,A", "2020-01-02,1", "2020-01-03T00:00Z,1"], "row 3, column 'Date': expected a time zone with all"),
        (["Date,A", "2020-01-02"], "row 2: expected 2 cells, found 1"),
        (["Date,A", "2020-01-02,1,2"], "row 2: expected 2 cells, found 3"),
        (["Date,A", '2020-01-02,"1'], "expected comma-separated values"),
        (["Date,A,A", "2020-01-02,1,2"], "column 'A': expected every name once"),
        (["Date,A"], "expected a header and at least one row"),
        (["Date", "2020-01-02"], "row 1: expected names of columns with commas between them, was 'Date'"),
        (["Date;A", "2020-01-02;0,1"], "row 1: expected names of columns with commas between them, was 'Date;A'"),
        (["Date,A,", "2020-01-02,1,"], "row 1: expected a name for each series, column 3 has none"),
        ([""], "expected a header and at least one row"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_that_is_none_says_where_and_why(write: Write, lines: list[str], said: str) -> None:
    with pytest.raises(WrongFile) as error:
        read_table(write(*lines))
    assert str(error.value).startswith(write(*lines))
    assert said in str(error.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"PAR1 and no more", b"\x1f\x8b\x08\x00broken"], ids=str)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(WrongFile, match=f"^{path}: expected "):
        read_table(str(path))


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.csv"):
        with pytest.raises(WrongFile, match=f"^{path}: expected a CSV or Parquet file"):
            read_table(str(path))
