"""What each position adds to the risk of its book, as an event tells it."""

import math
from collections.abc import Sequence

import numpy as np

from services.risk.tail import Plain
from tailstream.quant.arrays import Floats
from tailstream.quant.contribution import component_es, component_var_normal, marginal

POSITIONS_MAX = 2_500
"""Of more, those are told whose component ES is the largest in size: an event of 6,000 would be too large."""


def contributions(names: Sequence[str], exposures: Floats, pnl: Floats, level: float) -> Plain:
    """The decomposition of positions with ``exposures`` (n,) and scenario P&L (n, S), base currency: a Contributions.

    It is that of ES (historical) and VaR (normal) at confidence ``level``; all components sum to ``es`` and ``var``.
    """
    es, var = component_es(pnl, level), component_var_normal(pnl, level)
    of_var = np.full(es.shape, np.nan) if var is None else var
    told = np.sort(np.argsort(-np.abs(es), kind="stable")[:POSITIONS_MAX])
    columns = (exposures, es, marginal(es, exposures), of_var)
    parts = zip(*(column[told].tolist() for column in columns), strict=True)
    return {
        "level": str(level),
        "es": float(np.add.reduce(es)),
        "var": None if var is None else float(np.add.reduce(var)),
        "positions": {names[i]: _contribution(*part) for i, part in zip(told.tolist(), parts, strict=True)},
    }


def _contribution(exposure: float, of_es: float, slope: float, of_var: float) -> Plain:
    """A Contribution; NaN is none."""
    return {
        "exposure": exposure,
        "component_es": of_es,
        "marginal_es": None if math.isnan(slope) else slope,
        "component_var": None if math.isnan(of_var) else of_var,
    }
