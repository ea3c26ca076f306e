"""The real prices of ``data/``: every instrument's close on every New York trading day."""

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Prices = Mapping[str, float]
"""Price by instrument; an instrument without a price is not in it."""


@dataclass(frozen=True)
class History:
    """Closes by day and instrument, shape (days, instruments); NaN until an instrument's first price, never after."""

    dates: tuple[date, ...]
    instruments: tuple[str, ...]
    closes: Floats

    def prices(self, day: int) -> Prices:
        """The closes of the ``day``-th trading day, counted from 0."""
        return priced(self.instruments, self.closes[day])

    @cached_property
    def ordinals(self) -> npt.NDArray[np.int64]:
        """The days as proleptic Gregorian ordinals, ascending."""
        return np.array([day.toordinal() for day in self.dates], dtype=np.int64)

    def first_on_or_after(self, day: date) -> int:
        """Index of the first trading day that is not before ``day``; the number of days when there is none."""
        return int(np.searchsorted(self.ordinals, day.toordinal(), side="left"))


def priced(instruments: tuple[str, ...], row: Floats) -> Prices:
    """A row of prices by instrument, without those that have none (NaN)."""
    return {name: price for name, price in zip(instruments, row.tolist(), strict=True) if price == price}


def load_history(folder: Path | None = None) -> History:
    """Read the stocks, the index and the euro's rates, aligned to the stocks' trading days.

    A rate is quoted as the ECB does: units of the currency for one euro, under the instrument ``fx:EUR...``. A day
    without a rate has the one in force, the last that was published.

    Raises
    ------
    FileNotFoundError
        Naming the file, when the data are neither beside the sources nor in the installed package.
    """
    folder = folder or data_folder()
    dates, stocks, prices = _read(folder / "sp500_stocks.csv.gz")
    index_dates, index, levels = _read(folder / "sp500_index.csv.gz")
    rate_dates, currencies, rates = _read(folder / "ecb_reference_rates.csv.gz")
    names = (*stocks, *index, *(f"fx:EUR{currency}" for currency in currencies))
    closes = np.hstack([prices, _in_force(index_dates, levels, dates), _in_force(rate_dates, rates, dates)])
    return History(tuple(date.fromisoformat(day) for day in dates), names, closes)


def data_folder() -> Path:
    """Where the files are: inside the installed package, or at the top of a checkout.

    Raises
    ------
    FileNotFoundError
        When there is neither.
    """
    installed = Path(str(files("tailstream"))) / "data"
    checkout = Path(__file__).resolve().parents[2] / "data"
    for folder in (installed, checkout):
        if (folder / "sp500_stocks.csv.gz").is_file():
            return folder
    raise FileNotFoundError(f"data: expected sp500_stocks.csv.gz in {installed} or {checkout}, was in neither")


def _read(path: Path) -> tuple[list[str], list[str], Floats]:
    """Dates, column names and values of a file whose first column is the ISO date, ascending."""
    with gzip.open(path, "rt", encoding="ascii", newline="") as file:
        header, *rows = csv.reader(file)
    return [row[0] for row in rows], header[1:], np.array([row[1:] for row in rows], dtype=np.float64)


def _in_force(dates: list[str], values: Floats, wanted: list[str]) -> Floats:
    """For each wanted date the newest row on or before it; NaN before the first."""
    newest = np.searchsorted(np.array(dates), np.array(wanted), side="right") - 1
    return np.where(newest[:, None] >= 0, values[newest], np.nan)
