"""Against other packages: tests/quant/references says which, in what version, and by which call."""

import csv
from pathlib import Path

import numpy as np
import pytest

from services.analytics.analyzers import ANALYZERS, Window
from tailstream.quant.arrays import UNPRICED
from tailstream.quant.var import MINIMUM_OBSERVATIONS
from tailstream.runtime.plugins import methods

pytestmark = pytest.mark.filterwarnings("error")

REFERENCES = Path(__file__).parent / "references"
METHODS = methods(MINIMUM_OBSERVATIONS)
RETURNS = np.loadtxt(REFERENCES / "returns.csv", skiprows=1)

with (REFERENCES / "figures.csv").open(newline="") as file:
    ROWS = list(csv.DictReader(file))


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
