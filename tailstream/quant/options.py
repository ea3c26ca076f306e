"""European options by Black, Scholes and Merton, and what they return when their underlying moves.

Black & Scholes (1973); Merton (1973), with a continuous dividend yield. Time is in years, rates, yields and volatility
are annual and continuous; all prices are of one unit of the underlying and in one currency.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtr

from tailstream.quant.arrays import Floats

PERIOD_YEARS = 1.0 / 252.0
"""How far one scenario of one period moves an option on in time."""
ROUNDING = 1e-14
"""A price this little below its lower bound, relative to what the bound is made of, is at the bound."""
STEPS_MAX = 200
EXPONENT_MAX = 709.0
SQRT_2 = math.sqrt(2.0)
SQRT_2PI = math.sqrt(2.0 * math.pi)


class Option(NamedTuple):
    """The right to buy (`call`) or to sell (`put`) one unit of the underlying for `strike` at expiry."""

    right: Literal["call", "put"]
    strike: float
    rate: float = 0.0
    dividend_yield: float = 0.0

    @property
    def sign(self) -> float:
        """1 for a call, -1 for a put."""
        return 1.0 if self.right == "call" else -1.0

    def discount(self, years: float) -> float:
        """What one unit of money in so many years is worth today."""
        return _exponential(-self.rate * years)

    def carry(self, years: float) -> float:
        """What the right to one unit of the underlying in so many years is worth today, in units of it."""
        return _exponential(-self.dividend_yield * years)


class Greeks(NamedTuple):
    """First and second derivative of an option's price by the price of its underlying."""

    delta: float
    gamma: float


def price(option: Option, spot: Floats, years: float, volatility: float) -> Floats:
    """Price (S,) at each of `spot` (S,); at expiry and after it, the intrinsic value.

    Without volatility it is the discounted intrinsic value of the forward. A spot below zero counts as zero.
    """
    years = max(years, 0.0)
    sign, deviation = option.sign, volatility * math.sqrt(years)
    asset = np.maximum(spot, 0.0) * option.carry(years)
    strike = option.strike * option.discount(years)
    intrinsic: Floats = np.maximum(sign * (asset - strike), 0.0)
    if deviation == 0.0:
        return intrinsic
    with np.errstate(divide="ignore"):
        centre = np.log(asset / strike) / deviation
    upper, lower = ndtr(sign * (centre + deviation / 2.0)), ndtr(sign * (centre - deviation / 2.0))
    return np.maximum(sign * (asset * upper - strike * lower), intrinsic)


def greeks(option: Option, spot: float, years: float, volatility: float) -> Greeks:
    """Delta and gamma at `spot` > 0; without volatility or time those of the intrinsic value, whose gamma is 0."""
    years = max(years, 0.0)
    sign, deviation = option.sign, volatility * math.sqrt(years)
    asset, strike = spot * option.carry(years), option.strike * option.discount(years)
    if deviation == 0.0:
        return Greeks(sign * option.carry(years) if sign * (asset - strike) > 0.0 else 0.0, 0.0)
    upper = math.log(asset / strike) / deviation + deviation / 2.0
    density = math.exp(-upper * upper / 2.0) / SQRT_2PI
    return Greeks(
        sign * option.carry(years) * float(ndtr(sign * upper)), option.carry(years) * density / (spot * deviation)
    )


def implied_volatility(option: Option, premium: float, spot: float, years: float) -> float | None:
    """The volatility at which the option is worth `premium`; 0 at the lower bound of arbitrage.

    None where no volatility gives that price: outside the bounds `max(0, s (S e^(-qT) - K e^(-rT)))` and `S e^(-qT)`
    of a call or `K e^(-rT)` of a put, at expiry, and where a figure is not positive and finite. Deep in or out of the
    money the price says little about the volatility; then it is one that gives the price back to rounding.
    """
    asset, strike = spot * option.carry(years), option.strike * option.discount(years)
    dearest = asset if option.right == "call" else strike
    if years <= 0.0 or not _comparable(asset, strike) or premium >= dearest:
        return None
    intrinsic = max(option.sign * (asset - strike), 0.0)
    time_value = premium - intrinsic
    if abs(time_value) <= ROUNDING * (asset + strike) * (intrinsic > 0.0):
        return 0.0
    size = math.sqrt(asset) * math.sqrt(strike)
    deviation = _implied_deviation(-abs(math.log(asset / strike)), time_value / size)
    return None if deviation is None else deviation / math.sqrt(years)


def _comparable(asset: float, strike: float) -> bool:
    """Whether both are positive and finite, and so is their ratio."""
    return 0.0 < asset < math.inf and 0.0 < strike < math.inf and 0.0 < asset / strike < math.inf


def _implied_deviation(moneyness: float, worth: float) -> float | None:
    """The `s` with `_worth(moneyness, s) = worth`, moneyness `ln(F/K)` <= 0; None where there is none.

    Newton's steps from the inflection point (Manaster & Koehler 1982), on the logarithm of the worth below it, and
    halving whenever a step leaves the bracket; it ends because the bracket shrinks.
    """
    if not 0.0 <= worth < math.exp(moneyness / 2.0):
        return None
    if worth == 0.0:
        return 0.0
    low, high = 0.0, max(1.0, 2.0 * math.sqrt(2.0 * -moneyness))
    while _worth(moneyness, high) < worth:
        low, high = high, 2.0 * high
    deviation = min(max(math.sqrt(2.0 * -moneyness), SQRT_2PI * worth), high)
    convex = _worth(moneyness, deviation) > worth
    for _ in range(STEPS_MAX):
        found = _worth(moneyness, deviation)
        low, high = (low, deviation) if found > worth else (deviation, high)
        step = _newton_step(moneyness, deviation, found, worth, convex)
        tried = deviation - step
        following = tried if low < tried < high else (low + high) / 2.0
        if abs(following - deviation) <= 2.0**-52 * deviation:
            return following
        deviation = following
    return deviation


def _newton_step(moneyness: float, deviation: float, found: float, worth: float, convex: bool) -> float:
    """How far the deviation is too large, as its slope says; infinite where the slope is lost in rounding."""
    ratio = moneyness / deviation
    slope = math.exp(-(ratio * ratio + deviation * deviation / 4.0) / 2.0) / SQRT_2PI
    if slope == 0.0 or found <= 0.0:
        return -math.inf
    return found * math.log(found / worth) / slope if convex else (found - worth) / slope


def _worth(moneyness: float, deviation: float) -> float:
    """An out-of-the-money option's price over `sqrt(S e^(-qT) K e^(-rT))`, as a function of two numbers alone."""
    if deviation == 0.0:
        return 0.0
    centre, half = moneyness / deviation, deviation / 2.0
    root = math.exp(moneyness / 2.0)
    return max(root * _normal(centre + half) - _normal(centre - half) / root, 0.0)


def _exponential(exponent: float) -> float:
    """Infinite where it overflows."""
    return math.exp(exponent) if exponent < EXPONENT_MAX else math.inf


def _normal(z: float) -> float:
    return math.erfc(-z / SQRT_2) / 2.0


class QuotedOption(NamedTuple):
    """An option with the prices it is measured at: its own, its underlying's, and the volatility they imply."""

    option: Option
    premium: float
    spot: float
    years: float
    volatility: float

    @classmethod
    def of(cls, option: Option, premium: float, spot: float, years: float) -> "QuotedOption | None":
        """The option at these prices; None where no volatility explains them, or there is nothing to return on."""
        volatility = implied_volatility(option, premium, spot, years) if premium > 0.0 else None
        return None if volatility is None else cls(option, premium, spot, years, volatility)

    def revalued(self, returns: Floats, years_passed: float) -> Floats:
        """Returns (S,) of the option when its underlying returns (S,) within `years_passed`: full revaluation.

        The implied volatility is held. A return of the underlying below -1 counts as -1; NaN stays NaN.
        """
        later = price(self.option, self.spot * (1.0 + returns), self.years - years_passed, self.volatility)
        return later / self.premium - 1.0

    def delta_gamma(self, returns: Floats, years_passed: float) -> Floats:
        """The same by today's delta and gamma: `(V(S, T - t) + delta dS + gamma dS^2 / 2) / V(S, T) - 1`.

        What time takes is exact; the answer to the move is a parabola, which no option is for large ones.
        """
        local = greeks(self.option, self.spot, self.years, self.volatility)
        still = price(self.option, np.array([self.spot]), self.years - years_passed, self.volatility)[0]
        moves = self.spot * returns
        worth: Floats = still + moves * (local.delta + local.gamma / 2.0 * moves)
        return worth / self.premium - 1.0
