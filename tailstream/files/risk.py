"""VaR and ES of a series or of a portfolio, by several methods."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tailstream.files.holdings import Portfolio
from tailstream.files.series import Series
from tailstream.quant.arrays import Floats
from tailstream.quant.averaging import FEWEST_AVERAGED, ID, average, members
from tailstream.quant.scenarios import scenario_pnl
from tailstream.quant.var import Estimate, MarketMethod, Method
from tailstream.quant.var.answers import estimated, simulated
from tailstream.quant.var.simulation import SEED

PORTFOLIO = "portfolio"


@dataclass(frozen=True, slots=True)
class Levels:
    """The confidence levels asked for, and over how many periods the figures are scaled by the square root of time."""

    each: tuple[float, ...]
    periods: int = 1


@dataclass(frozen=True, slots=True)
class Money:
    """What a portfolio is worth, and its VaR and ES in money."""

    value: float
    estimates: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Risk:
    """What each method says of one series or portfolio, as fractions; `pnl` (n,), fractions too, is what it looked at.

    Both are scaled by the square root of time where that was asked for.
    A portfolio that is worth 0 or less has money figures alone: its estimates are `ruined`, its `pnl` is money.
    """

    name: str
    pnl: Floats
    estimates: Mapping[str, Estimate]
    money: Money | None = None

    @property
    def in_fractions(self) -> bool:
        """Whether there is something that a loss is a fraction of."""
        return self.money is None or self.money.value > 0.0


def as_series(what: Series | Portfolio) -> Series:
    """A portfolio as the series of what its current holdings would have gained, in fractions of their value.

    Of holdings worth 0 or less in money.
    """
    if isinstance(what, Series):
        return what
    return Series(PORTFOLIO, what.start, what.dates, scenario_pnl(what.exposures / what.unit, what.returns))


def risk_of(what: Series | Portfolio, methods: Mapping[str, Method], levels: Levels) -> Risk:
    """VaR and ES by every one of `methods`, and by the average of them when it has three members or more.

    A method that raises, or answers what is no estimate, is ``degraded`` and says why; the others have their figures.
    """
    return _of_series(what, methods, levels) if isinstance(what, Series) else _of_portfolio(what, methods, levels)


def _of_series(series: Series, methods: Mapping[str, Method], levels: Levels) -> Risk:
    each = {
        name: estimated(partial(method.estimate, series.returns, levels.each), levels.each)
        for name, method in methods.items()
    }
    each |= _average(methods, each, levels.each)
    root = math.sqrt(levels.periods)
    return Risk(series.name, root * series.returns, _scaled(each, root))


def _of_portfolio(portfolio: Portfolio, methods: Mapping[str, Method], levels: Levels) -> Risk:
    """In units of what it is worth where that is more than nothing, so that fitted parameters are fractions too."""
    worth = portfolio.value
    weights = portfolio.exposures / portfolio.unit
    each = {
        name: estimated(partial(_of_positions, weights, portfolio.returns, method, levels.each), levels.each)
        for name, method in methods.items()
    }
    each |= _average(methods, each, levels.each)
    root = math.sqrt(levels.periods)
    estimates = _scaled(each, root)
    money = Money(worth, _scaled(estimates, portfolio.unit))
    if portfolio.in_money:
        estimates = {name: _ruined(estimate, worth, levels.each) for name, estimate in estimates.items()}
    return Risk(PORTFOLIO, root * scenario_pnl(weights, portfolio.returns), estimates, money)


def _of_positions(exposures: Floats, returns: Floats, method: Method, levels: Sequence[float]) -> Estimate:
    """Positions first: a method that remakes scenarios remakes those of all instruments that are held, together."""
    if not isinstance(method, MarketMethod):
        return method.estimate(scenario_pnl(exposures, returns), levels)
    simulation = simulated(partial(method.simulate, returns, SEED), len(returns))
    if simulation.status != "ok":
        return Estimate.missing(simulation.status, str(simulation.reason), levels)
    return method.estimate_simulated(simulation, scenario_pnl(exposures, simulation.returns), levels)


def _average(
    methods: Mapping[str, Method], estimates: Mapping[str, Estimate], levels: Sequence[float]
) -> dict[str, Estimate]:
    """By equal weights, for a file holds no history of losses. Parameters: the weight of each member."""
    chosen = members(methods)
    if len(chosen) < FEWEST_AVERAGED:
        return {}
    var, es = (np.array([getattr(estimates[name], kind) for name in chosen], dtype=float) for kind in ("var", "es"))
    equal = np.full(len(chosen), 1.0 / len(chosen))
    made = average(equal, var, es, 0, [estimates[name].status for name in chosen])
    weights = dict(zip(chosen, made.weights.tolist(), strict=True)) if made.status == "ok" else {}
    return {ID: Estimate(made.status, made.reason, weights, made.var, made.es)}


def _scaled(estimates: Mapping[str, Estimate], factor: float) -> dict[str, Estimate]:
    """VaR and ES times `factor`; the parameters stay what was fitted."""
    return {
        name: estimate._replace(var=_times(estimate.var, factor), es=_times(estimate.es, factor))
        for name, estimate in estimates.items()
    }


def _times(figures: Sequence[float | None], factor: float) -> tuple[float | None, ...]:
    return tuple(None if figure is None else factor * figure for figure in figures)


def _ruined(estimate: Estimate, worth: float, levels: Sequence[float]) -> Estimate:
    if estimate.status != "ok":
        return estimate
    return Estimate.missing("ruined", f"holdings worth {worth:g}: nothing that a loss would be a fraction of", levels)
