"""Real closes out of the data files, and what one unit of anything was worth in a base currency."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

FX = "fx:"
CASH = "cash:"


def load_closes(folder: Path) -> pd.DataFrame:
    """Closes (trading day, instrument) as ``data/README.md`` says: the days of the stocks, the ECB's rate in force."""
    stocks = _read(folder / "sp500_stocks.csv.gz")
    index = _in_force(_read(folder / "sp500_index.csv.gz"), stocks.index)
    rates = _in_force(_read(folder / "ecb_reference_rates.csv.gz"), stocks.index)
    return pd.concat([stocks, index, rates.add_prefix(f"{FX}EUR")], axis="columns")


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, index_col=0, float_precision="round_trip")


def _in_force(published: pd.DataFrame, days: pd.Index) -> pd.DataFrame:
    """On every day the last row that was published until then."""
    return published.reindex(published.index.union(days)).ffill().reindex(days)


def unit_worth(closes: pd.DataFrame, instruments: Mapping[str, dict[str, Any]], base: str) -> pd.DataFrame:
    """What one unit of each instrument, and of each currency as ``cash:USD``, was worth in ``base`` at each close.

    The change of a column is the return in the base currency, (1 + r)(1 + f) - 1. NaN where a price is missing.
    """
    held = {name: terms for name, terms in instruments.items() if terms["kind"] != "fx"}
    worth = {
        name: closes[name] * terms["multiplier"] * _rate(closes, base, terms["currency"])
        for name, terms in held.items()
    }
    quoted = (name.removeprefix(FX) for name in closes if name.startswith(FX))
    currencies = sorted({base} | {currency for pair in quoted for currency in (pair[:3], pair[3:])})
    money = {f"{CASH}{currency}": _rate(closes, base, currency) for currency in currencies}
    return pd.DataFrame(worth | money, index=closes.index)


def _rate(closes: pd.DataFrame, base: str, currency: str) -> "pd.Series[float]":
    """Units of ``base`` for one unit of ``currency``; ``fx:EURUSD`` is quoted in USD for one EUR."""
    if base == currency:
        return pd.Series(1.0, index=closes.index)
    if f"{FX}{base}{currency}" in closes:
        return 1.0 / closes[f"{FX}{base}{currency}"]
    if f"{FX}{currency}{base}" in closes:
        return closes[f"{FX}{currency}{base}"]
    return pd.Series(float("nan"), index=closes.index)
