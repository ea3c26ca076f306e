"""What risk should say at a close: from real prices, or from other figures that it published."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from books import CASH, Performance
from forecasts import Forecasts, level_figures, light
from given import averaged, by_parameters, next_weights, tails_of
from rows import Row, number
from tails import (
    LEVELS,
    SCENARIOS_MIN,
    TAILS,
    Judged,
    Tail,
    components,
    cornish_fisher,
    historical,
    judged,
    of_history,
    rescaled,
    threshold,
)
from truth import Truth

SCENARIOS, FIT_PERIODS, STRESSED_PERIODS = 500, 1_000, 250
HORIZONS = (10, 20)
CONTRIBUTION_LEVEL = "0.975"
METHODS = (
    "historical", "age_weighted", "filtered", "normal", "student_t", "cornish_fisher", "monte_carlo", "extreme_value",
    "copula", "garch",
)  # fmt: skip
MEMBERS = tuple(name for name in METHODS if name != "monte_carlo")
TESTED = (*METHODS, "average")
BEYOND = np.array([float(tail) for tail in TAILS.values()])

Event = Mapping[str, Any]
Figures = dict[str, float]


class Said(NamedTuple):
    """What is needed of every measurement: figures (methods, levels, 2), and the amount that they are fractions of."""

    tails: np.ndarray
    unit: float


def said(event: Event) -> Said:
    """The gist of a measurement; the unit is NAV, gross where that is not positive, or 1."""
    sizes = (event[name]["value"] for name in ("nav", "gross"))
    return Said(tails_of(event["methods"], TESTED), next((size for size in sizes if size and size > 0), 1.0))


class Pnl(NamedTuple):
    """P&L of each covered exposure in the scenarios of a window, oldest first, and what share of the book that is."""

    positions: pd.DataFrame
    coverage: float

    @property
    def book(self) -> "pd.Series[float]":
        """P&L of the book."""
        return self.positions.sum(axis="columns")

    @property
    def losses(self) -> np.ndarray:
        """Losses of the book."""
        return -self.book.to_numpy()


class RiskTruth:
    """What risk should say; ``measured`` is the gist of every measurement, ``weights`` those of every backtest."""

    def __init__(
        self,
        truth: Truth,
        measured: Mapping[tuple[str, str], Said],
        weights: Mapping[tuple[str, str], Mapping[str, float]],
    ) -> None:
        self._truth = truth
        self._periods = list(truth.books.periods)
        self._measured = measured
        self._weights = weights
        self._returns: dict[tuple[str, int], pd.DataFrame] = {}
        self._rescaled: dict[tuple[str, str], pd.DataFrame] = {}

    # -- measurements ------------------------------------------------------------------------------------------------

    def measurements(self, events: Iterable[Event]) -> Iterator[Row]:
        """Every figure of these measurements that can be judged."""
        for event in events:
            name, period = event["portfolio_id"], event["period"]
            for figure, value in self._measurement(event).items():
                yield Row(figure, name, period, number(value))
            for figure, value, part in self._contributions(name, period):
                yield Row(" ".join(("contributions", *figure)), name, period, number(value), part)

    def _measurement(self, event: Event) -> Figures:
        name, period, methods = event["portfolio_id"], event["period"], event["methods"]
        book = self._truth.performances[name]
        nav, gross = book.nav[period], book.gross[period]
        near, far = (self._pnl(book, self._scenarios(book, period, count)) for count in (SCENARIOS, FIT_PERIODS))
        filtered = self._pnl(book, self._filtered(book, period), period)
        found = {
            **of_history(near.losses),
            "filtered": judged(filtered.losses, historical, decay=0.94),
            "cornish_fisher": cornish_fisher(far.book),
            **{m: Judged(levels, {}) for m, levels in by_parameters(methods, len(far.book)).items()},
        }
        figures = {"nav": nav, "gross": gross, "coverage": near.coverage, "n_obs": len(near.book)}
        figures |= {"fit_n_obs": len(far.book), "fit_coverage": far.coverage}
        figures |= {"delta_gamma": np.nan} | self._average(event, nav)
        for method, (levels, parameters) in found.items():
            figures |= _tail_figures(method, levels, nav) | {f"{method} {p}": v for p, v in parameters.items()}
        if methods["extreme_value"]["parameters"]:
            at, count = threshold(far.losses)
            figures |= {"extreme_value threshold": at, "extreme_value exceedances": count}
        return figures | self._horizons(book, period, nav) | self._stressed(event, book, nav)

    def _average(self, event: Event, nav: float) -> Figures:
        key = event["portfolio_id"], event["period"]
        losses = self._forecasts(*key).losses(BEYOND)[:, _places(MEMBERS)]
        seen = int(np.isfinite(losses).any(axis=1).sum())
        weights = np.array([self._weights[key][name] for name in MEMBERS])
        made = averaged(tails_of(event["methods"], MEMBERS), weights, seen)
        if made is None:
            return {"averaging": np.nan, **_tail_figures("average", dict.fromkeys(LEVELS, (np.nan, np.nan)), nav)}
        return {
            "averaging losses": seen,
            **{f"averaging weights {MEMBERS[i]}": weight for i, weight in made["weights"].items()},
            **{f"averaging dispersion {level}": ratio for level, ratio in zip(LEVELS, made["dispersion"], strict=True)},
            **_tail_figures("average", dict(zip(LEVELS, made["average"], strict=True)), nav),
            **_tail_figures("averaging equal_weight", dict(zip(LEVELS, made["equal"], strict=True)), nav),
        }

    def _horizons(self, book: Performance, period: str, nav: float) -> Figures:
        """Overlapping returns over several periods within the window of fits."""
        found: Figures = {}
        for horizon in HORIZONS:
            losses = self._pnl(book, self._scenarios(book, period, FIT_PERIODS, horizon)).losses
            found |= _tail_figures(f"horizons {horizon} historical", judged(losses, historical).levels, nav)
        return found

    def _stressed(self, event: Event, book: Performance, nav: float) -> Figures:
        """Over the stretch of the past that the event names."""
        stretch, period = event["stressed"], event["period"]
        if not stretch["first_period"]:
            return _tail_figures("stressed", dict.fromkeys(LEVELS, (np.nan, np.nan)), nav)
        returns = self._returns_of(book.base).loc[stretch["first_period"] : stretch["last_period"]]
        return _tail_figures("stressed", judged(self._pnl(book, returns, period).losses, historical).levels, nav)

    def _contributions(self, name: str, period: str) -> Iterator[tuple[tuple[str, ...], float, str]]:
        """Name, figure and position: of each position, and their sums; one without a name where there are none."""
        book = self._truth.performances[name]
        pnl = self._pnl(book, self._scenarios(book, period, SCENARIOS), period).positions
        if len(pnl) < SCENARIOS_MIN or not len(pnl.columns):
            yield (), np.nan, ""
            return
        found = components(pnl, TAILS[CONTRIBUTION_LEVEL])
        exposure = book.risky.loc[period, found.index]
        shown = found.assign(exposure=exposure, marginal_es=found["component_es"] / exposure)
        yield ("es",), found["component_es"].sum(), ""
        yield ("var",), found["component_var"].sum(), ""
        yield from (((figure,), value, part) for part, row in shown.iterrows() for figure, value in row.items())

    # -- backtests ---------------------------------------------------------------------------------------------------

    def backtests(self, events: Iterable[Event]) -> Iterator[Row]:
        """Every figure of these backtests, from published forecasts and the P&L that came."""
        for event in events:
            name, period = event["portfolio_id"], event["period"]
            book = self._truth.performances[name]
            yield Row("actual_pnl", name, period, number(book.pnl[period]))
            yield Row("hypothetical_pnl", name, period, number(book.hypothetical_pnl[period]))
            yield Row("coverage", name, period, self._pnl(book, self._scenarios(book, period, SCENARIOS)).coverage)
            forecasts = self._forecasts(name, period)
            for figure, value in (*_tested(forecasts, event), *self._next_weights(name, period, forecasts)):
                yield Row(figure, name, period, number(value))

    def _next_weights(self, name: str, period: str, forecasts: Forecasts) -> Iterator[tuple[str, float]]:
        row = self._periods.index(period)
        before = self._weights.get((name, self._periods[row - 1])) if row else None
        former = None if before is None else np.array([before[member] for member in MEMBERS])
        weights = next_weights(former, forecasts.losses(BEYOND)[:, _places(MEMBERS)])
        return ((f"weights {member}", weight) for member, weight in zip(MEMBERS, weights, strict=True))

    def _forecasts(self, name: str, period: str) -> Forecasts:
        """All that was said at a close, and came at the next one, up to ``period``."""
        book = self._truth.performances[name]
        closes = self._periods[: self._periods.index(period) + 1]
        told = ((self._measured.get((name, before)), then) for before, then in pairwise(closes))
        rows = [
            tuple(each / forecast.unit for each in (forecast.tails, book.pnl[then], book.hypothetical_pnl[then]))
            for forecast, then in told
            if forecast is not None
        ]
        tails, actual, static = zip(*rows, strict=True) if rows else ((), (), ())
        shape = (len(rows), len(TESTED), len(LEVELS), 2)
        return Forecasts(np.array(tails).reshape(shape), np.array(actual), np.array(static))

    # -- scenarios ---------------------------------------------------------------------------------------------------

    def _returns_of(self, base: str, horizon: int = 1) -> pd.DataFrame:
        """Returns of everything in a base currency, but of its own money."""
        if (base, horizon) not in self._returns:
            worth = self._truth.books.worth[base].drop(columns=f"{CASH}{base}")
            self._returns[base, horizon] = worth.pct_change(horizon, fill_method=None).iloc[horizon:]
        return self._returns[base, horizon]

    def _scenarios(self, book: Performance, period: str, count: int, horizon: int = 1) -> pd.DataFrame:
        return self._returns_of(book.base, horizon).loc[:period].tail(count - horizon + 1)

    def _filtered(self, book: Performance, period: str) -> pd.DataFrame:
        """Of all instruments with enough history, in the periods in which they all have a return."""
        if (book.base, period) not in self._rescaled:
            returns = self._scenarios(book, period, SCENARIOS)
            whole = returns.loc[:, returns.count() >= SCENARIOS_MIN].dropna()
            self._rescaled[book.base, period] = rescaled(whole) if len(whole) else whole
        return self._rescaled[book.base, period]

    def _pnl(self, book: Performance, returns: pd.DataFrame, period: str | None = None) -> Pnl:
        """The book of ``period`` (the last of ``returns``) in the scenarios in which all that is covered has a return.

        A book of which nothing has enough of them has no scenario.
        """
        exposures = book.risky.loc[period or returns.index[-1]]
        exposures = exposures[exposures != 0]
        enough = returns.columns[returns.count() >= SCENARIOS_MIN]
        covered = exposures.index.intersection(enough, sort=False)
        if len(exposures) and not len(covered):
            returns = returns.iloc[:0]
        coverage = exposures[covered].abs().sum() / exposures.abs().sum() if len(exposures) else 1.0
        return Pnl(returns[covered].dropna() * exposures[covered], coverage)


def _tested(forecasts: Forecasts, event: Event) -> Iterator[tuple[str, float]]:
    """The tests of every method at every level."""
    has_come = event["forecast_period"] is not None
    for method, name in enumerate(TESTED):
        zone, multiplier = light(forecasts, method, LEVELS.index("0.99"))
        yield from ((f"{name} traffic_light", zone), (f"{name} multiplier", multiplier))
        for place, level in enumerate(LEVELS):
            figures = level_figures(forecasts, method, place, BEYOND[place], has_come)
            yield from ((f"{name} {level} {figure}", value) for figure, value in figures)


def _tail_figures(prefix: str, levels: Mapping[str, Tail], nav: float) -> Figures:
    """VaR and ES by level, in money and as fractions of a positive NAV."""
    share = 1 / nav if nav > 0 else np.nan
    return {
        f"{prefix} {level} {name}": value
        for level, (var, es) in levels.items()
        for name, value in (("var", var), ("es", es), ("var_fraction", var * share), ("es_fraction", es * share))
    }


def _places(names: Iterable[str]) -> list[int]:
    return [TESTED.index(name) for name in names]
