"""What should be there: every figure, measured from real prices and the books below each cut."""

from collections.abc import Iterator

import pandas as pd
from books import Books, Performance
from figures import Figures, book_figures, return_figures
from rows import Row, number

WINDOW_RETURNS = 252
ANALYZERS = ("basic", "returns", "risk", "drawdown")
VALUED = ("nav", "pnl", "flow", "period_return", "gross", "net")


class Truth:
    """All figures of a run. ``closes`` (periods, instruments) are real prices, ``every`` says how many are sampled."""

    def __init__(self, closes: pd.DataFrame, books: Books, *, every: int) -> None:
        self._closes = closes
        self.books = books
        self._days = pd.to_datetime(closes.index)
        self.performances = {name: books.performance(name) for name in sorted(books.definitions) if books.members(name)}
        """By portfolio."""
        measured = pd.DataFrame({name: p.is_measured for name, p in self.performances.items()})
        self.measured = [(str(name), str(period)) for name in measured for period in measured.index[measured[name]]]
        """Every portfolio and period that has figures."""
        self.periods = set(closes.index)
        self.sampled = set(measured.index[measured.any(axis="columns")][::every])
        """The periods whose windows and tails are compared."""

    def navs(self) -> "pd.Series[float]":
        """NAV by portfolio and period."""
        return pd.concat({name: p.nav for name, p in self.performances.items()})

    def prices(self) -> Iterator[Row]:
        """The real closes of every period; an instrument stands where a portfolio would."""
        for name, column in self._closes.items():
            yield from (Row("price", str(name), period, price) for period, price in column.dropna().items())

    def valuations(self) -> Iterator[Row]:
        """The figures of every valuation."""
        for name, performance in self.performances.items():
            for figure, column in _valued(performance).items():
                values = column[performance.is_measured].items()
                yield from (Row(figure, name, period, number(value)) for period, value in values)

    def metrics(self) -> Iterator[Row]:
        """The analyzers' figures at the sampled closes."""
        for name, period in self._sampled():
            figures = self._window_figures(self.performances[name], self._closes.index.get_loc(period))
            yield from (Row(figure, name, period, value) for figure, value in figures.items())

    def _sampled(self) -> Iterator[tuple[str, str]]:
        return ((name, period) for name, period in self.measured if period in self.sampled)

    def _window_figures(self, performance: Performance, row: int) -> Figures:
        nav, valued = performance.nav.iloc[row], _valued(performance)
        begin = max(int(performance.is_measured.argmax()), row - WINDOW_RETURNS)
        returns = performance.period_return.iloc[begin + 1 : row + 1].dropna()
        return {
            "nav": number(nav),
            "pnl": number(valued["pnl"].iloc[row]),
            "return": number(valued["period_return"].iloc[row]),
            **book_figures(performance.securities.iloc[row], nav),
            **return_figures(returns, (self._days[row] - self._days[begin]).days),
            **{f"n_obs {analyzer}": float(len(returns)) for analyzer in ANALYZERS},
        }


def _valued(performance: Performance) -> "dict[str, pd.Series[float]]":
    return {name: getattr(performance, name) for name in VALUED}
