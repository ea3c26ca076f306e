"""What is held: the tree of portfolios, and the holdings of its leaves."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from contracts.event import Currency, Event, InstrumentId, PortfolioId


class PortfolioDefined(Event):
    """A node of the tree: a book, or a desk or firm that is the sum of its descendants. A tombstone closes it."""

    portfolio_id: PortfolioId
    name: str
    base_currency: Currency
    parent: PortfolioId | None = None
    benchmark: InstrumentId | None = None


class HoldingsReplaced(Event):
    """All a portfolio holds, from one version to the next. A version at or below the newest seen changes nothing."""

    portfolio_id: PortfolioId
    version: Annotated[int, Field(ge=1)]
    effective_at: AwareDatetime
    positions: dict[InstrumentId, float]
    """Quantity of each instrument; negative is short."""
    cash: dict[Currency, float]
    """Money by currency; negative is borrowed."""
    external_flow: float = 0.0
    """Money that came in (positive) or went out since the version before, in the portfolio's base currency."""
