"""What each position of a portfolio adds to its risk."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from tailstream.files.holdings import Portfolio
from tailstream.files.risk import Levels
from tailstream.quant.contribution import component_es, component_var_normal, marginal
from tailstream.quant.var import MINIMUM_OBSERVATIONS
from tailstream.quant.var.estimate import declined


class Contribution(NamedTuple):
    """What one position adds, in money: the components of all of them sum to the portfolio's.

    `component_es` is its average loss over the tail; `marginal_es` what ES grows by for one more unit of money in it;
    `component_var` its share of the normal VaR without the mean, None where the portfolio does not vary.
    """

    exposure: float
    component_es: float
    marginal_es: float
    component_var: float | None


class Contributions(NamedTuple):
    """The decomposition of historical ES and of normal VaR without the mean, by level and instrument.

    When `status` is not `ok`, `reason` says why in a sentence and there are no levels.
    """

    status: str
    reason: str | None
    levels: Mapping[float, Mapping[str, Contribution]]


def contributions(portfolio: Portfolio, levels: Levels) -> Contributions:
    """What each position adds at each of `levels`; an instrument held in no quantity adds nothing and is left out."""
    refused = declined(portfolio.pnl, levels.each, MINIMUM_OBSERVATIONS)
    if refused:
        return Contributions(refused.status, refused.reason, {})
    scale = math.sqrt(levels.periods)
    return Contributions("ok", None, {level: _at(portfolio, level, scale) for level in levels.each})


def _at(portfolio: Portfolio, level: float, scale: float) -> dict[str, Contribution]:
    pnl = portfolio.exposures[:, None] * portfolio.returns
    shortfalls = scale * component_es(pnl, level)
    values = component_var_normal(pnl, level)
    columns = (
        portfolio.exposures.tolist(),
        shortfalls.tolist(),
        marginal(shortfalls, portfolio.exposures).tolist(),
        [None] * len(portfolio.instruments) if values is None else (scale * values).tolist(),
    )
    rows = map(Contribution._make, zip(*columns, strict=True))
    return dict(zip(portfolio.instruments, rows, strict=True))
