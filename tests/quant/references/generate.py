"""Write the reference figures of other packages: `python -m tests.quant.references.generate`.

Needs what the tests do not: `pip install empyrical-reloaded` into an environment of its own. The call that each row
names is the call that ran; `r` is the series of returns.csv, `s` the same as a pandas Series.
"""

import csv
import importlib.metadata
from pathlib import Path

import empyrical
import numpy
import pandas
import scipy.stats

HERE = Path(__file__).parent

CALLS = [
    # figure, package, call, convention
    ("total_return", "empyrical-reloaded", "empyrical.cum_returns_final(s)", "compounded"),
    ("annual_return", "empyrical-reloaded", "empyrical.annual_return(s, annualization=252)", "geometric"),
    ("volatility", "empyrical-reloaded", "empyrical.annual_volatility(s, annualization=252)", "ddof 1"),
    ("downside_deviation", "empyrical-reloaded", "empyrical.downside_risk(s, 0.0, annualization=252)", "over all n"),
    ("sharpe", "empyrical-reloaded", "empyrical.sharpe_ratio(s, 0.0, annualization=252)", "arithmetic mean, ddof 1"),
    ("sortino", "empyrical-reloaded", "empyrical.sortino_ratio(s, 0.0, annualization=252)", "downside over all n"),
    ("calmar", "empyrical-reloaded", "empyrical.calmar_ratio(s, annualization=252)", "peak from the starting wealth"),
    ("omega", "empyrical-reloaded", "empyrical.omega_ratio(s)", "threshold 0"),
    ("tail_ratio", "empyrical-reloaded", "empyrical.tail_ratio(s)", "interpolated quantiles"),
    ("max_drawdown", "empyrical-reloaded", "-empyrical.max_drawdown(s)", "sign turned: positive depth"),
    ("skewness", "pandas", "s.skew()", "bias-corrected"),
    ("excess_kurtosis", "pandas", "s.kurt()", "bias-corrected"),
    ("mean_return", "pandas", "s.mean()", "a period"),
    (
        "drawdown",
        "pandas",
        "1 - (1 + s).cumprod().iloc[-1] / (1 + s).cumprod().cummax().clip(lower=1).iloc[-1]",
        "depth",
    ),
    ("historical_var_0.95", "numpy", "numpy.quantile(-r, 0.95, method='inverted_cdf')", "type 1, of the losses"),
    ("historical_var_0.99", "numpy", "numpy.quantile(-r, 0.99, method='inverted_cdf')", "type 1, of the losses"),
    ("normal_var_0.99", "scipy", "-scipy.stats.norm.ppf(0.01, r.mean(), r.std(ddof=1))", "ddof 1"),
    (
        "normal_es_0.975",
        "scipy",
        "-scipy.stats.norm.expect(lambda x: x, loc=r.mean(), scale=r.std(ddof=1),"
        " ub=scipy.stats.norm.ppf(0.025, r.mean(), r.std(ddof=1)), conditional=True)",
        "numerical integral of the tail",
    ),
]


def series() -> numpy.ndarray:
    """260 returns with fat tails and a mean, from a seed."""
    return 0.0004 + 0.01 * numpy.random.default_rng(20240229).standard_t(4, 260)


def main() -> None:
    """Write returns.csv and figures.csv beside this file."""
    r = series()
    names = {"r": r, "s": pandas.Series(r), "numpy": numpy, "scipy": scipy, "empyrical": empyrical}
    (HERE / "returns.csv").write_text("return\n" + "\n".join(repr(float(x)) for x in r) + "\n")
    with (HERE / "figures.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["figure", "value", "package", "version", "call", "convention"])
        for figure, package, call, convention in CALLS:
            value = float(eval(call, names))
            rows.writerow([figure, repr(value), package, importlib.metadata.version(package), call, convention])


if __name__ == "__main__":
    main()
