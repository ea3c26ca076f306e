"""What a book would gain in each scenario, and how much of the book that stands for."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.risk.tail import shortfall_of
from tailstream.fold.market import Ints, Scenarios
from tailstream.fold.valuation import Valuation
from tailstream.quant.arrays import Floats
from tailstream.quant.scenarios import scenario_pnl, scenario_pnl_of_rows

Bools = npt.NDArray[np.bool_]


class Field(NamedTuple):
    """Scenarios that books are put through: ``returns`` (rows, S), and which rows have enough of them."""

    rows: Mapping[str, int]
    returns: Floats
    usable: Bools
    gapless: bool
    """Whether no usable row has a gap."""

    @classmethod
    def of(cls, scenarios: Scenarios, observations_min: int) -> "Field":
        """The scenarios of the market; a row with fewer observations is not usable."""
        return cls(scenarios.rows, scenarios.returns, scenarios.observations >= observations_min, scenarios.complete)

    @classmethod
    def made(cls, rows: Mapping[str, int], returns: Floats) -> "Field":
        """Scenarios that a method made; a row that it left out is NaN throughout."""
        usable = ~np.isnan(returns[:, 0]) if returns.shape[1] else np.zeros(len(returns), dtype=bool)
        return cls(rows, returns, usable, gapless=True)


class Exposed(NamedTuple):
    """What a book is exposed to: positions, then money in foreign currencies, in base currency."""

    names: tuple[str, ...]
    amounts: Floats
    unpriced: tuple[str, ...]

    @classmethod
    def of(cls, valuation: Valuation) -> "Exposed":
        """The exposures of a valued book."""
        abroad = valuation.cash_exposures
        return cls(
            (*valuation.instruments, *(name for name, _ in abroad)),
            np.append(valuation.exposures, [amount for _, amount in abroad]),
            valuation.unpriced,
        )

    @property
    def gross(self) -> float:
        """The sum of the sizes of all exposures."""
        return float(np.add.reduce(np.abs(self.amounts)))

    def placed(self, rows: Mapping[str, int]) -> Ints:
        """The row of each exposure, -1 where it has none."""
        return np.array([rows.get(name, -1) for name in self.names], dtype=np.int64)


class Profit(NamedTuple):
    """The scenario P&L of one book, base currency, oldest first; and how much of the book it stands for."""

    pnl: Floats
    coverage: float | None
    uncovered: tuple[str, ...]
    shortfall: str | None
    """Why the scenarios do not stand for the whole book; None when they do."""
    covered: Bools
    """Which exposures take part."""


def profit(exposed: Exposed, placed: Ints, field: Field, min_coverage: float) -> Profit:
    """The book in the scenarios in which all that is covered has a return.

    A book of which nothing is covered has no scenario; one that is all cash of its own currency gains 0 in each.
    """
    covered = placed >= 0
    covered[covered] = field.usable[placed[covered]]
    rows = placed[covered]
    if rows.size and field.gapless:
        pnl = scenario_pnl_of_rows(exposed.amounts[covered], field.returns, rows)
    else:
        pnl = scenario_pnl(exposed.amounts[covered], _returns(exposed, rows, field))
    coverage = _coverage(exposed, covered)
    left_out = sorted(name for name, yes in zip(exposed.names, covered, strict=True) if not yes)
    uncovered = (*exposed.unpriced, *left_out)
    return Profit(pnl, coverage, uncovered, shortfall_of(coverage, min_coverage), covered)


def position_pnl(exposed: Exposed, placed: Ints, field: Field, covered: Bools) -> Floats:
    """P&L of each covered exposure in the scenarios of ``profit``, (n, S)."""
    returns: Floats = exposed.amounts[covered][:, None] * _returns(exposed, placed[covered], field)
    return returns


def _returns(exposed: Exposed, rows: Ints, field: Field) -> Floats:
    """Returns of the covered exposures, (n, S): the scenarios in which one of them has a gap are left out."""
    if not rows.size and (exposed.names or exposed.unpriced):
        return np.empty((0, 0))
    returns = field.returns[rows]
    return returns if field.gapless else np.ascontiguousarray(returns[:, ~np.isnan(returns).any(axis=0)])


def _coverage(exposed: Exposed, covered: Bools) -> float | None:
    """Covered share of gross exposure, foreign cash included; 1 where nothing is exposed, None where it is unknown."""
    if exposed.unpriced:
        return None
    gross = np.abs(exposed.amounts)
    total = float(np.add.reduce(gross))
    return float(np.add.reduce(gross[covered])) / total if total else 1.0
