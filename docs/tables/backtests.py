"""The shipped index through every method, as `tailstream backtest` does it, each method with its own window."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from services.risk.settings import RiskSettings
from tailstream.files.rolling import Forecasts, Rolling, averages, forecast
from tailstream.files.series import Kind, Series, periods_of
from tailstream.files.table import read_table
from tailstream.files.verdicts import BASEL_LEVEL, Verdict, verdicts
from tailstream.quant.arrays import Floats
from tailstream.quant.averaging import ID as AVERAGE
from tailstream.quant.averaging import average, members
from tailstream.quant.backtest import BASEL_OBSERVATIONS, hits, observed, traffic_light
from tailstream.quant.var import Method, Window
from tailstream.runtime import plugins

INDEX = Path(__file__).parents[2] / "data" / "sp500_index.csv.gz"
SETTINGS = RiskSettings()
WINDOWS = {Window.SCENARIOS: SETTINGS.scenario_window, Window.FIT: SETTINGS.fit_window}
LEVELS = SETTINGS.var_levels
EQUAL = "equal_weight"
"""What the average would be with equal weights, as it is called where it is published beside it."""


class Record(NamedTuple):
    """How a method did: a verdict for each level, and the share of days in each zone of the traffic light."""

    first_day: str
    last_day: str
    verdicts: Sequence[Verdict]
    zones: Mapping[str, float]
    lit_days: int
    missing: Mapping[str, int]
    """Days without figures, by reason."""


def index() -> Series:
    """The daily returns of the shipped index."""
    return periods_of(read_table(str(INDEX)), Kind.PRICES).series()[0]


def records(ids: Sequence[str], jobs: int = 1) -> dict[str, Record]:
    """How the methods `ids` did on all days that have a whole fit window before them, in `jobs` processes.

    The average is made of the members among `ids` and of no others, and so is what equal weights would give.
    """
    own = [name for name in ids if name not in (AVERAGE, EQUAL)]
    made = _forecasts(plugins.methods(SETTINGS.scenarios_min, own), jobs)
    whole = _averaged(made) if AVERAGE in ids else made
    judged = verdicts(whole, LEVELS)
    return {name: _record(whole, at, judged[name]) for at, name in enumerate(whole.methods)}


def _forecasts(methods: Mapping[str, Method], jobs: int) -> Forecasts:
    """The methods by kind of window, over the same days."""
    series = index()
    parts = [
        _rolled(series, {name: method for name, method in methods.items() if method.window == kind}, window, jobs)
        for kind, window in WINDOWS.items()
    ]
    names = tuple(name for part in parts for name in part.methods)
    var, es = (np.concatenate(pair, axis=1) for pair in (([p.var for p in parts]), [p.es for p in parts]))
    reasons = {name: why for part in parts for name, why in part.reasons.items()}
    return Forecasts(series.name, parts[0].dates, parts[0].returns, names, var, es, reasons)


def _rolled(series: Series, methods: dict[str, Method], window: int, jobs: int) -> Forecasts:
    """Forecasts of these methods alone, from the first day that has the longest window before it."""
    unused = max(WINDOWS.values()) - window
    seen = Series(series.name, None, series.dates[unused:], series.returns[unused:])
    made = forecast([seen], Rolling(methods, LEVELS, window, SETTINGS.refit_every), jobs)[0]
    own = len(methods)
    reasons = {name: why for name, why in made.reasons.items() if name != AVERAGE}
    return Forecasts(
        made.name, made.dates, made.returns, made.methods[:own], made.var[:, :own], made.es[:, :own], reasons
    )


def _averaged(made: Forecasts) -> Forecasts:
    """The same forecasts with their average behind them, by weights that follow losses and by equal ones."""
    methods = plugins.methods(SETTINGS.scenarios_min, made.methods)
    at = [made.methods.index(name) for name in members(methods)]
    together = averages(made.returns, made.var[:, at], made.es[:, at], LEVELS)
    equal = _equally(made.var[:, at], made.es[:, at])
    var = np.concatenate([made.var, together.var, equal[0]], axis=1)
    es = np.concatenate([made.es, together.es, equal[1]], axis=1)
    names, reasons = (*made.methods, AVERAGE, EQUAL), dict(made.reasons) | dict(together.reasons)
    return Forecasts(made.name, made.dates, made.returns, names, var, es, reasons)


def _equally(var: Floats, es: Floats) -> Floats:
    """VaR and ES (2, T, 1, L) of members (T, M, L) that all have the same weight."""
    weights = np.ones(var.shape[1]) / var.shape[1]
    made = [average(weights, *figures, losses_seen=1) for figures in zip(var, es, strict=True)]
    figures = [[one.equal_var for one in made], [one.equal_es for one in made]]
    return np.array(figures, dtype=np.float64)[:, :, None]


def _record(made: Forecasts, at: int, judged: Sequence[Verdict]) -> Record:
    zones, lit = _zones(made.returns, made.var[:, at, LEVELS.index(BASEL_LEVEL)])
    first, last = (day.date().isoformat() for day in (made.dates[0], made.dates[-1]))
    return Record(first, last, judged, zones, lit, made.reasons.get(made.methods[at], {}))


def _zones(returns: Floats, var: Floats) -> tuple[dict[str, float], int]:
    """The share of days in each zone, over the days that have 250 observations up to them; and how many those are."""
    beyond = hits(returns, var)[observed(returns, var)]
    windows = np.lib.stride_tricks.sliding_window_view(beyond, BASEL_OBSERVATIONS)
    lights = [traffic_light(int(count)) for count in np.count_nonzero(windows, axis=1)]
    zones = [light.zone for light in lights if light]
    return {zone: zones.count(zone) / len(zones) for zone in ("green", "amber", "red")}, len(zones)
