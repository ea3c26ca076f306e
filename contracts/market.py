"""What is quoted: instruments, price slices between closes, and the closes themselves."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, field_validator, model_validator

from contracts.event import Currency, Cut, Event, InstrumentId, Part, Period

ANNUAL_RATE_MAX = 2.0
"""A rate beyond this was meant in per cent."""


class OptionTerms(Part):
    """A European option on one unit of ``underlying``, valued by Black, Scholes and Merton."""

    underlying: InstrumentId
    right: Literal["call", "put"]
    strike: Annotated[float, Field(gt=0)]
    """In the currency of the option, which is that of its underlying."""
    expires_at: AwareDatetime
    rate: float = 0.0
    """Annual and continuous, a fraction."""
    dividend_yield: float = 0.0
    """Annual and continuous, a fraction."""

    @field_validator("rate", "dividend_yield")
    @classmethod
    def _a_fraction(cls, rate: float) -> float:
        if abs(rate) > ANNUAL_RATE_MAX:
            raise ValueError(f"expected a fraction a year, 0.03 for 3 %, at most {ANNUAL_RATE_MAX}, was {rate}")
        return rate


class InstrumentDefined(Event):
    """An instrument's terms. ``fx:EURUSD`` (kind ``fx``) is quoted in USD per one EUR: its currency is USD."""

    instrument_id: InstrumentId
    version: Annotated[int, Field(ge=1)]
    effective_at: AwareDatetime
    kind: Literal["equity", "index", "fx", "option"]
    currency: Currency
    """The currency its price is in."""
    name: str = ""
    sector: str | None = None
    multiplier: Annotated[float, Field(gt=0)] = 1.0
    """Units of ``currency`` that one point of price is worth for a quantity of one."""
    proxy: InstrumentId | None = None
    """Whose returns stand in for the periods in which this one has none, flagged."""
    option: OptionTerms | None = None
    """Of an ``option``, and of nothing else."""

    @model_validator(mode="after")
    def _terms_of_an_option(self) -> Self:
        if (self.kind == "option") != (self.option is not None):
            raise ValueError(f"option: expected terms exactly where kind is 'option', was kind {self.kind!r}")
        if self.option is not None and self.option.underlying == self.instrument_id:
            raise ValueError(f"option.underlying: expected another instrument, was {self.instrument_id} itself")
        return self

    @model_validator(mode="after")
    def _proxy_stands_in(self) -> Self:
        if self.proxy is None:
            return self
        if self.kind not in ("equity", "index"):
            raise ValueError(f"proxy: expected one of an equity or an index alone, was of kind {self.kind!r}")
        if self.proxy == self.instrument_id:
            raise ValueError(f"proxy: expected another instrument, was {self.instrument_id} itself")
        return self


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
