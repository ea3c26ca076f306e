"""What was measured of a portfolio, and which figure of it a limit is held against."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from contracts.analytics import AnalyticsComputed
from contracts.event import Currency, Status
from contracts.limits import Limit
from contracts.risk import MethodRisk, RiskMeasured, TailRisk

ANALYZER_FIGURES: Mapping[str, tuple[str, ...]] = {
    "basic": ("gross", "net", "leverage", "concentration_hhi"),
    "risk": ("volatility",),
    "drawdown": ("drawdown",),
}
"""The figures that limits may be held against, by the analyzer that publishes them."""
TAIL_FIGURES: Mapping[str, tuple[str, str]] = {
    f"{measure}_{digits}": (measure, f"0.{digits}")
    for measure in ("var", "es")
    for digits in ("95", "975", "99", "995")
}
"""VaR and ES metrics: the measure, and the confidence as RiskMeasured writes it."""


_OK = Status.OK  # Python 3.11 calls a function for every look-up of an enum's member


class Reading(NamedTuple):
    """A figure as it was published: a number, or the reason there is none."""

    value: float | None
    status: str

    @property
    def usable(self) -> float | None:
        """The value that a limit may be held against: none that is stale, degraded or otherwise in doubt."""
        return self.value if self.status == _OK else None


class Tail(NamedTuple):
    """VaR and ES at one confidence, in money and as fractions of NAV."""

    var: float | None
    es: float | None
    var_fraction: float | None
    es_fraction: float | None


class MethodTails(NamedTuple):
    """One method's status, and its figures by confidence."""

    status: str
    tails: Mapping[str, Tail]


@dataclass(slots=True)
class Measurement:
    """What is known of a portfolio at one instant; a figure that did not arrive is not in it."""

    as_of: datetime
    currency: Currency
    figures: dict[str, Reading] = field(default_factory=dict)
    methods: dict[str, MethodTails] = field(default_factory=dict)

    def join(self, other: "Measurement") -> None:
        """Take in what ``other`` measured at the same instant."""
        self.figures.update(other.figures)
        self.methods.update(other.methods)


class Assessment(NamedTuple):
    """A limit's figure, and how much of the limit it uses; without a usable value there is no utilisation."""

    value: float | None
    status: str
    utilisation: float | None


ABSENT = Assessment(None, Status.STALE, None)
"""The figure did not arrive."""


def analysed(event: AnalyticsComputed) -> Measurement:
    """The figures of one analyzer that limits may be held against."""
    published = event.figures
    figures = {
        name: Reading(published[name].value, published[name].status)
        for name in ANALYZER_FIGURES[event.analyzer]
        if name in published
    }
    return Measurement(event.as_of, event.currency, figures)


def risked(event: RiskMeasured) -> Measurement:
    """VaR and ES of every method."""
    return Measurement(event.as_of, event.currency, methods={name: _tails(m) for name, m in event.methods.items()})


def _tails(method: MethodRisk) -> MethodTails:
    return MethodTails(method.status, {level: _tail(tail) for level, tail in method.levels.items()})


def _tail(tail: TailRisk) -> Tail:
    return Tail(tail.var, tail.es, tail.var_fraction, tail.es_fraction)


def assess(limit: Limit, measured: Measurement) -> Assessment | None:
    """Hold the limit against its figure; None when the measurement does not have that figure.

    Raises
    ------
    ValueError
        When the limit is in another currency than the portfolio, or the utilisation is no finite number.
    """
    reading = _tail_reading(limit, measured) if limit.metric in TAIL_FIGURES else measured.figures.get(limit.metric)
    if reading is None:
        return None
    if limit.currency is not None and limit.currency != measured.currency:
        raise ValueError(f"currency: expected {measured.currency}, the portfolio's, was {limit.currency}")
    usable = reading.usable
    return Assessment(reading.value, reading.status, None if usable is None else utilisation(limit, usable))


def utilisation(limit: Limit, value: float) -> float:
    """How much of the limit ``value`` uses: above 1 is over it.

    ``value / base`` of a ``max`` limit, where net exposure counts by its size; ``2 - value / base`` of a ``min``
    limit, which is 1 at the limit, above it below, and finite for a value of zero or less.
    """
    share = (abs(value) if limit.metric == "net" and limit.direction == "max" else value) / limit.base
    used = share if limit.direction == "max" else 2.0 - share
    if not math.isfinite(used):
        raise ValueError(f"utilisation: expected a finite number, was {used} for {value} of {limit.base}")
    return used


def threshold(limit: Limit, used: float) -> float:
    """The value at which ``used`` of the limit is used; the inverse of ``utilisation``."""
    return limit.base * (used if limit.direction == "max" else 2.0 - used)


def _tail_reading(limit: Limit, measured: Measurement) -> Reading | None:
    method = measured.methods.get(limit.method)
    if method is None:
        return None
    measure, level = TAIL_FIGURES[limit.metric]
    tail = method.tails.get(level)
    if tail is None:
        return Reading(None, Status.STALE if method.status == Status.OK else method.status)
    money, fraction = (tail.var, tail.var_fraction) if measure == "var" else (tail.es, tail.es_fraction)
    return Reading(money if limit.currency else fraction, method.status)
