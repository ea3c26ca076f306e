"""Stress scenarios: stretches of the past by name, and shocks that somebody thought of."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from contracts.event import Currency, InstrumentId, Part, Period, Status
from contracts.market import InstrumentDefined
from contracts.risk import Stressed
from services.risk.profit import Bools, Exposed
from services.risk.tail import fraction_of, shortfall_of
from tailstream.fold.market import Market, Scenarios
from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import compound_currency
from tailstream.quant.stress import shock_loss, window_loss
from tailstream.quant.var.estimate import LARGEST

BEYOND_MONEY = f"the loss is no amount of money below {LARGEST:g}"

Shock = Annotated[float, Field(gt=-1.0)]


class Stretch(Part):
    """A stretch of the past: all closes from ``first`` to ``last``."""

    first: Period
    last: Period


class Shocks(Part):
    """Changes of price as fractions: of an instrument, else of its sector, else of its kind.

    ``currencies`` are changes of a currency's worth against those that are not named. What nothing is said of stays.
    """

    instruments: dict[InstrumentId, Shock] = Field(default_factory=dict)
    sectors: dict[str, Shock] = Field(default_factory=dict)
    kinds: dict[Literal["equity", "index"], Shock] = Field(default_factory=dict)
    currencies: dict[Currency, Shock] = Field(default_factory=dict)

    def of(self, instrument: InstrumentDefined) -> float | None:
        """The change of the instrument's price in its own currency; None where nothing is said of it."""
        for shocks, key in (
            (self.instruments, instrument.instrument_id),
            (self.sectors, instrument.sector),
            (self.kinds, instrument.kind),
        ):
            if key in shocks:
                return float(shocks[key])  # type: ignore[index]  # one of the three keys of one of the three tables
        return None

    def of_currency(self, currency: str, base: str) -> float:
        """The change of the currency's worth in ``base``."""
        return (1.0 + self.currencies.get(currency, 0.0)) / (1.0 + self.currencies.get(base, 0.0)) - 1.0


class StressScenario(Part):
    """One named scenario: either a window of the past or shocks."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9 ._:%+-]{1,64}$")]
    window: Stretch | None = None
    shocks: Shocks | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.window is None) == (self.shocks is None):
            raise ValueError(f"{self.name}: expected either a window or shocks")
        return self


class StressBook(Part):
    """All stress scenarios, in publishing order."""

    scenarios: tuple[StressScenario, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [scenario.name for scenario in self.scenarios]
        if len(set(names)) != len(names):
            raise ValueError(f"scenarios: expected names that differ, was {names}")
        return self


class Stress:
    """The stress scenarios as returns of the instruments in one base currency at one close, for all books."""

    def __init__(
        self, book: StressBook, market: Market, row: int, base: str, scenarios: Scenarios, min_coverage: float
    ) -> None:
        """``scenarios`` are those of the close: their rows are what shocks are applied to."""
        self._rows = scenarios.rows
        self._min_coverage = min_coverage
        self._losses: dict[str, Callable[[Exposed, float | None], Stressed]] = {}
        for scenario in book.scenarios:
            if scenario.window is not None:
                self._losses[scenario.name] = partial(self._window, _stretch(scenario.window, market, row, base))
            elif scenario.shocks is not None:
                shocked = _shocked(scenario.shocks, market, row, base, scenarios)
                self._losses[scenario.name] = partial(self._shock, shocked)

    def of(self, exposed: Exposed, nav: float | None) -> dict[str, Stressed]:
        """What the book would lose under each."""
        return {name: loss(exposed, nav) for name, loss in self._losses.items()}

    def _window(self, scenarios: Scenarios | None, exposed: Exposed, nav: float | None) -> Stressed:
        if scenarios is None:
            return _nothing("window", Status.INSUFFICIENT, "the closes do not reach over the window")
        rows = exposed.placed(scenarios.rows)
        periods = scenarios.returns.shape[1]
        known = (rows >= 0) & (scenarios.observations[rows] == periods) if len(scenarios.rows) else rows >= 0
        if not periods or (exposed.names and not known.any()):
            reason = "nothing that is held has prices throughout the window"
            return _nothing("window", Status.INSUFFICIENT, reason)
        held = rows[known]
        over_all = scenarios.cumulative()[held] if scenarios.options else None
        with np.errstate(over="ignore", invalid="ignore"):
            loss, worst, worst_loss = window_loss(exposed.amounts[known], scenarios.returns[held], over_all)
        if not max(abs(loss), abs(worst_loss)) < LARGEST:
            return _nothing("window", Status.UNDEFINED, BEYOND_MONEY)
        coverage = _share(exposed, known)
        shortfall = shortfall_of(coverage, self._min_coverage)
        return Stressed(
            kind="window",
            status=Status.DEGRADED if shortfall else Status.OK,
            reason=shortfall,
            loss=loss,
            loss_fraction=fraction_of(loss, nav),
            coverage=coverage,
            proxied={name: scenarios.proxied[name] for name in exposed.names if name in scenarios.proxied},
            worst_period=scenarios.periods[worst],
            worst_period_loss=worst_loss,
        )

    def _shock(self, returns: Floats, exposed: Exposed, nav: float | None) -> Stressed:
        """What shocks say nothing of stays and is no gap; what has no row might have moved with something."""
        rows = exposed.placed(self._rows)
        known = rows >= 0
        left_out = (*exposed.unpriced, *(name for name, there in zip(exposed.names, known, strict=True) if not there))
        known[known] = ~np.isnan(returns[rows[known]])
        with np.errstate(over="ignore", invalid="ignore"):
            loss = shock_loss(exposed.amounts[known], returns[rows[known]])
        if not abs(loss) < LARGEST:
            return _nothing("shock", Status.UNDEFINED, BEYOND_MONEY)
        return Stressed(
            kind="shock",
            status=Status.DEGRADED if left_out else Status.OK,
            reason=f"left out, without a price or a return: {', '.join(left_out)}" if left_out else None,
            loss=loss,
            loss_fraction=fraction_of(loss, nav),
            coverage=_share(exposed, known),
        )


def _shocked(shocks: Shocks, market: Market, row: int, base: str, scenarios: Scenarios) -> Floats:
    """The return of each row of ``scenarios`` under the shocks, (rows,); NaN where nothing is said of it."""
    cut = market.point(row).cut.instruments
    returns = np.full((len(scenarios.rows), 1), np.nan)
    for name, at in scenarios.rows.items():
        if name.startswith("cash:"):
            returns[at] = shocks.of_currency(name.removeprefix("cash:"), base)
            continue
        instrument = market.instrument(name, cut)
        if instrument is not None and instrument.kind != "option":
            returns[at] = _in_base(shocks.of(instrument), shocks.of_currency(instrument.currency, base))
    return scenarios.revalued(returns, periods=0)[:, 0]


def _in_base(local: float | None, fx: float) -> float:
    if local is None and fx == 0.0:
        return np.nan
    return float(compound_currency(np.array(local or 0.0), np.array(fx)))


def _stretch(window: Stretch, market: Market, row: int, base: str) -> Scenarios | None:
    """The returns of the window; None where it has not ended, or began before the closes that are held."""
    if market.point(row).period < window.last or not market.reaches(row, window.first):
        return None
    return market.window_scenarios(row, base, window.first, window.last)


def _nothing(kind: Literal["window", "shock"], status: Status, reason: str) -> Stressed:
    return Stressed(kind=kind, status=status, reason=reason, loss=None, loss_fraction=None, coverage=None)


def _share(exposed: Exposed, known: Bools) -> float | None:
    if exposed.unpriced:
        return None
    gross = exposed.gross
    return float(np.add.reduce(np.abs(exposed.amounts[known]))) / gross if gross else 1.0
