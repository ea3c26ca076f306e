"""What analytics publishes: the metrics of each analyzer, and the valuation that carries the service's state."""

from typing import Annotated

from pydantic import Field

from contracts.event import Figure, InstrumentId, Measured


class AnalyticsComputed(Measured):
    """The figures of one analyzer for one portfolio; ``n_obs`` returns were in the window, one mask for all."""

    analyzer: str
    n_obs: Annotated[int, Field(ge=0)]
    figures: dict[str, Figure]


class PortfolioValued(Measured):
    """One close of one portfolio's valuation: what the next close needs to know of this one.

    The return is time-weighted: ``pnl / (nav_before + what joined - what left)``, with the flow taken out of the P&L.
    """

    nav: Figure
    pnl: Figure
    """Gain since the close before, without external flows; money."""
    flow: float
    """External flow since the close before (first close: null status figures and the declared flow); money."""
    period_return: Figure
    """Time-weighted return since the close before; a fraction."""
    gross: Figure
    net: Figure
    holdings_version: Annotated[int, Field(ge=0)]
    """Newest version below the cut; 0 for a parent."""
    unpriced: tuple[InstrumentId, ...] = ()
    stale: tuple[InstrumentId, ...] = ()
