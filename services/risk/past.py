"""What the next close of a portfolio needs of its former ones: forecasts, what came of them, weights and fits."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from contracts.risk import FittedAt, MethodRisk, RiskBacktested, RiskMeasured
from services.risk.tail import Plain
from tailstream.quant.arrays import Floats
from tailstream.quant.backtest import fz0_loss
from tailstream.quant.var import Fit


class Past:
    """A fold of the portfolio's own measurements and backtests, oldest first: running and restoring are the same.

    Events come as they were made, or as much of them as was read back.

    Forecasts and what came of them are fractions of NAV when the forecast was made (of gross exposure where NAV was not
    positive), so that a book that grew compares with itself. NaN stands for what was not known.
    """

    def __init__(self, ids: Sequence[str], members: Sequence[str], levels: Sequence[float], window: int) -> None:
        """``ids`` are those of the methods that are tested, ``members`` of those that are averaged."""
        self._ids = tuple(ids)
        self._members = [self._ids.index(name) for name in members]
        self._levels = tuple(levels)
        self._keys = tuple(str(level) for level in levels)
        self._window = window
        self._periods: list[str] = []
        self._first = 0
        self._room = window + 1 + window // 8
        shape = (self._room, len(self._ids), len(self._levels))
        self._var, self._es = np.empty(shape), np.empty(shape)
        self._losses = np.empty((self._room, len(members)))
        self._actual, self._hypothetical = np.empty(self._room), np.empty(self._room)
        self._forecast: RiskMeasured | None = None
        self.told_last: str = ""
        """The period of the newest backtest; empty before the first."""
        self.weights: dict[str, float] = {}
        self.fits: dict[str, FittedAt] = {}
        self.stressed_window: tuple[str, str] | None = None
        self.stressed_at: str | None = None

    # -- the fold ------------------------------------------------------------------------------------------------

    def backtested(self, event: RiskBacktested) -> None:
        """Take what came of the forecast, and what was found at this close."""
        if event.forecast_period is not None:
            self.realise(event.forecast_period, event.actual_pnl.value, event.hypothetical_pnl.value)
        self.conclude(event)

    def conclude(self, event: RiskBacktested) -> None:
        """Take what was found at this close: weights, fits and the worst stretch of the past."""
        self.told_last = event.period or ""
        self.weights, self.fits = dict(event.weights), dict(event.fits)
        self.stressed_window, self.stressed_at = event.stressed_window, event.stressed_at

    def measured(self, event: RiskMeasured) -> None:
        """Take the forecast for the next close."""
        self._forecast = event

    def realise(self, forecast_period: str, actual: float | None, hypothetical: float | None) -> bool:
        """Set what came beside the forecast of that close; False when either is missing, and nothing is learnt."""
        forecast, self._forecast = self._forecast, None
        known = actual is not None or hypothetical is not None
        if forecast is None or forecast.period != forecast_period or not known:
            return False
        unit = _unit(forecast)
        at = self._next(forecast_period)
        for i, name in enumerate(self._ids):
            self._var[at, i], self._es[at, i] = tails(forecast.methods.get(name), self._keys)
        self._var[at] /= unit
        self._es[at] /= unit
        self._actual[at] = np.nan if actual is None else actual / unit
        self._hypothetical[at] = np.nan if hypothetical is None else hypothetical / unit
        self._losses[at] = self._losses_at(at)
        return True

    def _losses_at(self, at: int) -> Floats:
        here, members = slice(at, at + 1), self._members
        losses = fz0_loss(self._hypothetical[here], self._var[here, members], self._es[here, members], self._levels)
        total: Floats = np.add.reduce(losses[0], axis=-1)
        return total

    def forget_to(self, period: str) -> None:
        """Leave out what was forecast at or before the close of ``period``; it does not come back."""
        self._first = max(self._first, bisect_right(self._periods, period))

    def _next(self, period: str) -> int:
        if len(self._periods) == len(self._actual):
            gone = len(self._periods) - self._window
            for kept in (self._var, self._es, self._losses, self._actual, self._hypothetical):
                kept[: self._window] = kept[gone:]
            del self._periods[:gone]
            self._first = max(0, self._first - gone)
        self._periods.append(period)
        return len(self._periods) - 1

    # -- what is known -------------------------------------------------------------------------------------------

    def has_forecast_of(self, period: str, currency: str) -> bool:
        """Whether the newest forecast is that of the close of ``period``, in that currency."""
        newest = self._forecast
        return newest is not None and (newest.period, newest.currency) == (period, currency)

    @property
    def var(self) -> Floats:
        """(closes, methods, levels)"""
        return self._var[self._kept]

    @property
    def es(self) -> Floats:
        """(closes, methods, levels)"""
        return self._es[self._kept]

    @property
    def losses(self) -> Floats:
        """(closes, members) FZ0 losses of hypothetical P&L, summed over the levels; NaN where one is not known."""
        return self._losses[self._kept]

    @property
    def actual(self) -> Floats:
        """(closes,) P&L with the trades of the day."""
        return self._actual[self._kept]

    @property
    def hypothetical(self) -> Floats:
        """(closes,) P&L of the holdings that the forecast was of."""
        return self._hypothetical[self._kept]

    def fit(self, method: str) -> Fit | None:
        """The newest fit of the method's model; None before the first."""
        known = self.fits.get(method)
        return None if known is None else Fit(str(known.status), known.reason, known.parameters)

    @property
    def _kept(self) -> slice:
        end = len(self._periods)
        return slice(max(self._first, end - self._window), end)


def _unit(forecast: RiskMeasured) -> float:
    for figure in (forecast.nav, forecast.gross):
        if figure.value is not None and figure.value > 0:
            return figure.value
    return 1.0


def tails(risk: MethodRisk | None, levels: Sequence[str]) -> tuple[list[float], list[float]]:
    """VaR and ES at each level, NaN where there is none."""
    found = [risk.levels.get(level) if risk else None for level in levels]
    var = [np.nan if tail is None or tail.var is None else tail.var for tail in found]
    es = [np.nan if tail is None or tail.es is None else tail.es for tail in found]
    return var, es


def fitted_at(period: str, fits: Mapping[str, Fit]) -> dict[str, FittedAt]:
    """Fits as the log keeps them."""
    return {
        name: FittedAt(period=period, status=fit.status, reason=fit.reason, parameters=dict(fit.parameters))
        for name, fit in fits.items()
    }


def told(fit: FittedAt) -> Plain:
    """A fit as the next event tells it again."""
    return {"period": fit.period, "status": fit.status, "reason": fit.reason, "parameters": dict(fit.parameters)}
