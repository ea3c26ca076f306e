"""A table of dated numbers as it stands in a file: CSV (also gzipped) or Parquet, told apart by its content.

The first column is the date, each other column a series; an empty cell is a gap. Rows are named as an editor counts
the lines of a CSV file, the header being row 1; those of a Parquet file count from 1.
"""

import csv
import gzip
import io
import math
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tailstream.files.errors import WrongFile
from tailstream.quant.arrays import Floats

STANDARD_INPUT = "-"
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"


class Row(NamedTuple):
    """One row as it was read, and where: the cells are text from CSV, from Parquet values or None."""

    number: int
    cells: Sequence[object]


class Sheet(NamedTuple):
    """Rows of cells under their columns' names; ``name`` is what errors call the file."""

    name: str
    columns: tuple[str, ...]
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers under strictly ascending dates.

    `values` (T, C): NaN is a gap, everything else finite. `rows` (T,): the row of the file that each date stands in.
    """

    name: str
    dates: tuple[datetime, ...]
    columns: tuple[str, ...]
    values: Floats
    rows: tuple[int, ...]

    def place(self, period: int, column: int) -> str:
        """How an error names one cell."""
        return f"{self.name}: row {self.rows[period]}, column {self.columns[column]!r}"


def read_table(file: str) -> Table:
    """The table of a file, or of standard input for ``-``.

    Raises
    ------
    WrongFile
        When it cannot be read: a cell that is no finite number, a date that is no date, twice there or not in order.
    """
    sheet = read_sheet(file)
    if len(sheet.columns) < 2:
        raise WrongFile(f"{sheet.name}: expected a column of dates and one or more series, found {list(sheet.columns)}")
    dates = list(_dates(sheet))
    columns = sheet.columns[1:]
    values = np.array([_numbers(sheet, row) for row in sheet.rows])
    return Table(sheet.name, tuple(dates), columns, values, tuple(row.number for row in sheet.rows))


def read_sheet(file: str) -> Sheet:
    """The cells of a file, or of standard input for ``-``, with one name for each column and at least one row.

    Raises
    ------
    WrongFile
        When it is missing, empty, neither CSV nor Parquet, or a row has more or fewer cells than the header.
    """
    name = "standard input" if file == STANDARD_INPUT else file
    content = _content(file, name)
    sheet = _parquet(content, name) if content.startswith(_PARQUET) else _csv(_text(content, name), name)
    if not sheet.rows:
        raise WrongFile(
            f"{name}: expected a header and at least one row, found {len(sheet.columns)} columns and no row"
        )
    _expect_names(sheet)
    return sheet


def _expect_names(sheet: Sheet) -> None:
    """Refuse a series without a name, and a name that is there twice; the dates need none."""
    for at, column in enumerate(sheet.columns):
        if not column and at:
            raise WrongFile(f"{sheet.name}: row 1: expected a name for each series, column {at + 1} has none")
        if sheet.columns.count(column) > 1:
            raise WrongFile(f"{sheet.name}: column {column!r}: expected every name once, found it twice")


def label(moment: datetime) -> str:
    """A date as it was written: without a time of day where there is none."""
    plain = moment.time() == time.min and moment.tzinfo is None
    return moment.date().isoformat() if plain else moment.isoformat()


def number(cell: object) -> float:
    """The number of a cell; NaN for an empty one. Raises ValueError when it is anything but a finite number."""
    if isinstance(cell, str):
        return _finite(cell) if cell.strip() else math.nan
    value = math.nan if cell is None else float(cell)  # type: ignore[arg-type]
    if math.isinf(value):
        raise ValueError
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or "_" in text:
        raise ValueError
    return value


def _content(file: str, name: str) -> bytes:
    if file == STANDARD_INPUT and sys.stdin is None:
        raise WrongFile(f"{name}: expected a CSV or Parquet file, was closed")
    try:
        content = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        raise WrongFile(
            f"{name}: expected a CSV or Parquet file: {getattr(error, 'strerror', None) or error}"
        ) from error


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongFile(f"{name}: expected text in UTF-8, or a Parquet file: {error}") from error


def _csv(text: str, name: str) -> Sheet:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = tuple(cell.strip() for cell in next(reader, ()))
        rows = [Row(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise WrongFile(f"{name}: row {reader.line_num}: expected comma-separated values: {error}") from error
    if len(header) == 1:
        raise WrongFile(f"{name}: row 1: expected names of columns with commas between them, was {header[0]!r}")
    for row in rows:
        if len(row.cells) != len(header):
            raise WrongFile(f"{name}: row {row.number}: expected {len(header)} cells, found {len(row.cells)}")
    return Sheet(name, header, rows)


def _parquet(content: bytes, name: str) -> Sheet:
    import pandas  # half a second that a CSV file does without

    try:
        frame = pandas.read_parquet(io.BytesIO(content))
    except (OSError, ValueError) as error:
        raise WrongFile(f"{name}: expected a Parquet file: {error}") from error
    if not isinstance(frame.index, pandas.RangeIndex):
        frame = frame.reset_index()
    columns = [column.astype(object).where(column.notna(), None).tolist() for _, column in frame.items()]
    rows = [Row(at, cells) for at, cells in enumerate(zip(*columns, strict=True), start=1)]
    return Sheet(name, tuple(map(str, frame.columns)), rows)


def _dates(sheet: Sheet) -> Iterator[datetime]:
    before: tuple[datetime, int] | None = None
    for row in sheet.rows:
        place = f"{sheet.name}: row {row.number}, column {sheet.columns[0]!r}"
        moment = _moment(row.cells[0], place)
        if before is not None:
            _expect_later(moment, *before, place)
        before = moment, row.number
        yield moment


def _moment(cell: object, place: str) -> datetime:
    try:
        if isinstance(cell, datetime):
            return cell
        return datetime.combine(cell, time.min) if isinstance(cell, date) else datetime.fromisoformat(str(cell).strip())
    except ValueError:
        raise WrongFile(f"{place}: expected a date such as 2022-12-28, was {cell!r}") from None


def _expect_later(moment: datetime, before: datetime, row: int, place: str) -> None:
    if (moment.tzinfo is None) != (before.tzinfo is None):
        raise WrongFile(f"{place}: expected a time zone with all dates or with none, was {label(moment)}")
    if moment == before:
        raise WrongFile(f"{place}: expected every date once, {label(moment)} is in row {row} too")
    if moment < before:
        raise WrongFile(f"{place}: expected dates oldest first, was {label(moment)} after {label(before)} in row {row}")


def _numbers(sheet: Sheet, row: Row) -> list[float]:
    try:
        return list(map(number, row.cells[1:]))
    except (TypeError, ValueError):
        column, cell = next(_unreadable(zip(sheet.columns[1:], row.cells[1:], strict=True)))
    raise WrongFile(
        f"{sheet.name}: row {row.number}, column {column!r}: expected a finite number or an empty cell, was {cell!r}"
    )


def _unreadable(cells: Iterable[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    for column, cell in cells:
        try:
            number(cell)
        except (TypeError, ValueError):
            yield column, cell
