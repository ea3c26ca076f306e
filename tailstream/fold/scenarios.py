"""Scenarios: the returns of every instrument in one base currency, with proxies, currencies and options."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from contracts.market import InstrumentDefined
from tailstream.quant.arrays import Floats
from tailstream.quant.options import PERIOD_YEARS, QuotedOption
from tailstream.quant.scenarios import compound_currency, simple_returns
from tailstream.quant.stress import compounded

Ints = npt.NDArray[np.int64]
Reprice = Callable[[QuotedOption, Floats, float], Floats]
"""Returns of an option from the local returns of its underlying within so many years."""


@dataclass(frozen=True, slots=True)
class OptionRow:
    """An option among the scenarios, and the rows of what moves it; None is the base currency, which never moves."""

    row: int
    quoted: QuotedOption
    underlying: int | None
    currency: int | None


@dataclass(frozen=True)
class Scenarios:
    """Returns of every instrument in one base currency over a window, oldest first.

    ``returns`` is (instruments + currencies, periods), C-contiguous, NaN where either end of a period is missing or the
    return overflows; ``rows`` finds an instrument's row, or that of ``cash:USD``, money in a currency that is not the
    base. An option's row is its full revaluation, from its price at the close that the scenarios are made at.
    """

    rows: Mapping[str, int]
    returns: Floats
    observations: Ints
    periods: tuple[str, ...] = ()
    """(periods,) the label of the close that each return ends at."""
    horizon: int = 1
    """How many periods each return is over."""
    proxied: Mapping[str, str] = field(default_factory=dict)
    """By instrument, the proxy whose returns filled at least one period of it."""
    options: Mapping[str, OptionRow] = field(default_factory=dict)

    @cached_property
    def content_hash(self) -> str:
        """sha256 of the names and the returns, in hex; equal scenarios have equal hashes."""
        return content_hash(tuple(self.rows), self.returns)

    @property
    def complete(self) -> bool:
        """Whether no return of the window is missing."""
        return bool((self.observations == self.returns.shape[1]).all())

    def delta_gamma(self) -> Floats:
        """The returns with every option's by its delta and gamma; the same array where there is no option."""
        return self._repriced(self.returns, QuotedOption.delta_gamma, self.horizon)

    def revalued(self, returns: Floats, periods: int | None = None) -> Floats:
        """Other ``returns`` (rows, S) with every option's replaced by its full revaluation under its underlying's.

        Returns are in the base currency, in the order of ``rows``; what stands in the rows of options is ignored. Time
        moves on by the horizon, or by ``periods``: 0 for a shock. The same array where there is no option.
        """
        return self._repriced(returns, QuotedOption.revalued, self.horizon if periods is None else periods)

    def cumulative(self) -> Floats:
        """Return (rows,) over all periods, NaN where one is missing.

        An option is revalued at once at where its underlying got to: the volatility and the time of today, no path.
        """
        over_all = compounded(self.returns)
        return self.revalued(over_all[:, None], periods=0)[:, 0]

    def _repriced(self, returns: Floats, reprice: Reprice, periods: int) -> Floats:
        return repriced(returns, self.options.values(), reprice, periods) if self.options else returns


def repriced(returns: Floats, options: Iterable[OptionRow], reprice: Reprice, periods: int) -> Floats:
    """A copy of ``returns`` (rows, S) with the options' rows as ``reprice`` makes them when ``periods`` have passed."""
    made = returns.copy()
    with np.errstate(all="ignore"):
        for option in options:
            made[option.row] = _option_returns(option, returns, reprice, periods * PERIOD_YEARS)
    made[np.isinf(made)] = np.nan
    return made


def _option_returns(option: OptionRow, returns: Floats, reprice: Reprice, years_passed: float) -> Floats:
    """In the base currency: out of it by the return of the option's currency, and back with the same."""
    unmoved = np.zeros(returns.shape[1])
    underlying = unmoved if option.underlying is None else returns[option.underlying]
    if option.currency is None:
        return reprice(option.quoted, underlying, years_passed)
    fx = returns[option.currency]
    local = (underlying - fx) / (1.0 + fx)
    return compound_currency(reprice(option.quoted, local, years_passed), fx)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of closes, and what was known at the close that scenarios are made at."""

    prices: Floats
    """(columns, closes), oldest first, NaN where there was none."""
    columns: Mapping[str, int]
    periods: tuple[str, ...]
    """(closes,) the labels."""
    instruments: Mapping[str, InstrumentDefined]
    """Those defined and quoted, sorted by name."""
    proxies: Mapping[str, str]
    """By instrument that may be filled, the proxy."""
    options: Mapping[str, QuotedOption]
    horizon: int = 1

    def scenarios(self, base: str) -> Scenarios:
        """All returns in ``base`` that the span has; what has none in all of it has no row."""
        with np.errstate(over="ignore", invalid="ignore"):
            names, returns, proxied = self._linear(base)
            if self.options:
                return self._with_options(base, names, returns, proxied)
        return self._of(names, returns, proxied, {})

    def _linear(self, base: str) -> tuple[list[str], Floats, dict[str, str]]:
        """Of everything but options: the names, sorted, their returns, and whose are filled by which proxy."""
        held = [name for name, terms in self.instruments.items() if terms.kind not in ("fx", "option")]
        returns = self._local(held)
        proxied = self._fill(held, returns)
        currencies = np.array([self.instruments[name].currency for name in held], dtype=object)
        for currency in sorted({*currencies} - {base}):
            fx = self._fx(base, currency)
            of_it = currencies == currency
            returns[of_it] = np.nan if fx is None else compound_currency(returns[of_it], fx)
        cash = self._cash(base)
        names = sorted((*held, *cash))
        if cash:
            places = {name: i for i, name in enumerate((*held, *cash))}
            returns = np.concatenate([returns, *(fx[None] for fx in cash.values())])[[places[name] for name in names]]
        return _known(names, returns, proxied)

    def _local(self, names: Sequence[str]) -> Floats:
        columns = np.array([self.columns[name] for name in names], dtype=np.int64)
        return simple_returns(self.prices[columns], self.horizon)

    def _fill(self, names: Sequence[str], returns: Floats) -> dict[str, str]:
        """Fill what is missing of ``returns`` by the proxies'; own returns win, and a filled return fills no other."""
        filled: dict[str, str] = {}
        for row, name in enumerate(names):
            proxy = self.proxies.get(name)
            missing = np.isnan(returns[row]) if proxy is not None else None
            if proxy is None or missing is None or not missing.any():
                continue
            standing_in = self._local([proxy])[0]
            returns[row, missing] = standing_in[missing]
            if not np.isnan(standing_in[missing]).all():
                filled[name] = proxy
        return filled

    def _cash(self, base: str) -> dict[str, Floats]:
        """Returns of money in the currencies of the instruments and of all pairs that were quoted."""
        currencies = {terms.currency for terms in self.instruments.values() if terms.kind != "fx"}
        found = {
            currency: self._fx(base, currency) for currency in sorted((currencies | _quoted(self.columns)) - {base})
        }
        return {f"cash:{currency}": fx for currency, fx in found.items() if fx is not None}

    def _fx(self, base: str, currency: str) -> Floats | None:
        """Returns of one unit of ``currency`` in ``base``, by the pair that has any; None where there is no pair."""
        inverse = self.columns.get(f"fx:{base}{currency}")
        if inverse is not None:
            returns: Floats = simple_returns(self.prices[inverse][None, ::-1], self.horizon)[0, ::-1]
            if not np.isnan(returns).all():
                return returns
        pair = f"fx:{currency}{base}"
        return self._local([pair])[0] if pair in self.columns else None

    def _with_options(self, base: str, linear: list[str], returns: Floats, proxied: dict[str, str]) -> Scenarios:
        """With a row for every option whose movers have one; it is proxied where its underlying is."""
        moved = [name for name in self.options if {*self._movers(name, base)} <= {*linear, None}]
        names = sorted((*linear, *moved))
        rows: dict[str | None, int] = {name: i for i, name in enumerate(names)}
        widened = np.full((len(names), returns.shape[1]), np.nan)
        widened[[rows[name] for name in linear]] = returns
        options = {
            name: OptionRow(rows[name], self.options[name], *(rows.get(mover) for mover in self._movers(name, base)))
            for name in moved
        }
        proxied |= {name: proxied[of] for name in moved if (of := self._underlying(name)) in proxied}
        return self._of(
            names, repriced(widened, options.values(), QuotedOption.revalued, self.horizon), proxied, options
        )

    def _underlying(self, name: str) -> str:
        terms = self.instruments[name].option
        assert terms is not None
        return terms.underlying

    def _movers(self, name: str, base: str) -> tuple[str | None, str | None]:
        """The names of the rows that move an option: its underlying's and its currency's; None is the base."""
        underlying, currency = self._underlying(name), self.instruments[name].currency
        if underlying.startswith("fx:"):
            underlying = f"cash:{underlying[3:6]}"
        return _row_name(underlying, base), _row_name(f"cash:{currency}", base)

    def _of(
        self, names: Sequence[str], returns: Floats, proxied: Mapping[str, str], options: Mapping[str, OptionRow]
    ) -> Scenarios:
        return Scenarios(
            rows=MappingProxyType({name: i for i, name in enumerate(names)}),
            returns=returns,
            observations=np.count_nonzero(np.isfinite(returns), axis=1),
            periods=self.periods[self.horizon :],
            horizon=self.horizon,
            proxied=MappingProxyType(dict(proxied)),
            options=MappingProxyType(dict(options)),
        )


def _row_name(name: str, base: str) -> str | None:
    return None if name == f"cash:{base}" else name


def _known(names: Sequence[str], returns: Floats, proxied: dict[str, str]) -> tuple[list[str], Floats, dict[str, str]]:
    """Without the rows that have no return at all; a return that overflowed is missing."""
    if np.isfinite(returns).all() and returns.size:
        return list(names), returns, proxied
    rows = np.flatnonzero((~np.isnan(returns)).any(axis=1)).tolist()
    kept = [names[row] for row in rows]
    returns = returns[rows]
    returns[np.isinf(returns)] = np.nan
    return kept, returns, {name: proxied[name] for name in kept if name in proxied}


def _quoted(names: Mapping[str, object]) -> set[str]:
    """The currencies of the FX pairs among ``names``."""
    pairs = (name.removeprefix("fx:") for name in names if name.startswith("fx:") and len(name) == 9)
    return {currency for pair in pairs for currency in (pair[:3], pair[3:])}


def content_hash(names: Sequence[str], *arrays: Floats | Ints) -> str:
    """sha256 over names and arrays in their order, in hex."""
    digest = hashlib.sha256("\x1f".join(names).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
