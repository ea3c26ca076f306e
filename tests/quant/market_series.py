"""Windows of real daily returns, oldest first, and some from a seed: what fits are compared with their peers on."""

import csv
import gzip
from functools import lru_cache
from pathlib import Path

import numpy as np

from tailstream.quant.arrays import Floats

DATA = Path(__file__).parents[2] / "data"


def returns_of(file: str, column: str) -> Floats:
    """Simple daily returns (n,) of a column of prices in `data/`, from its first price on."""
    prices = np.array([float(price) for price in _columns(file)[column] if price])
    return np.asarray(prices[1:] / prices[:-1] - 1.0)


@lru_cache
def _columns(file: str) -> dict[str, list[str]]:
    with gzip.open(DATA / file, "rt", newline="") as rows:
        return {name: values for name, *values in zip(*csv.reader(rows), strict=True)}


INDEX = returns_of("sp500_index.csv.gz", "SP500")
APPLE = returns_of("sp500_stocks.csv.gz", "AAPL")
ELECTRIC = returns_of("sp500_stocks.csv.gz", "GE")

SERIES: dict[str, Floats] = {
    "S&P 500, the first 1000 days": INDEX[:1000],
    "S&P 500, 1000 days to the end of 2009": INDEX[4042:5042],
    "S&P 500, the last 1000 days": INDEX[-1000:],
    "S&P 500, 500 days from 1992": INDEX[540:1040],
    "S&P 500, all days": INDEX,
    "Apple, the first 1000 days": APPLE[:1000],
    "Apple, 1000 days with three maxima": APPLE[420:1420],
    "General Electric, 1000 days with two maxima": ELECTRIC[1020:2020],
    "t with 4 degrees of freedom": 0.0003 + 0.01 * np.random.default_rng(7).standard_t(4, 1000),
    "normal": 0.01 * np.random.default_rng(4).standard_normal(1000),
}

STOCKS = (
    "AAPL", "AMD", "BAC", "BBY", "CVX", "GE", "HD", "JNJ", "JPM", "KO",
    "LLY", "MRK", "MSFT", "PEP", "PFE", "PG", "RRC", "UNH", "WMT", "XOM",
)  # fmt: skip

WINDOWS = [
    *(("SP500", first, 1_000) for first in range(0, 7_200, 600)),
    *((stock, 1_200 + 97 * place + later, 1_000) for place, stock in enumerate(STOCKS) for later in (0, 2_000, 4_000)),
]
"""Column, first day and number of days: twelve of the index and three of each stock."""


def window(column: str, first: int, days: int) -> Floats:
    """The returns (days,) of a column from its day `first` on."""
    whole = INDEX if column == "SP500" else returns_of("sp500_stocks.csv.gz", column)
    return whole[first : first + days]
