"""Write what other packages say of a benchmark: `python -m tests.quant.references.generate_benchmark`.

Needs what the tests do not: `pip install empyrical-reloaded statsmodels` into an environment of its own. `r` and `b`
are the columns of benchmark_returns.csv as pandas Series.
"""

import csv
import importlib.metadata
from pathlib import Path

import empyrical
import numpy
import pandas
import scipy.stats
import statsmodels.api

HERE = Path(__file__).parent

CALLS = [
    # figure, package, call, convention
    ("beta", "empyrical-reloaded", "empyrical.beta(r, b)", "ddof cancels"),
    (
        "alpha",
        "statsmodels",
        "252 * statsmodels.api.OLS(r - 1.02 ** (1 / 252) + 1, statsmodels.api.add_constant(b - 1.02 ** (1 / 252) + 1))"
        ".fit().params.iloc[0]",
        "arithmetic, risk-free 2 % a year; empyrical compounds it",
    ),
    ("correlation", "pandas", "r.corr(b)", "Pearson"),
    ("tracking_error", "pandas", "(r - b).std() * 252 ** 0.5", "ddof 1"),
    ("information_ratio", "empyrical-reloaded", "empyrical.excess_sharpe(r, b) * 252 ** 0.5", "ddof 1, made annual"),
    (
        "up_capture",
        "scipy",
        "(scipy.stats.gmean(1 + r[b > 0]) - 1) / (scipy.stats.gmean(1 + b[b > 0]) - 1)",
        "a period; empyrical annualises both",
    ),
    (
        "down_capture",
        "scipy",
        "(scipy.stats.gmean(1 + r[b < 0]) - 1) / (scipy.stats.gmean(1 + b[b < 0]) - 1)",
        "a period; empyrical annualises both",
    ),
]


def series() -> tuple[numpy.ndarray, numpy.ndarray]:
    """260 returns of a portfolio and of its benchmark, with fat tails, from a seed."""
    random = numpy.random.default_rng(20240301)
    benchmark = 0.0003 + 0.01 * random.standard_t(4, 260)
    return 0.0002 + 0.8 * benchmark + 0.004 * random.standard_t(5, 260), benchmark


def main() -> None:
    """Write benchmark_returns.csv and benchmark.csv beside this file."""
    r, b = map(pandas.Series, series())
    lines = [f"{float(x)!r},{float(y)!r}" for x, y in zip(r, b, strict=True)]
    (HERE / "benchmark_returns.csv").write_text("\n".join(["return,benchmark", *lines]) + "\n")
    names = {"r": r, "b": b, "scipy": scipy, "empyrical": empyrical, "statsmodels": statsmodels}
    with (HERE / "benchmark.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["figure", "value", "package", "version", "call", "convention"])
        for figure, package, call, convention in CALLS:
            value = float(eval(call, names))
            rows.writerow([figure, repr(value), package, importlib.metadata.version(package), call, convention])


if __name__ == "__main__":
    main()
