"""The terms of the instruments that the history has prices of."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from types import MappingProxyType

from contracts.market import InstrumentDefined
from tailstream.sources.history import History

INDEX = "SP500"
FX = "fx:"

SECTORS: Mapping[str, str] = MappingProxyType({
    "AAPL": "Information Technology", "AMD": "Information Technology", "MSFT": "Information Technology",
    "BAC": "Financials", "JPM": "Financials",
    "BBY": "Consumer Discretionary", "HD": "Consumer Discretionary",
    "KO": "Consumer Staples", "PEP": "Consumer Staples", "PG": "Consumer Staples", "WMT": "Consumer Staples",
    "CVX": "Energy", "RRC": "Energy", "XOM": "Energy",
    "GE": "Industrials",
    "JNJ": "Health Care", "LLY": "Health Care", "MRK": "Health Care", "PFE": "Health Care", "UNH": "Health Care",
})  # fmt: skip
"""GICS sector of each stock, as of 2022."""
STOCKS: tuple[str, ...] = tuple(sorted(SECTORS))


def instruments(history: History) -> Iterator[InstrumentDefined]:
    """The definition of every instrument of the history, in its order, in force from the history's first day."""
    since = datetime.combine(history.dates[0], time(), UTC)
    for name in history.instruments:
        yield _currency_pair(name, since) if name.startswith(FX) else _security(name, since)


def _currency_pair(name: str, since: datetime) -> InstrumentDefined:
    """A pair is quoted in its second currency for one of its first."""
    base, quoted = name[len(FX) : len(FX) + 3], name[len(FX) + 3 :]
    return InstrumentDefined(
        instrument_id=name, version=1, effective_at=since, kind="fx", currency=quoted, name=f"{quoted} per {base}"
    )


def _security(name: str, since: datetime) -> InstrumentDefined:
    index = name == INDEX
    return InstrumentDefined(
        instrument_id=name,
        version=1,
        effective_at=since,
        kind="index" if index else "equity",
        currency="USD",
        name="S&P 500" if index else name,
        sector=None if index else SECTORS[name],
    )
