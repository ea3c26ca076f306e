"""What an analyzer sees and what it is: the whole contract of the plug-ins of this folder."""

from dataclasses import dataclass
from typing import Protocol

from tailstream.quant.arrays import Figure, Floats
from tailstream.quant.returns import Annualisation

MINIMUM_COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class Window:
    """One portfolio at one close, with the returns that led there. Money is in the portfolio's base currency.

    `returns` (n,): time-weighted, oldest first, closes without one left out; the last one is `period_return` where
    that has a value.
    `calendar_days`: from the close before the first return to the last.
    `nav`: None when it cannot be known (a price or a rate is missing). `pnl`: None without a former NAV as well.
    `flow`: external money that came in (positive) since the former close.
    `period_return`: time-weighted return since the former close, or the reason there is none; without a `pnl` it has
    no value either.
    `exposures` (positions,): signed, of the priced positions, sorted by instrument.
    `coverage`: share of gross exposure that is priced, None when nothing is held.
    """

    returns: Floats
    calendar_days: int
    periods_per_year: float
    nav: float | None
    pnl: float | None
    flow: float
    period_return: Figure
    exposures: Floats
    coverage: float | None

    @property
    def annualisation(self) -> Annualisation:
        """How the returns of this window are scaled to a year."""
        return Annualisation(self.periods_per_year, self.calendar_days)

    @property
    def covered(self) -> bool:
        """Whether enough of the book is priced for its exposures to stand for the whole."""
        return self.coverage is None or self.coverage >= MINIMUM_COVERAGE


class Analyzer(Protocol):
    """Figures of one window: a pure function, the same window always giving the same figures.

    `name` is unique and never changes; `version` changes whenever the same window would give other figures.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def __call__(self, window: Window) -> dict[str, Figure]:
        """The figures by name, always the same names in the same order, whatever is missing in the window."""
        ...
