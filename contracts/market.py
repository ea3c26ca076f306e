"""What is quoted: instruments, price slices between closes, and the closes themselves."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from contracts.event import Currency, Cut, Event, InstrumentId, Period


class InstrumentDefined(Event):
    """An instrument's terms. ``fx:EURUSD`` (kind ``fx``) is quoted in USD per one EUR: its currency is USD."""

    instrument_id: InstrumentId
    version: Annotated[int, Field(ge=1)]
    effective_at: AwareDatetime
    kind: Literal["equity", "index", "fx"]
    currency: Currency
    """The currency its price is in."""
    name: str = ""
    sector: str | None = None
    multiplier: Annotated[float, Field(gt=0)] = 1.0
    """Units of ``currency`` that one point of price is worth for a quantity of one."""


class PricesObserved(Event):
    """A slice: the prices that changed, seen at one instant; one tick is a slice of one."""

    source: str
    as_of: AwareDatetime
    prices: dict[InstrumentId, Annotated[float, Field(gt=0)]]
    synthetic: bool = False
    """True where the source made the prices up (a bridge between two real closes, for instance)."""


class PeriodClosed(Event):
    """A period is over: its closing prices, and the cut that fixes which holdings they are applied to."""

    source: str
    period: Period
    as_of: AwareDatetime
    prices: dict[InstrumentId, Annotated[float, Field(gt=0)]]
    cut: Cut
    synthetic: bool = False


class CorporateAction(Event):
    """A split or a dividend of one instrument."""

    instrument_id: InstrumentId
    action: Literal["split", "dividend"]
    effective_at: AwareDatetime
    ratio: Annotated[float, Field(gt=0)] | None = None
    """New shares for one old share, of a split."""
    amount: float | None = None
    """Money per share in the instrument's currency, of a dividend."""
