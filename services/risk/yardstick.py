"""What all books of one base currency are measured against at one close, and how one of them measures up."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from contracts.event import Status
from contracts.risk import Contribution, Contributions, MethodRisk, Stressed, StressedRisk
from services.risk.methods import Methods
from services.risk.profit import Exposed, Field, Profit, position_pnl, profit
from services.risk.simulations import Made
from services.risk.stress import Stress, StressBook
from services.risk.tail import failed, method_risk
from services.risk.terms import Terms
from tailstream.fold.market import Ints, Market
from tailstream.quant.contribution import component_es, component_var_normal, marginal
from tailstream.quant.var import Estimate, Fit, FittedMethod, Historical, MarketMethod, Method, Normal, Window
from tailstream.quant.var.estimate import LARGEST

Fits = Mapping[str, Fit]


class Era(NamedTuple):
    """A stretch of the past, by its first and last period."""

    first: str
    last: str


class Yardstick:
    """The scenarios of one base currency at one close, in every form that a figure asks for."""

    def __init__(
        self,
        market: Market,
        row: int,
        base: str,
        *,
        terms: Terms,
        methods: Methods,
        made: Mapping[str, Made],
        stress: StressBook,
    ) -> None:
        self._market = market
        self._row = row
        self.base = base
        self._terms = terms
        self.methods = methods
        self.made = made
        self._historical = Historical(terms.scenarios_min)
        self.scenarios = market.scenarios(row, base, terms.scenario_window)
        self.wide = market.scenarios(row, base, terms.fit_window)
        self._fields = {
            Window.SCENARIOS: Field.of(self.scenarios, terms.scenarios_min),
            Window.FIT: Field.of(self.wide, terms.scenarios_min),
        }
        self._delta_gamma = self._fields[Window.SCENARIOS]
        if self.scenarios.options:
            self._delta_gamma = self._delta_gamma._replace(returns=self.scenarios.delta_gamma())
        self._horizons = {
            horizon: Field.of(market.horizon_scenarios(row, base, terms.fit_window, horizon), terms.scenarios_min)
            for horizon in terms.horizons
        }
        self._stress = Stress(stress, market, row, base, self.scenarios)

    def book(self, exposed: Exposed, nav: float | None) -> "Book":
        """One book, to be measured."""
        return Book(self, exposed, nav)


class Book:
    """One book against a yardstick. Figures are in base currency, positive = loss."""

    def __init__(self, yardstick: Yardstick, exposed: Exposed, nav: float | None) -> None:
        self._y = yardstick
        self._terms = yardstick._terms
        self.exposed = exposed
        self._nav = nav
        self._placed: dict[int, Ints] = {}
        self._profits = {window: self._profit(field) for window, field in yardstick._fields.items()}
        self.profit = self._profits[Window.SCENARIOS]

    @property
    def currency(self) -> str:
        """The base currency that all its money is in."""
        return self._y.base

    @property
    def made(self) -> Mapping[str, Made]:
        """What market-wide methods made for the close."""
        return self._y.made

    @property
    def scenarios_hash(self) -> str:
        """Content hash of the returns that the methods looked back on."""
        return self._y.wide.content_hash

    def fitted_to(self, method: Method) -> Profit:
        """The P&L that the method's model is fitted to."""
        return self._profits[method.window]

    @property
    def proxied(self) -> dict[str, str]:
        """What is held whose history is partly another's, and whose."""
        proxied = self._y.scenarios.proxied
        return {name: proxied[name] for name in self.exposed.names if name in proxied} if proxied else {}

    # -- the methods ---------------------------------------------------------------------------------------------

    def methods(self, fits: Fits) -> dict[str, MethodRisk]:
        """The figures of every method, each failing for itself."""
        return {name: self._method(name, fits.get(name)) for name in self._y.methods.all}

    def _method(self, name: str, fit: Fit | None) -> MethodRisk:
        try:
            if name in self._y.methods.market:
                return self._simulated(self._y.methods.market[name], self._y.made[name])
            if name in self._y.methods.fitted:
                return self._fitted(self._y.methods.fitted[name], fit)
            method = self._y.methods.all[name]
            return self._plain(method, self._profits[method.window])
        except Exception as error:  # one failing method is its own degraded status; the others are published
            return failed(error, self._terms.var_levels)

    def _fitted(self, method: FittedMethod, fit: Fit | None) -> MethodRisk:
        levels, seen = self._terms.var_levels, self._profits[method.window]
        if fit is None:
            estimate = Estimate.missing("insufficient", "was not fitted yet", levels)
        elif fit.status != "ok":
            estimate = Estimate.missing(fit.status, fit.reason or "was not fitted", levels)
        else:
            estimate = method.estimate_with(fit, seen.pnl, levels)
        return method_risk(estimate, levels, self._nav, seen.shortfall)

    def _simulated(self, method: MarketMethod, made: Made) -> MethodRisk:
        levels = self._terms.var_levels
        if made.simulation.status != "ok":
            missing = Estimate.missing(made.simulation.status, made.simulation.reason or "was not made", levels)
            return method_risk(missing, levels, self._nav, None)
        seen = self._profit(made.field)
        estimate = method.estimate_simulated(made.simulation, seen.pnl, levels)
        return method_risk(estimate, levels, self._nav, seen.shortfall)

    # -- beside the methods --------------------------------------------------------------------------------------

    def horizons(self) -> dict[str, dict[str, MethodRisk]]:
        """Historical and normal figures of overlapping scenarios of several periods."""
        of_horizon = {str(horizon): self._profit(field) for horizon, field in self._y._horizons.items()}
        plain: Sequence[Method] = (self._y._historical, Normal(self._terms.scenarios_min))
        return {
            horizon: {method.id: self._plain(method, seen) for method in plain} for horizon, seen in of_horizon.items()
        }

    def delta_gamma(self) -> MethodRisk | None:
        """The historical figures with options by delta and gamma; None where none is held."""
        if not any(name in self._y.scenarios.options for name in self.exposed.names):
            return None
        return self._plain(self._y._historical, self._profit(self._y._delta_gamma))

    def contributions(self) -> Contributions | None:
        """What each position adds; None where there are too few scenarios."""
        level, pnl = self._terms.contribution_level, self.profit.pnl
        enough = pnl.size >= self._terms.scenarios_min and self.profit.covered.any()
        if not enough or not np.abs(pnl).max() < LARGEST:
            return None
        field = self._y._fields[Window.SCENARIOS]
        positions = position_pnl(self.exposed, self._at(field), field, self.profit.covered)
        es, var = component_es(positions, level), component_var_normal(positions, level)
        names = [name for name, yes in zip(self.exposed.names, self.profit.covered, strict=True) if yes]
        amounts = self.exposed.amounts[self.profit.covered]
        of_var = [None] * len(names) if var is None else var.tolist()
        return Contributions(
            level=str(level),
            es=float(np.add.reduce(es)),
            var=None if var is None else float(np.add.reduce(var)),
            positions={
                name: Contribution(
                    exposure=exposure,
                    component_es=component,
                    marginal_es=None if math.isnan(slope) else slope,
                    component_var=share,
                )
                for name, exposure, component, slope, share in zip(
                    names, amounts.tolist(), es.tolist(), marginal(es, amounts).tolist(), of_var, strict=True
                )
            },
        )

    def stress(self) -> dict[str, Stressed]:
        """Losses under the stress scenarios."""
        return self._y._stress.of(self.exposed, self._nav)

    def stressed(self, era: Era | None) -> StressedRisk:
        """Historical figures over the stretch of the past that was found to be the worst for the book."""
        levels = self._terms.var_levels
        if era is None:
            missing = method_risk(Estimate.missing("insufficient", "", levels), levels, None, None)
            reason = f"needs {self._terms.stressed_window} periods of what is held"
            return StressedRisk(status=Status.INSUFFICIENT, reason=reason, levels=missing.levels)
        scenarios = self._y._market.window_scenarios(self._y._row, self._y.base, *era)
        few = min(self._terms.scenarios_min, self._terms.stressed_window)
        seen = self._profit(Field.of(scenarios, few))
        risk = self._plain(Historical(few), seen)
        return StressedRisk(
            status=risk.status,
            reason=risk.reason,
            first_period=era.first,
            last_period=era.last,
            levels=risk.levels,
        )

    # -- shared --------------------------------------------------------------------------------------------------

    def _plain(self, method: Method, seen: Profit) -> MethodRisk:
        levels = self._terms.var_levels
        return method_risk(method.estimate(seen.pnl, levels), levels, self._nav, seen.shortfall)

    def _profit(self, field: Field) -> Profit:
        return profit(self.exposed, self._at(field), field, self._terms.min_coverage)

    def _at(self, field: Field) -> Ints:
        known = self._placed.get(id(field.rows))
        if known is None:
            known = self._placed[id(field.rows)] = self.exposed.placed(field.rows)
        return known
