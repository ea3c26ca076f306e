"""What risk takes from the bus: the log as its contracts say, and of its own outputs what its past is made of.

A takeover reads hundreds of closes of every portfolio back. Most of an event is skipped, which takes a tenth of the
time of reading it whole.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from contracts.event import Arrival
from contracts.topics import BACKTESTS, RISK
from tailstream.runtime import decoding
from tailstream.runtime.records import Record, Rejected


class Figure(msgspec.Struct, frozen=True, gc=False):
    """A value, or none."""

    value: float | None


class Tail(msgspec.Struct, frozen=True, gc=False):
    """VaR and ES of one level."""

    var: float | None
    es: float | None


class Method(msgspec.Struct, frozen=True, gc=False):
    """The figures of one method, by level."""

    levels: dict[str, Tail]


class Inputs(msgspec.Struct, frozen=True, gc=False):
    """Of what a forecast was made of, the close."""

    close_offset: int


class Fit(msgspec.Struct, frozen=True, gc=False):
    """The shape of a fitted model, and when it was found."""

    period: str
    status: str
    reason: str | None
    parameters: dict[str, float]


class _Closed(msgspec.Struct, frozen=True, gc=False):
    portfolio_id: str
    period: str
    currency: str
    inputs: Inputs


class Measured(_Closed, frozen=True, gc=False):
    """Of RiskMeasured, the forecast."""

    nav: Figure
    gross: Figure
    methods: dict[str, Method]


class Backtested(_Closed, frozen=True, gc=False):
    """Of RiskBacktested, what came of the forecast and what the next close needs."""

    forecast_period: str | None
    actual_pnl: Figure
    hypothetical_pnl: Figure
    weights: dict[str, float]
    fits: dict[str, Fit]
    stressed_window: tuple[str, str] | None
    stressed_at: str | None


READERS: Mapping[str, decoding.Reader] = MappingProxyType(
    {
        RISK.name: msgspec.json.Decoder(Measured).decode,
        BACKTESTS.name: msgspec.json.Decoder(Backtested).decode,
    }
)


def decode(records: Sequence[Record], partitions: int) -> tuple[list[Arrival], list[Rejected]]:
    """The events of ``records``, in order, and what is refused of them, each with its reason."""
    return decoding.decode(records, partitions, READERS)
