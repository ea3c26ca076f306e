"""On many windows of real returns no fit is less likely than the one of another package."""

import csv
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

import pytest
from scipy import stats

from tailstream.quant.arrays import Floats
from tailstream.quant.var import MINIMUM_OBSERVATIONS
from tailstream.runtime.plugins import methods

from .market_series import WINDOWS, window
from .test_garch import by_hand

METHODS = methods(MINIMUM_OBSERVATIONS, ["student_t", "extreme_value", "garch"])

with (Path(__file__).parent / "references" / "likelihoods.csv").open(newline="") as file:
    ROWS = list(csv.DictReader(file))

BY_METHOD_AND_COLUMN = {
    key: list(rows)
    for key, rows in groupby(
        sorted(ROWS, key=lambda row: (row["method"], row["column"])), key=lambda row: (row["method"], row["column"])
    )
}


def log_likelihood(method: str, pnl: Floats, fitted: Mapping[str, float]) -> float:
    """Of what the method was fitted to, by densities that are not its own."""
    if method == "garch":
        return by_hand(pnl, fitted)[0]
    if method == "student_t":
        return float(stats.t.logpdf(pnl, *(fitted[name] for name in ("df", "loc", "scale"))).sum())
    excesses = -pnl[-pnl > fitted["threshold"]] - fitted["threshold"]
    return float(stats.genpareto.logpdf(excesses, fitted["shape"], 0.0, fitted["scale"]).sum())


@pytest.mark.parametrize(("method", "column"), BY_METHOD_AND_COLUMN)
def test_no_likelihood_is_below_that_of_another_package(method: str, column: str) -> None:
    for row in BY_METHOD_AND_COLUMN[method, column]:
        pnl, theirs = 100.0 * window(column, int(row["first"]), int(row["days"])), float(row["log_likelihood"])
        estimate = METHODS[method].estimate(pnl, (0.99,))
        assert estimate.status == "ok", estimate.reason
        ours = log_likelihood(method, pnl, estimate.parameters)
        assert ours >= theirs - 1e-9 * abs(theirs), f"from day {row['first']}"


def test_every_window_was_fitted_by_every_method() -> None:
    fitted = {(row["method"], row["column"], int(row["first"]), int(row["days"])) for row in ROWS}
    assert fitted == {(method, *place) for method in METHODS for place in WINDOWS}
