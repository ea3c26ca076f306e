"""Write the reference fits of other packages: `python -m tests.quant.references.generate_fits`.

Needs what the tests do not: `pip install arch` into an environment of its own. The call that each row names is the call
that ran; `x` is the series in per cent, on which arch's optimiser does best, `nu` and the like are what was fitted.
"""

import csv
import importlib.metadata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy
import scipy.stats
from arch import arch_model

from tests.quant.market_series import SERIES

HERE = Path(__file__).parent

STUDENT_T = {
    "fit": "nu, loc, scale = scipy.stats.t.fit(x)",
    "log_likelihood": "scipy.stats.t.logpdf(x, nu, loc, scale).sum()",
    "df": "nu",
    "loc": "loc",
    "scale": "scale",
    "var_0.99": "-scipy.stats.t.ppf(0.01, nu, loc, scale)",
    "es_0.975": "-scipy.stats.t.expect(lambda y: y, (nu,), loc, scale, "
    "ub=scipy.stats.t.ppf(0.025, nu, loc, scale), conditional=True)",
}

GARCH = {
    "fit": "fit = arch_model(x, mean='Constant', vol='GARCH', p=1, q=1, dist='t', rescale=False).fit(disp='off')",
    "log_likelihood": "fit.loglikelihood",
    "mu": "fit.params['mu']",
    "omega": "fit.params['omega']",
    "alpha": "fit.params['alpha[1]']",
    "beta": "fit.params['beta[1]']",
    "df": "fit.params['nu']",
    "sigma_next": "fit.forecast(horizon=1).variance.iloc[-1, 0] ** 0.5",
    "var_0.99": "-(fit.params['mu'] + fit.forecast(horizon=1).variance.iloc[-1, 0] ** 0.5 "
    "* fit.model.distribution.ppf(0.01, [fit.params['nu']]))",
    "es_0.975": "-(fit.params['mu'] + fit.forecast(horizon=1).variance.iloc[-1, 0] ** 0.5 "
    "* fit.model.distribution.partial_moment(1, fit.model.distribution.ppf(0.025, [fit.params['nu']]), "
    "[fit.params['nu']]) / 0.025)",
}


def rows(calls: Mapping[str, str], package: str, convention: str) -> Iterator[list[str]]:
    """The value of every call after the first on every series."""
    version = importlib.metadata.version(package)
    for series, returns in SERIES.items():
        names: dict[str, Any] = {"x": 100.0 * returns, "numpy": numpy, "scipy": scipy, "arch_model": arch_model}
        exec(calls["fit"], names)
        for figure, call in calls.items():
            if figure != "fit":
                value = float(numpy.squeeze(eval(call, names)))
                yield [series, figure, repr(value), package, version, f"{calls['fit']}; {call}", convention]


def main() -> None:
    """Write student_t.csv and garch.csv beside this file."""
    for name, calls, package, convention in (
        ("student_t", STUDENT_T, "scipy", "per cent; maximum likelihood by Nelder-Mead"),
        ("garch", GARCH, "arch", "per cent; maximum likelihood by SLSQP, one start"),
    ):
        with (HERE / f"{name}.csv").open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["series", "figure", "value", "package", "version", "call", "convention"])
            table.writerows(rows(calls, package, convention))


if __name__ == "__main__":
    main()
