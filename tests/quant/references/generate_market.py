"""Write reference figures of several instruments: `python -m tests.quant.references.generate_market`.

Needs what the tests do not: `pip install pandas scikit-learn skfolio statsmodels`. The call that each row names is the
call that ran. `x` are the returns of the first five stocks (data/sp500_stocks.csv.gz), a column each, over the 500 days
up to the row's date, `z` the same with mean 0 and standard deviation 1 (ddof 1), `tied` the same in whole per cents,
`u` their pseudo-observations, `tau` their matrix of Kendall's tau; `best(f)` is the df of the largest `f(df)`.
"""

import csv
import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pandas
import scipy.optimize
import scipy.stats
import skfolio.moments
import sklearn.covariance
import statsmodels.distributions.copula.api

HERE = Path(__file__).parent
STOCKS = HERE.parents[2] / "data" / "sp500_stocks.csv.gz"
DATES = ["2001-12-31", "2008-12-31", "2020-12-31"]
DAYS = 500

CALLS = [
    # figure, package, call, convention
    ("shrinkage", "scikit-learn", "sklearn.covariance.ledoit_wolf(x)[1]", "of returns"),
    ("variance", "scikit-learn", "sklearn.covariance.ledoit_wolf(x)[0][0, 0]", "ddof 0"),
    ("covariance", "scikit-learn", "sklearn.covariance.ledoit_wolf(x)[0][1, 2]", "ddof 0"),
    ("covariance", "skfolio", "skfolio.moments.LedoitWolf(nearest=False).fit(x).covariance_[1, 2]", "ddof 0"),
    ("standardised_shrinkage", "scikit-learn", "sklearn.covariance.ledoit_wolf(z)[1]", "of standardised returns"),
    ("tau", "scipy", "scipy.stats.kendalltau(x[:, 0], x[:, 3]).statistic", "tau-b"),
    ("tied_tau", "scipy", "scipy.stats.kendalltau(tied[:, 0], tied[:, 3]).statistic", "tau-b"),
    ("normal_scores", "scipy", "numpy.corrcoef(scipy.stats.norm.ppf(u).T)[0, 3]", "rank / (T + 1)"),
    ("mahalanobis", "scipy", "scipy.spatial.distance.mahalanobis(z[7], numpy.zeros(5), inverse(z)) ** 2", "ddof 1"),
    ("t_df", "scipy", "best(unit_t)", "variance 1, independent"),
    ("t_log_likelihood", "scipy", "unit_t(best(unit_t))", "variance 1, independent"),
    ("copula_df", "scipy", "best(copula)", "sin(pi tau / 2)"),
    ("copula_log_likelihood", "scipy", "copula(best(copula))", "sin(pi tau / 2)"),
    ("copula_log_likelihood_3", "scipy", "copula(3)", "multivariate_t over the product of t, df 3"),
    (
        "copula_log_likelihood_8",
        "statsmodels",
        "statsmodels.distributions.copula.api.StudentTCopula(rho, df=8, k_dim=5).logpdf(u).sum()",
        "df 8",
    ),
    (
        "sigma_next",
        "pandas",
        "squares(x).ewm(alpha=0.06, adjust=False).mean().pow(0.5).iloc[-1, 0]",
        "after the mean square of the first 20",
    ),
    ("filtered_return", "pandas", "filtered(x).iloc[250, 1]", "predictive"),
    ("filtered_var_0.99", "numpy", "numpy.quantile(-filtered(x)[2], 0.99, method='inverted_cdf')", "type 1"),
]


def returns(date: str) -> numpy.ndarray:
    """Simple returns (500, 5) up to a date."""
    prices = pandas.read_csv(STOCKS, index_col="Date").iloc[:, :5].loc[:date].tail(DAYS + 1)
    return (prices.diff() / prices.shift()).iloc[1:].to_numpy()


def squares(x: numpy.ndarray) -> pandas.DataFrame:
    """Squared returns after what seeds the average."""
    return pandas.DataFrame(numpy.vstack([(x[:20] ** 2).mean(axis=0), x**2]))


def filtered(x: numpy.ndarray) -> pandas.DataFrame:
    """Returns at the volatility of tomorrow."""
    sigma = squares(x).ewm(alpha=0.06, adjust=False).mean().pow(0.5)
    return pandas.DataFrame(x * sigma.iloc[-1].to_numpy() / sigma.iloc[:-1].to_numpy())


def inverse(z: numpy.ndarray) -> numpy.ndarray:
    """The inverse of the correlation."""
    return numpy.linalg.inv(numpy.corrcoef(z.T))


def best(likelihood: Callable[[float], float]) -> float:
    """The df from 2.1 to 200 at which `likelihood` is largest."""
    bounds = (1 / 200, 1 / 2.1)
    found = scipy.optimize.minimize_scalar(lambda e: -likelihood(1 / e), bounds=bounds, options={"xatol": 1e-12})
    return 1 / found.x


def names(date: str) -> dict[str, Any]:
    """What the calls name."""
    x = returns(date)
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    u = scipy.stats.rankdata(x, axis=0) / (DAYS + 1)
    tau = numpy.array([[scipy.stats.kendalltau(a, b).statistic for a in x.T] for b in x.T])
    rho = numpy.sin(numpy.pi * tau / 2)

    def unit_t(df: float) -> float:
        return scipy.stats.t.logpdf(z, df, scale=((df - 2) / df) ** 0.5).sum()

    def copula(df: float) -> float:
        q = scipy.stats.t.ppf(u, df)
        return scipy.stats.multivariate_t.logpdf(q, shape=rho, df=df).sum() - scipy.stats.t.logpdf(q, df).sum()

    peers = {"skfolio": skfolio, "sklearn": sklearn, "statsmodels": statsmodels}
    return globals() | locals() | peers | {"tied": x.round(2)}


def main() -> None:
    """Write market.csv beside this file."""
    with (HERE / "market.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["date", "figure", "value", "package", "version", "call", "convention"])
        for date in DATES:
            known = names(date)
            for figure, package, call, convention in CALLS:
                value = repr(float(eval(call, known)))
                rows.writerow([date, figure, value, package, importlib.metadata.version(package), call, convention])


if __name__ == "__main__":
    main()
