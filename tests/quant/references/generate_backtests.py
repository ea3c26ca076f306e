"""Write reference figures of backtests and contributions: `python -m tests.quant.references.generate_backtests`.

Needs what the tests do not: `pip install vartests statsmodels scikit-learn skfolio mpmath` into an environment of its
own. The call that each row names is the call that ran. `y, var, es` are columns of backtest_series.csv, `v, e` minus
the latter two, `hits` the integers `y < v`, `a` 0.025; `positions` its last three columns as a pandas frame.
"""

import csv
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mpmath
import numpy
import pandas
import scipy.stats
import skfolio
import sklearn.metrics
import statsmodels.api
import vartests

HERE = Path(__file__).parent

Call = tuple[str, str, str, str]
"""Figure, package, call, convention."""

BACKTESTS: list[Call] = [
    ("exceptions", "vartests", "vartests.failure_rate(hits)['violations']", "loss strictly beyond VaR"),
    ("kupiec_statistic", "vartests", "vartests.kupiec_test(hits, risk_conf_level=0.975)['statistic']", "two-sided"),
    ("kupiec_p_value", "vartests", "vartests.kupiec_test(hits, risk_conf_level=0.975)['p-value']", "chi2(1)"),
    (
        "independence_statistic",
        "statsmodels",
        "statsmodels.api.Logit(hits[1:], statsmodels.api.add_constant(hits[:-1])).fit(disp=0, tol=1e-14).llr",
        "likelihood ratio of a hit explained by the one before, over T - 1 pairs",
    ),
    (
        "independence_p_value",
        "scipy",
        "scipy.stats.chi2_contingency(scipy.stats.contingency.crosstab(hits[:-1], hits[1:]).count,"
        " correction=False, lambda_='log-likelihood').pvalue",
        "G-test of the table of transitions, chi2(1)",
    ),
    (
        "conditional_coverage_p_value",
        "scipy",
        "scipy.stats.chi2.sf(vartests.kupiec_test(hits, risk_conf_level=0.975)['statistic']"
        " + scipy.stats.chi2_contingency(scipy.stats.contingency.crosstab(hits[:-1], hits[1:]).count,"
        " correction=False, lambda_='log-likelihood').statistic, 2)",
        "LR_pof over T, LR_ind over T - 1 pairs",
    ),
    ("tick_loss", "scikit-learn", "sklearn.metrics.mean_pinball_loss(y, v, alpha=a)", "mean"),
    (
        "fz0_loss",
        "mpmath",
        "mpmath.fsum(-(1 / (a * e[t])) * (y[t] <= v[t]) * (v[t] - y[t]) + v[t] / e[t] + mpmath.log(-e[t]) - 1"
        " for t in range(len(y))) / len(y)",
        "mean, the formula in 50 digits",
    ),
    (
        "z2",
        "mpmath",
        "1 + mpmath.fsum(y[t] * hits[t] / es[t] for t in range(len(y))) / (len(y) * a)",
        "Y the P&L, the formula in 50 digits",
    ),
]

_ALL_HELD = "skfolio.Portfolio(X=positions, weights=[1, 1, 1], cvar_beta=0.975)"
CONTRIBUTIONS: list[Call] = [
    *(
        (
            f"component_es_{place}",
            "skfolio",
            f"{_ALL_HELD}.contribution(skfolio.RiskMeasure.CVAR, spacing=1e-7)[{place}]",
            "weight times a central difference",
        )
        for place in range(3)
    ),
    *(
        (
            f"component_var_normal_{place}",
            "skfolio",
            f"-scipy.stats.norm.ppf(0.025) * {_ALL_HELD}.contribution(skfolio.RiskMeasure.STANDARD_DEVIATION)[{place}]",
            "weight times a central difference, ddof 1",
        )
        for place in range(3)
    ),
]


def series() -> pandas.DataFrame:
    """610 closes with clusters of volatility that the forecasts follow late, and three positions, from a seed."""
    random = numpy.random.default_rng(20240301)
    volatility = 0.01 * numpy.exp(numpy.sin(numpy.arange(610) / 40))
    late = numpy.concatenate([volatility[:30], volatility[:-30]])
    columns = {"pnl": volatility * random.standard_t(5, 610), "var": 2.3 * late, "es": 3.1 * late}
    market = random.standard_t(4, 610)
    held = {f"position_{i}": 0.01 * (beta * market + random.standard_t(4, 610)) for i, beta in enumerate((1, 2, -0.5))}
    return pandas.DataFrame(columns | held)


def names(columns: pandas.DataFrame) -> dict[str, Any]:
    """What a call may name."""
    modules = {
        module.__name__.split(".")[0]: module
        for module in (mpmath, numpy, scipy, skfolio, sklearn, statsmodels, vartests)
    }
    y, var, es = (columns[name].to_numpy() for name in ("pnl", "var", "es"))
    positions = columns.loc[:, "position_0":]
    return modules | {
        "y": y, "var": var, "es": es, "v": -var, "e": -es, "hits": (y < -var).astype(int), "a": 0.025,
        "positions": positions,
    }  # fmt: skip


def write(name: str, calls: Sequence[Call], known: dict[str, Any]) -> None:
    """Write what the calls gave to the file of that name."""
    with (HERE / name).open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["figure", "value", "package", "version", "call", "convention"])
        for figure, package, call, convention in calls:
            version = importlib.metadata.version(package)
            rows.writerow([figure, repr(float(eval(call, known))), package, version, call, convention])


def main() -> None:
    """Write backtest_series.csv, backtests.csv and contributions.csv beside this file."""
    mpmath.mp.dps = 50
    columns = series()
    columns.to_csv(HERE / "backtest_series.csv", index=False)
    write("backtests.csv", BACKTESTS, names(columns))
    write("contributions.csv", CONTRIBUTIONS, names(columns))


if __name__ == "__main__":
    main()
