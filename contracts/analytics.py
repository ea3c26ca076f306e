"""What analytics publishes: the metrics of each analyzer, and the valuation that carries the service's state."""

from typing import Annotated

from pydantic import Field

from contracts.event import Figure, InstrumentId, Measured, Status


class AnalyticsComputed(Measured):
    """The figures of one analyzer for one portfolio; ``n_obs`` returns were in the window, one mask for all."""

    analyzer: str
    status: Status = Status.OK
    """``degraded`` when the analyzer failed; then there are no figures, and a reason."""
    reason: str | None = None
    n_obs: Annotated[int, Field(ge=0)]
    figures: dict[str, Figure]


class PortfolioValued(Measured):
    """One close of one portfolio's valuation: what the next close needs to know of this one.

    ``nav = nav before + pnl + flow``. The return is time-weighted: the P&L of the members that were there before, over
    their NAV before. The first close has no P&L: all of its NAV is flow.
    """

    nav: Figure
    pnl: Figure
    """Gain since the close before, without external flows; money."""
    flow: Figure
    """What came in or went out since the close before: declared flows, and members that joined or left; money."""
    period_return: Figure
    """Time-weighted return since the close before; a fraction."""
    gross: Figure
    net: Figure
    holdings_version: Annotated[int, Field(ge=0)]
    """Newest version below the cut; 0 for a parent."""
    unpriced: tuple[InstrumentId, ...] = ()
    stale: tuple[InstrumentId, ...] = ()
