"""Write reference figures of tails and cubics: `python -m tests.quant.references.generate_tails`.

The call that each row names is the call that ran. `y` are the losses of a thousand days of the S&P 500 up to the row's
date (data/sp500_index.csv.gz), `s` the returns as a pandas Series, `u` the threshold, `x` the excesses over it, `peer`
scipy's fit of them, polished, `tail` the distribution that it is, `free` scipy's fit with a free location.
`cubic(S, K)` are the coefficients of a cubic in Hermite polynomials, `matched(S, K)` those of variance 1 that have
these moments by quadrature, `below` is the mean of such a cubic under a quantile.
"""

import csv
import functools
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy
import pandas
import scipy.optimize
import scipy.stats
from numpy.polynomial import hermite_e

HERE = Path(__file__).parent
INDEX = HERE.parents[2] / "data" / "sp500_index.csv.gz"
DATES = ["1997-12-31", "2000-12-29", "2006-12-29", "2008-12-31", "2013-12-31", "2020-12-31", "2022-12-28"]
DAYS = 1_000

Call = tuple[str, str, str, str]
"""Figure, package, call, convention."""

TAIL: list[Call] = [
    ("threshold", "numpy", "numpy.quantile(y, 0.9)", "type 7"),
    ("log_likelihood", "scipy", "scipy.stats.genpareto.logpdf(x, *peer).sum()", "location 0, simplex to 1e-12"),
    ("var_0.99", "scipy", "u + tail.isf(0.01 * len(y) / len(x))", "the fit of scipy"),
    ("free_location_var_0.999", "scipy", "u + scipy.stats.genpareto(*free).isf(0.001 * len(y) / len(x))", "a fault"),
    ("es_0.99", "scipy", "u + tail.expect(lb=tail.isf(0.01 * len(y) / len(x)), conditional=True)", "integral"),
]
PLAIN: list[Call] = [
    ("plain_var_0.99", "numpy", "-s.mean() - s.std() * hermite_e.hermeval(z(0.01), cubic(s.skew(), s.kurt()))", "S, K"),
    ("plain_es_0.99", "scipy", "-s.mean() - s.std() * below(cubic(s.skew(), s.kurt()), z(0.01))", "integral"),
]
MATCHED: list[Call] = [
    ("matched_var_0.99", "numpy", PLAIN[0][2].replace("cubic", "matched"), "moments by quadrature"),
    ("matched_es_0.99", "scipy", PLAIN[1][2].replace("cubic", "matched"), "moments by quadrature, integral"),
]

NODES, WEIGHTS = hermite_e.hermegauss(20)
Z = scipy.stats.norm.ppf


def returns() -> pandas.Series:
    """Simple returns of the index by date."""
    return pandas.read_csv(INDEX, index_col="Date")["SP500"].pct_change().dropna()


def cubic(skewness: float, kurtosis: float) -> list[float]:
    """The Cornish-Fisher expansion in Hermite polynomials, from its powers of z."""
    s, k = skewness, kurtosis
    powers = [-s / 6, 1 - k / 8 + 5 * s * s / 36, s / 6, k / 24 - s * s / 18]
    return list(hermite_e.poly2herme(powers))


def monotone(coefficients: list[float]) -> bool:
    """Whether the cubic rises between -40 and 40 standard deviations."""
    z = numpy.linspace(-40, 40, 80_001)
    return bool((numpy.diff(hermite_e.hermeval(z, coefficients)) > 0).all())


def matched(skewness: float, kurtosis: float) -> list[float]:
    """Of variance 1, by a general solver on moments by quadrature."""

    def misses(point: Any) -> list[float]:
        values = hermite_e.hermeval(NODES, [0, *point])
        second, third, fourth = (float(WEIGHTS @ values**n / WEIGHTS.sum()) for n in (2, 3, 4))
        return [second - 1, third - skewness, fourth - 3 - kurtosis]

    return [0.0, *scipy.optimize.fsolve(misses, [0.9, skewness / 8, 0.1], xtol=1e-14)]


def below(coefficients: list[float], z: float) -> float:
    """The mean of the cubic where the normal is below z, by adaptive quadrature."""
    return float(
        scipy.stats.norm.expect(lambda v: hermite_e.hermeval(v, coefficients), ub=z, conditional=True, epsabs=1e-13)
    )


def rows(date: str, s: pandas.Series) -> list[list[str]]:
    """The figures of one window."""
    y = -s.to_numpy()
    u = numpy.quantile(y, 0.9)
    x = y[y > u] - u
    simplex = functools.partial(scipy.optimize.fmin, xtol=1e-12, ftol=1e-14, maxiter=10_000, maxfun=10_000, disp=0)
    peer = scipy.stats.genpareto.fit(x, floc=0, optimizer=simplex)
    names = {"y": y, "s": s, "u": u, "x": x, "peer": peer, "tail": scipy.stats.genpareto(*peer), "z": Z}
    names["free"] = scipy.stats.genpareto.fit(x)
    calls = TAIL + (PLAIN if monotone(cubic(s.skew(), s.kurt())) else MATCHED)
    return [
        [date, figure, repr(float(eval(call, globals() | names))), package, _version(package), call, convention]
        for figure, package, call, convention in calls
    ]


def _version(package: str) -> str:
    return importlib.metadata.version(package)


def main() -> None:
    """Write tails.csv beside this file."""
    series = returns()
    with (HERE / "tails.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["date", "figure", "value", "package", "version", "call", "convention"])
        for date in DATES:
            writer.writerows(rows(date, series.loc[:date].tail(DAYS)))


if __name__ == "__main__":
    main()
