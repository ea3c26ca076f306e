"""Write reference figures of historical simulation: `python -m tests.quant.references.generate_history`.

Needs what the tests do not: `pip install empyrical-reloaded QuantLib skfolio statsmodels`. The call that each row names
is the call that ran. `r` are the returns of 601 days of the S&P 500 up to the row's date (data/sp500_index.csv.gz), `w`
the weights of age weighting, oldest first, `c` the row's level. With 601 days the interpolated (type 7) quantile of
numpy falls on an observation at every level, and that observation is the order statistic of type 1.
"""

import csv
import importlib.metadata
from pathlib import Path

import empyrical
import numpy
import pandas
import QuantLib
import skfolio.measures
from statsmodels.stats.weightstats import DescrStatsW

HERE = Path(__file__).parent
INDEX = HERE.parents[2] / "data" / "sp500_index.csv.gz"
DATES = ["1997-12-31", "2006-12-29", "2008-12-31", "2020-12-31"]
DAYS = 601
LEVELS = [0.95, 0.975, 0.99]

CALLS = [
    # figure, package, call, convention
    ("historical_var", "empyrical-reloaded", "-empyrical.value_at_risk(r, cutoff=1 - c)", "type 7, at an observation"),
    ("historical_var", "QuantLib", "statistics(r, equal(r)).valueAtRisk(c)", "weights cumulated from below"),
    ("historical_var", "skfolio", "skfolio.measures.value_at_risk(r, beta=c)", "inverted CDF"),
    ("historical_es", "skfolio", "skfolio.measures.cvar(r, beta=c)", "Rockafellar and Uryasev"),
    (
        "mean_from_var",
        "empyrical-reloaded",
        "-empyrical.conditional_value_at_risk(r, cutoff=1 - c)",
        "a fault: the mean of the losses at or beyond VaR",
    ),
    ("mean_beyond_var", "QuantLib", "statistics(r, equal(r)).expectedShortfall(c)", "a fault: strictly beyond VaR"),
    ("age_weighted_var", "QuantLib", "statistics(r, w).valueAtRisk(c)", "weights cumulated from below"),
    ("age_weighted_var", "skfolio", "skfolio.measures.value_at_risk(r, beta=c, sample_weight=w)", "inverted CDF"),
    (
        "age_weighted_var",
        "statsmodels",
        "DescrStatsW(-r, weights=w).quantile(c, return_pandas=False)[0]",
        "weights cumulated from below",
    ),
    ("age_weighted_es", "skfolio", "skfolio.measures.cvar(r, beta=c, sample_weight=w)", "last weight fractional"),
]


def statistics(r: numpy.ndarray, weights: numpy.ndarray) -> QuantLib.RiskStatistics:
    """QuantLib's figures of weighted returns."""
    filled = QuantLib.RiskStatistics()
    for value, weight in zip(r.tolist(), weights.tolist(), strict=True):
        filled.add(value, weight)
    return filled


def equal(r: numpy.ndarray) -> numpy.ndarray:
    """The same weight for each return."""
    return numpy.ones(r.size)


def main() -> None:
    """Write history.csv beside this file."""
    returns = pandas.read_csv(INDEX, index_col="Date")["SP500"].pct_change().dropna()
    decay = 0.98 ** numpy.arange(DAYS)[::-1]
    peers = {"empyrical": empyrical, "skfolio": skfolio, "DescrStatsW": DescrStatsW}
    with (HERE / "history.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["date", "figure", "level", "value", "package", "version", "call", "convention"])
        for date in DATES:
            known = {"r": returns.loc[:date].tail(DAYS).to_numpy(), "w": decay / decay.sum()}
            for level in LEVELS:
                for figure, package, call, convention in CALLS:
                    value = repr(float(eval(call, globals() | peers | known | {"c": level})))
                    version = importlib.metadata.version(package)
                    rows.writerow([date, figure, level, value, package, version, call, convention])


if __name__ == "__main__":
    main()
