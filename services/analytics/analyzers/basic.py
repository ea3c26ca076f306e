"""What the portfolio is worth, what it gained since the former close, and what it holds."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from services.analytics.analyzers.window import Window
from tailstream.quant.arrays import UNPRICED, Figure
from tailstream.quant.concentration import (
    effective_positions,
    exposure,
    herfindahl,
    largest_position,
    leverage,
    weights,
)


@dataclass(frozen=True, slots=True)
class Basic:
    """NAV, P&L and return of this close; exposures, leverage and concentration of the book.

    Money: `nav pnl gross net long short` (short positive). Fractions: `return leverage concentration_hhi
    largest_position` (the last two of gross exposure). Counts: `effective_positions positions` (priced ones that are
    not zero). Figures of the book are `degraded`, their value of the priced part, when too little of it is priced.
    """

    name: ClassVar[str] = "basic"
    version: ClassVar[str] = "1"

    def __call__(self, window: Window) -> dict[str, Figure]:
        figures = {"nav": _nav(window), "pnl": _pnl(window), "return": window.period_return}
        book = _book(window)
        return figures | (book if window.covered else {name: _degraded(figure) for name, figure in book.items()})


def _nav(window: Window) -> Figure:
    return UNPRICED if window.nav is None else Figure.of(window.nav)


def _pnl(window: Window) -> Figure:
    return window.period_return if window.pnl is None else Figure.of(window.pnl)


def _book(window: Window) -> dict[str, Figure]:
    held, shares = exposure(window.exposures), weights(window.exposures)
    concentration = herfindahl(shares)
    return {
        "gross": held.gross,
        "net": held.net,
        "long": held.long,
        "short": held.short,
        "leverage": leverage(held.gross, window.nav),
        "concentration_hhi": concentration,
        "effective_positions": effective_positions(concentration),
        "largest_position": largest_position(shares),
        "positions": Figure.of(float(np.count_nonzero(window.exposures))),
    }


def _degraded(figure: Figure) -> Figure:
    return Figure(figure.value, "degraded") if figure.status == "ok" else figure
