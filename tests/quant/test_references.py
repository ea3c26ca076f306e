"""Against other packages: tests/quant/references says which, in what version, and by which call."""

import csv
from pathlib import Path

import numpy as np
import pytest

from services.analytics.analyzers import ANALYZERS, Window
from tailstream.quant.arrays import UNPRICED
from tailstream.quant.var import MINIMUM_OBSERVATIONS
from tailstream.runtime.plugins import methods

from .index_windows import up_to

pytestmark = pytest.mark.filterwarnings("error")

REFERENCES = Path(__file__).parent / "references"
METHODS = methods(MINIMUM_OBSERVATIONS)
RETURNS = np.loadtxt(REFERENCES / "returns.csv", skiprows=1)

HISTORY_DAYS = 601


def rows_of(name: str) -> list[dict[str, str]]:
    with (REFERENCES / name).open(newline="") as file:
        return list(csv.DictReader(file))


ROWS, HISTORY = rows_of("figures.csv"), rows_of("history.csv")


def of_history(*figures: str) -> pytest.MarkDecorator:
    rows = [row for row in HISTORY if row["figure"] in figures]
    ids = [f"{row['figure']} {row['level']} by {row['package']} on {row['date']}" for row in rows]
    return pytest.mark.parametrize("row", rows, ids=ids)


def estimated(method: str, row: dict[str, str]) -> tuple[float, float]:
    """VaR and ES of the row's days at its level."""
    estimate = METHODS[method].estimate(up_to(row["date"], HISTORY_DAYS), (float(row["level"]),))
    return estimate.var[0] or 0.0, estimate.es[0] or 0.0


def ours(figure: str) -> float | None:
    if "_var_" in figure or "_es_" in figure:
        method, kind, level = figure.rsplit("_", 2)
        estimate = METHODS[method].estimate(RETURNS, (float(level),))
        return (estimate.var if kind == "var" else estimate.es)[0]
    window = Window(RETURNS, 365, 252.0, None, None, 0.0, UNPRICED, np.array([]), None)
    return next(figures[figure].value for a in ANALYZERS.values() if figure in (figures := a(window)))


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['figure']} by {row['package']}" for row in ROWS])
def test_a_figure_agrees_with_another_package(row: dict[str, str]) -> None:
    assert ours(row["figure"]) == pytest.approx(float(row["value"]), rel=1e-9)


@of_history("historical_var", "historical_es", "age_weighted_var", "age_weighted_es")
def test_historical_simulation_with_and_without_weights_agrees_with_other_packages(row: dict[str, str]) -> None:
    method, _, kind = row["figure"].rpartition("_")
    var, es = estimated(method, row)
    assert {"var": var, "es": es}[kind] == pytest.approx(float(row["value"]), rel=1e-12)


@of_history("mean_from_var")
def test_es_is_more_than_the_mean_of_the_losses_from_var_on(row: dict[str, str]) -> None:
    """The fault of a package that averages order statistics: the one at VaR counts whole instead of in part."""
    assert float(row["value"]) < 0.9995 * estimated("historical", row)[1]


@of_history("mean_beyond_var")
def test_es_is_less_than_the_mean_of_the_losses_strictly_beyond_var(row: dict[str, str]) -> None:
    """The fault of a package that leaves out the part of the loss at VaR which fills the tail."""
    assert float(row["value"]) > 1.0001 * estimated("historical", row)[1]
