"""Five stocks of the demo's data up to a date, as the reference figures of market.csv have them."""

import csv
import gzip
from pathlib import Path

import numpy as np

from tailstream.quant.arrays import Floats

DAYS = 500
STOCKS = 5
REFERENCES = Path(__file__).parent / "references" / "market.csv"

with gzip.open(Path(__file__).parents[2] / "data" / "sp500_stocks.csv.gz", "rt", newline="") as file:
    _DATES, *_PRICES = zip(*list(csv.reader(file))[1:], strict=True)

PRICES: Floats = np.array(_PRICES, dtype=float)


def up_to(date: str) -> Floats:
    """The simple returns (5, 500) of the first five stocks, oldest first, the last ones those of `date`."""
    end = _DATES.index(date)
    prices = PRICES[:STOCKS, end - DAYS : end + 1]
    returns: Floats = np.diff(prices, axis=1) / prices[:, :-1]
    return returns


def references(*figures: str) -> list[dict[str, str]]:
    """The rows of market.csv that are of these figures."""
    with REFERENCES.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["figure"] in figures]
