"""Days of the S&P 500 up to a date, as the reference figures of tails.csv and history.csv have them."""

import csv
import gzip
from pathlib import Path

import numpy as np

from tailstream.quant.arrays import Floats

DAYS = 1_000
REFERENCES = Path(__file__).parent / "references" / "tails.csv"

with gzip.open(Path(__file__).parents[2] / "data" / "sp500_index.csv.gz", "rt", newline="") as file:
    _DATES, _LEVELS = zip(*list(csv.reader(file))[1:], strict=True)

RETURNS: Floats = np.diff(np.array(_LEVELS, dtype=float)) / np.array(_LEVELS[:-1], dtype=float)


def up_to(date: str, days: int = DAYS) -> Floats:
    """The simple returns (days,) of the index, oldest first, the last one that of `date`."""
    end = _DATES.index(date)
    return RETURNS[end - days : end]


def references(*figures: str) -> list[dict[str, str]]:
    """The rows of tails.csv that are of these figures."""
    with REFERENCES.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["figure"] in figures]
