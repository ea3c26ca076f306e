"""Figures as rows, so that what should be and what is there can be laid side by side."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

TINY = 1e-3
"""A smaller fraction, or money that is a smaller share of NAV, is compared as if it were of this size."""
MONEY = (
    "nav", "pnl", "actual_pnl", "hypothetical_pnl", "flow", "gross", "net", "long", "short", "exposure",
    "var", "es", "component_var", "component_es", "mean", "sigma", "threshold",
)  # fmt: skip
"""Last words of the names of the figures that are in the portfolio's base currency."""


class Row(NamedTuple):
    """One figure of one portfolio and period, or of a ``part`` of it; ``value`` None is undefined."""

    figure: str
    portfolio_id: str
    period: str
    value: float | None
    part: str = ""


def number(value: float) -> float | None:
    """A figure as a row has it; what is not finite is undefined."""
    return float(value) if math.isfinite(value) else None


def deviations(found: Iterable[Row], expected: Iterable[Row], navs: "pd.Series[float]") -> pd.DataFrame:
    """Every figure that either side has, with its relative deviation: infinite where only one side has a value.

    ``navs`` by portfolio and period tell how much money is tiny.
    """
    about = ["figure", "portfolio_id", "period", "part"]
    left, right = (pd.DataFrame(rows, columns=Row._fields).astype({"value": float}) for rows in (found, expected))
    both = left.merge(right, how="outer", on=about, suffixes=("_found", "_expected"), indicator="side")
    nav = navs.reindex(pd.MultiIndex.from_frame(both[["portfolio_id", "period"]])).abs().reset_index(drop=True)
    is_money = both["figure"].str.split(" ").str[-1].isin(MONEY)
    size = both["value_expected"].abs().clip(lower=TINY * nav.where(is_money, 1.0))
    deviation = ((both["value_found"] - both["value_expected"]).abs() / size).fillna(float("inf"))
    undefined = both["value_found"].isna() & both["value_expected"].isna() & (both["side"] == "both")
    return both.assign(deviation=deviation.mask(undefined, 0.0))
