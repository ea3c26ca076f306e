"""A backtest of all methods, against fitting every day as a user would: `python benchmarks/backtest.py`.

The S&P 500 from 1990 to 2022, a window of 500 days: VaR and ES at four levels for each of the 7,812 days that have a
whole window before them, every model fitted anew every day.

The peers are arch and scipy, called as their documentation shows, on days spread evenly over the same series, and
extrapolated by days. Beside the times: how far the VaR of a day, fitted from where the day before ended, is from that
of a fit to the day's window alone; and on how many days the peer's parameters have a higher likelihood than ours. The
peers' optimisers stop before the maximum; so on some of the days their search goes on from where it stopped, untimed,
until the likelihood rises no more, and the VaR there is held against ours.
"""

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from arch import arch_model
from scipy import optimize, stats

from tailstream.files.rolling import Forecasts, Rolling, forecast
from tailstream.files.series import Kind, Series, periods_of
from tailstream.files.table import read_table
from tailstream.quant.arrays import Floats
from tailstream.quant.var import Estimate, Method
from tailstream.runtime import plugins

INDEX = Path(__file__).parents[1] / "data/sp500_index.csv.gz"
WINDOW, LEVEL, JOBS = 500, 0.99, 2
LEVELS = (0.95, 0.975, LEVEL, 0.995)
SAMPLED_DAYS, CONTINUED_EVERY = 40, 4
ROUNDING = 1e-11
"""Likelihoods are equal within this, relative."""


class Peer(NamedTuple):
    """How a user gets one method's parameters from a window of returns, and what the peer says of any parameters."""

    call: str
    fit: Callable[[Floats], Floats]
    var: Callable[[Floats, Floats], float]
    likelihood: Callable[[Floats, Floats], float]
    ours: Callable[[Mapping[str, float]], Floats]
    """Our parameters in the peer's order and units."""


def fit_t(returns: Floats) -> Floats:
    return np.array(stats.t.fit(returns))


def var_t(returns: Floats, parameters: Floats) -> float:
    return -float(stats.t.ppf(1 - LEVEL, *parameters))


def likelihood_t(returns: Floats, parameters: Floats) -> float:
    return float(np.sum(stats.t.logpdf(returns, *parameters)))


def ours_t(parameters: Mapping[str, float]) -> Floats:
    return np.array([parameters["df"], parameters["loc"], parameters["scale"]])


def tail(returns: Floats) -> tuple[float, Floats]:
    """The 90 % quantile of the losses, and by how much others exceed it."""
    threshold = float(np.quantile(-returns, 0.9))
    return threshold, -returns[-returns > threshold] - threshold


def fit_pareto(returns: Floats) -> Floats:
    shape, _, scale = stats.genpareto.fit(tail(returns)[1], floc=0)
    return np.array([shape, scale])


def var_pareto(returns: Floats, parameters: Floats) -> float:
    (threshold, excesses), (shape, scale) = tail(returns), parameters
    return float(threshold + scale / shape * ((returns.size / excesses.size * (1 - LEVEL)) ** -shape - 1))


def likelihood_pareto(returns: Floats, parameters: Floats) -> float:
    shape, scale = parameters
    return float(np.sum(stats.genpareto.logpdf(tail(returns)[1], shape, 0.0, scale)))


def ours_pareto(parameters: Mapping[str, float]) -> Floats:
    return np.array([parameters["shape"], parameters["scale"]])


def garch(returns: Floats) -> Any:
    return arch_model(100 * returns, mean="Constant", vol="GARCH", p=1, q=1, dist="t")


def fit_garch(returns: Floats) -> Floats:
    return np.asarray(garch(returns).fit(disp="off").params)


def var_garch(returns: Floats, parameters: Floats) -> float:
    """From the variances that arch's likelihood is of; `forecast` starts them elsewhere, for up to 1e-5 of VaR."""
    model = garch(returns)
    mean, omega, alpha, beta = parameters[:4].tolist()
    last = model.fix(parameters).conditional_volatility[-1]
    variance = omega + alpha * (100 * float(returns[-1]) - mean) ** 2 + beta * float(last) ** 2
    quantile = float(model.distribution.ppf([1 - LEVEL], parameters[-1:])[0])
    return -(float(mean) + math.sqrt(variance) * quantile) / 100


def likelihood_garch(returns: Floats, parameters: Floats) -> float:
    _, omega, alpha, beta, df = parameters
    stays = omega > 0.0 and alpha >= 0.0 and beta >= 0.0 and alpha + beta <= 1.0 and 2.05 <= df <= 500.0
    return float(garch(returns).fix(parameters).loglikelihood) if stays else -math.inf


def ours_garch(parameters: Mapping[str, float]) -> Floats:
    rest = (parameters[name] for name in ("alpha", "beta", "df"))
    return np.array([100 * parameters["mu"], 1e4 * parameters["omega"], *rest])


PEERS = {
    "student_t": Peer("scipy.stats.t.fit", fit_t, var_t, likelihood_t, ours_t),
    "extreme_value": Peer("scipy.stats.genpareto.fit", fit_pareto, var_pareto, likelihood_pareto, ours_pareto),
    "garch": Peer("arch_model(...).fit", fit_garch, var_garch, likelihood_garch, ours_garch),
}


class Row(NamedTuple):
    """CPU milliseconds a day of both, and how far figures are from each other.

    Distances are relative to our VaR at 99 %: from our fit of the day alone at most, from the peer's in the median, and
    from the peer's search continued at most, on the days `compared` where that ends at a likelihood of ours or more.
    `higher` counts the days at which the peer's own parameters have the higher likelihood.
    """

    method: str
    ours_ms: float
    theirs_ms: float
    from_alone: float
    higher: int
    from_peer: float
    from_continued: float
    compared: int
    continued: int


def index() -> Series:
    return periods_of(read_table(str(INDEX)), Kind.PRICES).series()[0]


def rolled(series: Series, methods: Mapping[str, Method], jobs: int = 1) -> Forecasts:
    return forecast([series], Rolling(dict(methods), LEVELS, WINDOW), jobs)[0]


def compared(series: Series, method: Method, peer: Peer, days: Sequence[int]) -> Row:
    started = time.process_time()
    made = rolled(series, {method.id: method})
    rolled_at = time.process_time()
    windows = [series.returns[day : day + WINDOW] for day in days]
    theirs = [peer.fit(window) for window in windows]
    their_var = np.array([peer.var(*each) for each in zip(windows, theirs, strict=True)])
    ended = time.process_time()
    ours = made.var[days, 0, LEVELS.index(LEVEL)]
    alone = [method.estimate(window, (LEVEL,)) for window in windows]
    ahead = [_ahead(peer, *each) for each in zip(windows, theirs, alone, strict=True)]
    distances = [_continued(peer, *each) for each in list(zip(windows, theirs, alone, strict=True))[::CONTINUED_EVERY]]
    equal = [distance for distance in distances if distance is not None]
    return Row(
        method.id,
        1e3 * (rolled_at - started) / len(made.dates),
        1e3 * (ended - rolled_at) / len(days),
        float(np.max(np.abs(np.array([each.var[0] for each in alone], dtype=float) / ours - 1.0))),
        sum(each > ROUNDING for each in ahead),
        float(np.median(np.abs(their_var / ours - 1.0))),
        max(equal, default=math.nan),
        len(equal),
        len(distances),
    )


def _ahead(peer: Peer, returns: Floats, theirs: Floats, ours: Estimate) -> float:
    """By how much the likelihood of their parameters is above that of ours, relative."""
    own = peer.likelihood(returns, peer.ours(ours.parameters))
    return (peer.likelihood(returns, theirs) - own) / abs(own)


def _continued(peer: Peer, returns: Floats, theirs: Floats, ours: Estimate) -> float | None:
    """How far their VaR is from ours once their search has gone on; None where it ends below our likelihood."""

    def unlikely(at: Floats) -> float:
        likelihood = peer.likelihood(returns, at)
        return -likelihood if math.isfinite(likelihood) else math.inf

    best = theirs
    for _ in range(2):  # a simplex may collapse before it is there
        best = optimize.fmin(unlikely, best, xtol=1e-10, ftol=1e-12, maxiter=2000, maxfun=2000, disp=False)
    if _ahead(peer, returns, best, ours) < -ROUNDING:
        return None
    return abs(peer.var(returns, best) / cast("float", ours.var[0]) - 1.0)


def report(rows: Sequence[Row]) -> None:
    for row in rows:
        print(f"{row.method}: {row.ours_ms:.2f} CPU ms a day, {PEERS[row.method].call} {row.theirs_ms:.1f}", end="")
        print(f", ratio {row.theirs_ms / row.ours_ms:.0f}")
        print(f"    VaR from the fit of the day alone: at most {row.from_alone:.0e}", end="")
        print(f"; from the peer's: median {row.from_peer:.0e}; days of a likelihood above ours: {row.higher}")
        print(f"    from the peer's search continued: at most {row.from_continued:.0e}", end="")
        print(f", on {row.compared} of {row.continued} days; on the others it ends below our likelihood")


def report_whole(series: Series, methods: Mapping[str, Method], rows: Sequence[Row]) -> None:
    """The three fits, ours against the peers'; and all our methods, most of which have no peer, against them too."""
    days = series.returns.size - WINDOW
    theirs, ours = (
        1e-3 * days * sum(each) for each in zip(*((row.theirs_ms, row.ours_ms) for row in rows), strict=True)
    )
    started = time.process_time()
    rolled(series, methods)
    whole = time.process_time() - started
    print(
        f"the three for every day: {ours:.0f} CPU s, the peers' {theirs:.0f}, extrapolated; ratio {theirs / ours:.0f}"
    )
    print(
        f"all {len(methods)} methods and the average: {whole:.0f} CPU s, ratio to the peers' three {theirs / whole:.0f}"
    )
    started = time.perf_counter()
    rolled(series, methods, JOBS)
    print(f"the same in {JOBS} processes: {time.perf_counter() - started:.0f} s on the clock")


def main() -> None:
    series, methods = index(), plugins.methods(WINDOW)
    count = series.returns.size - WINDOW
    days = np.linspace(0, count - 1, SAMPLED_DAYS).astype(int).tolist()
    warnings.simplefilter("ignore")  # of the peers' optimisers, that they ended at a bound
    print(f"{count:,} days, a window of {WINDOW}, one process; the peers on {SAMPLED_DAYS} of the days")
    rows = [compared(series, methods[name], peer, days) for name, peer in PEERS.items()]
    report(rows)
    report_whole(series, methods, rows)


if __name__ == "__main__":
    main()
