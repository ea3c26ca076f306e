"""What all books of one base currency are measured against at one close, and how one of them measures up."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from contracts.event import Status
from contracts.risk import Stressed
from services.risk.contributions import contributions
from services.risk.methods import Methods
from services.risk.profit import Exposed, Field, Profit, position_pnl, profit
from services.risk.simulations import Made
from services.risk.stress import Stress, StressBook
from services.risk.tail import Plain, doubted, method_risk, tail_risks
from services.risk.terms import Terms
from tailstream.fold.market import Ints, Market
from tailstream.quant.var import Estimate, Fit, FittedMethod, Historical, MarketMethod, Method, Window
from tailstream.quant.var.answers import estimated
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
        self.historical = Historical(terms.scenarios_min)
        self.scenarios = market.scenarios(row, base, terms.scenario_window)
        self.wide = market.scenarios(row, base, terms.fit_window)
        self.proxied = {**self.wide.proxied, **self.scenarios.proxied}
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
        self._stress = Stress(stress, market, row, base, self.scenarios, terms.min_coverage)

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
        self.fit_profit = self._profits[Window.FIT]

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
        """What is held whose history, in what methods look back on, is partly another's, and whose."""
        return self._held_of(self._y.proxied)

    # -- the methods ---------------------------------------------------------------------------------------------

    def methods(self, fits: Fits) -> dict[str, Estimate]:
        """What every method says, each failing for itself."""
        levels = self._terms.var_levels
        return {name: estimated(partial(self._method, name, fits.get(name)), levels) for name in self._y.methods.all}

    def _method(self, name: str, fit: Fit | None) -> Estimate:
        if name in self._y.methods.market:
            return self._simulated(self._y.methods.market[name], self._y.made[name])
        if name in self._y.methods.fitted:
            return self._fitted(self._y.methods.fitted[name], fit)
        method = self._y.methods.all[name]
        seen = self._profits[method.window]
        return doubted(method.estimate(seen.pnl, self._terms.var_levels), seen.shortfall)

    def _fitted(self, method: FittedMethod, fit: Fit | None) -> Estimate:
        levels, seen = self._terms.var_levels, self._profits[method.window]
        if fit is None:
            return Estimate.missing("insufficient", "was not fitted yet", levels)
        if fit.status != "ok":
            return Estimate.missing(fit.status, fit.reason or "was not fitted", levels)
        return doubted(method.estimate_with(fit, seen.pnl, levels), seen.shortfall)

    def _simulated(self, method: MarketMethod, made: Made) -> Estimate:
        levels, simulation = self._terms.var_levels, made.simulation
        if simulation.status != "ok":
            return Estimate.missing(simulation.status, simulation.reason or "was not made", levels)
        seen = self._profit(made.field)
        return doubted(method.estimate_simulated(simulation, seen.pnl, levels), seen.shortfall)

    # -- beside the methods --------------------------------------------------------------------------------------

    def horizons(self) -> dict[str, dict[str, Plain]]:
        """Historical figures of overlapping scenarios of several periods."""
        method = self._y.historical
        return {
            str(horizon): {method.id: self._plain(method, self._profit(field))}
            for horizon, field in self._y._horizons.items()
        }

    def delta_gamma(self) -> Plain | None:
        """The historical figures with options by delta and gamma; None where none is held."""
        if not any(name in self._y.scenarios.options for name in self.exposed.names):
            return None
        return self._plain(self._y.historical, self._profit(self._y._delta_gamma))

    def contributions(self) -> Plain | None:
        """What each position adds; None where there are too few scenarios."""
        level, pnl = self._terms.contribution_level, self.profit.pnl
        enough = pnl.size >= self._terms.scenarios_min and self.profit.covered.any()
        if not enough or not np.abs(pnl).max() < LARGEST:
            return None
        field, covered = self._y._fields[Window.SCENARIOS], self.profit.covered
        of_positions = position_pnl(self.exposed, self._at(field), field, covered)
        names = [name for name, yes in zip(self.exposed.names, covered, strict=True) if yes]
        return contributions(names, self.exposed.amounts[covered], of_positions, level)

    def stress(self) -> dict[str, Stressed]:
        """Losses under the stress scenarios."""
        return self._y._stress.of(self.exposed, self._nav)

    def stressed(self, era: Era | None) -> Plain:
        """Historical figures over the stretch of the past that was found to be the worst for the book."""
        levels = self._terms.var_levels
        if era is None:
            none = (None,) * len(levels)
            reason = f"needs {self._terms.stressed_window} periods of what is held"
            return {"status": Status.INSUFFICIENT, "reason": reason, "levels": tail_risks(none, none, levels, None)}
        scenarios = self._y._market.window_scenarios(self._y._row, self._y.base, *era)
        few = min(self._terms.scenarios_min, self._terms.stressed_window)
        seen = self._profit(Field.of(scenarios, few))
        risk = self._plain(Historical(few), seen)
        del risk["parameters"]
        proxied = self._held_of(scenarios.proxied)
        return risk | {"first_period": era.first, "last_period": era.last, "proxied": proxied}

    # -- shared --------------------------------------------------------------------------------------------------

    def _plain(self, method: Method, seen: Profit) -> Plain:
        levels = self._terms.var_levels
        return method_risk(method.estimate(seen.pnl, levels), levels, self._nav, seen.shortfall)

    def _profit(self, field: Field) -> Profit:
        return profit(self.exposed, self._at(field), field, self._terms.min_coverage)

    def _held_of(self, proxied: Mapping[str, str]) -> dict[str, str]:
        return {name: proxied[name] for name in self.exposed.names if name in proxied} if proxied else {}

    def _at(self, field: Field) -> Ints:
        known = self._placed.get(id(field.rows))
        if known is None:
            known = self._placed[id(field.rows)] = self.exposed.placed(field.rows)
        return known
