"""Write the likelihoods that other packages reach: `python -m tests.quant.references.generate_likelihoods`.

Needs what the tests do not: `pip install arch`. The call that each row names is the call that ran. `x` are the returns
in per cent of `days` days from the day `first` of a column of prices in data/, `y` the losses, `u` their 90 % quantile.
"""

import csv
import importlib.metadata
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import scipy.stats
from arch import arch_model

from tests.quant.market_series import WINDOWS, window

HERE = Path(__file__).parent

CALLS = [
    # method, package, call
    ("student_t", "scipy", "scipy.stats.t.logpdf(x, *scipy.stats.t.fit(x)).sum()"),
    (
        "extreme_value",
        "scipy",
        "scipy.stats.genpareto.logpdf(y[y > u] - u, *scipy.stats.genpareto.fit(y[y > u] - u, floc=0)).sum()",
    ),
    (
        "garch",
        "arch",
        "arch_model(x, mean='Constant', vol='GARCH', p=1, q=1, dist='t', rescale=False).fit(disp='off').loglikelihood",
    ),
]


def rows() -> Iterator[list[Any]]:
    """The likelihood of every fit to every window."""
    for column, first, days in WINDOWS:
        x = 100.0 * window(column, first, days)
        known = {"x": x, "y": -x, "u": numpy.quantile(-x, 0.9), "scipy": scipy, "arch_model": arch_model}
        for method, package, call in CALLS:
            value = repr(float(eval(call, known)))
            yield [column, first, days, method, value, package, importlib.metadata.version(package), call]


def main() -> None:
    """Write likelihoods.csv beside this file."""
    warnings.simplefilter("ignore")  # of fits that did not converge
    with (HERE / "likelihoods.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["column", "first", "days", "method", "log_likelihood", "package", "version", "call"])
        table.writerows(rows())


if __name__ == "__main__":
    main()
