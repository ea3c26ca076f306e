"""What every event has in common: the base model, figures with their status, the cut and the inputs of a close.

WHEN CHANGING A CONTRACT: within ``.v1`` a change only adds fields that have a default. Anything else is a ``.v2``
beside it. Run ``make generate`` and commit what it writes: drift and breaking changes are failing tests.
"""

from enum import StrEnum
from typing import Annotated, Literal, NamedTuple, Self
from uuid import UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

EVENT_IDS = UUID("6f1ad1a3-53c9-5a41-9b0d-7a1d3f0c2e55")
"""Namespace of all event ids: an id is a function of what the event is about, never of a clock or of chance."""

EVENT_BYTES_MAX = 900_000
"""A larger event is neither published nor read: a broker takes no record of more than 1 MB."""

PortfolioId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
InstrumentId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Period = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?$")]
"""The label of a closed period. Labels sort in time: the newer period is the greater string."""


class Status(StrEnum):
    """Why a figure has a value, or has none."""

    OK = "ok"
    INSUFFICIENT = "insufficient"
    UNDEFINED = "undefined"
    ZERO_VARIANCE = "zero_variance"
    NO_DOWNSIDE = "no_downside"
    RUINED = "ruined"
    STALE = "stale"
    UNPRICED = "unpriced"
    DEGRADED = "degraded"


class Basis(StrEnum):
    """``close``: exact, complete, kept. ``live``: the newest headline between closes, conflated, replaceable."""

    CLOSE = "close"
    LIVE = "live"


class Part(BaseModel):
    """A frozen, finite piece of an event. A producer cannot invent a field: unknown ones are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_enum_values=True, use_attribute_docstrings=True
    )


class Event(Part):
    """A record's value on the bus."""

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """Read as a consumer does: a field from a newer schema is ignored, a missing or wrong one is refused.

        Types are strict: a number written as a string is wrong. So is an event of more than ``EVENT_BYTES_MAX``.

        Raises
        ------
        pydantic.ValidationError
            Naming every field that is missing or wrong.
        """
        if len(value) > EVENT_BYTES_MAX:
            raise ValidationError.from_exception_data(cls.__name__, [_too_large(value)])
        return cls.model_validate_json(value, strict=True, extra="ignore")

    def to_json(self) -> bytes:
        """The bytes that go onto the bus; equal events have equal bytes."""
        return self.__pydantic_serializer__.to_json(self)


def _too_large(value: bytes) -> InitErrorDetails:
    message = PydanticCustomError("too_large", "expected at most {most} bytes", {"most": EVENT_BYTES_MAX})
    return InitErrorDetails(type=message, loc=("value",), input=len(value))


class Figure(Part):
    """A number, or the reason there is none; ``value`` is null exactly when it is undefined."""

    value: float | None
    status: Status = Status.OK


class Cut(Part):
    """End offsets of the reference topics at a close: the book of the close is the newest version below them."""

    holdings: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    """One end offset for each partition of ``portfolio.holdings.v1``."""
    definitions: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    """One end offset for each partition of ``portfolio.definitions.v1``."""
    instruments: Annotated[int, Field(ge=0)]
    actions: Annotated[int, Field(ge=0)]


class Inputs(Part):
    """What a closing figure was computed from; recomputed from these, it is the same event with the same bytes."""

    close_offset: Annotated[int, Field(ge=0)]
    """Offset of the PeriodClosed on ``market.closes.v1``."""
    cut: Cut
    book: str
    """Content hash of the positions and cash that were measured."""
    market: str
    """Content hash of the prices (analytics) or of the scenario returns (risk) that were used."""
    models: dict[str, str]
    """Version of every analyzer or method that took part, by its id."""
    seed: int | None = None
    """Where the drawn scenarios of the close began."""
    prices: str | None = None
    """Content hash of the prices of this close alone: with those of earlier closes it tells which one was altered."""


class Measured(Event):
    """What every measurement of a portfolio carries."""

    event_id: UUID
    portfolio_id: PortfolioId
    period: Period | None
    """The closed period; null for a live figure."""
    revision: Annotated[int, Field(ge=0)] = 0
    as_of: AwareDatetime
    basis: Basis
    currency: Currency
    """Base currency of the portfolio, in which all money of the event is."""
    coverage: float | None
    """Share of gross exposure that is priced with enough history; null where the exposure is unknown."""
    inputs: Inputs | None
    """Null for a live figure."""


def event_id(topic: str, *identity: str | int | None) -> UUID:
    """The id of the event on logical ``topic`` that is about ``identity``; the same for every recomputation."""
    return uuid5(EVENT_IDS, "\x1f".join((topic, *("" if part is None else str(part) for part in identity))))


Level = Literal["ok", "warn", "breach"]


class Arrival(NamedTuple):
    """An event at its place in the log; ``event`` is None for a tombstone of ``key``."""

    topic: str
    partition: int
    offset: int
    key: str
    event: Event | None
