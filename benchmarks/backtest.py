"""A backtest of all methods, against fitting every day as a user would: `python benchmarks/backtest.py`.

The S&P 500 from 1990 to 2022, a window of 500 days: VaR and ES at four levels for each of the 7,812 days that have a
whole window before them, every model fitted anew every day.

The peers are arch and scipy, called as their documentation shows, on days spread evenly over the same series, and
extrapolated by days. Beside the times: how far the VaR of a day, fitted from where the day before ended, is from that
of a fit to the day's window alone; and from the peer's, whose optimisers stop a little before the maximum or elsewhere.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from arch import arch_model
from scipy import stats

from tailstream.files.rolling import Forecasts, Rolling, forecast
from tailstream.files.series import Kind, Series, periods_of
from tailstream.files.table import read_table
from tailstream.quant.arrays import Floats
from tailstream.quant.var import Method
from tailstream.runtime import plugins

INDEX = Path(__file__).parents[1] / "data/sp500_index.csv.gz"
WINDOW, LEVEL, SAMPLED_DAYS, JOBS = 500, 0.99, 40, 2
LEVELS = (0.95, 0.975, LEVEL, 0.995)


class Peer(NamedTuple):
    """How a user gets one method's VaR at 99 % from a window of returns."""

    call: str
    var: Callable[[Floats], float]


def t_of_scipy(returns: Floats) -> float:
    return -float(stats.t.ppf(1 - LEVEL, *stats.t.fit(returns)))


def pareto_of_scipy(returns: Floats) -> float:
    losses = -returns
    threshold = float(np.quantile(losses, 0.9))
    excesses = losses[losses > threshold] - threshold
    shape, _, scale = stats.genpareto.fit(excesses, floc=0)
    return threshold + scale / shape * ((losses.size / excesses.size * (1 - LEVEL)) ** -shape - 1)


def garch_of_arch(returns: Floats) -> float:
    model = arch_model(100 * returns, mean="Constant", vol="GARCH", p=1, q=1, dist="t")
    fitted = model.fit(disp="off")
    variance = float(fitted.forecast(horizon=1).variance.iloc[-1, 0])
    quantile = float(model.distribution.ppf([1 - LEVEL], fitted.params[["nu"]])[0])
    return -(float(fitted.params["mu"]) + variance**0.5 * quantile) / 100


PEERS = {
    "student_t": Peer("scipy.stats.t.fit", t_of_scipy),
    "extreme_value": Peer("scipy.stats.genpareto.fit", pareto_of_scipy),
    "garch": Peer("arch_model(...).fit", garch_of_arch),
}


class Row(NamedTuple):
    """CPU milliseconds a day of both. Distances are relative to our VaR at 99 %: the largest from our fit of the day
    alone, the median and largest from the peer's."""

    method: str
    ours_ms: float
    theirs_ms: float
    from_alone: float
    from_peer: float
    from_peer_most: float


def index() -> Series:
    return periods_of(read_table(str(INDEX)), Kind.PRICES).series()[0]


def rolled(series: Series, methods: Mapping[str, Method], jobs: int = 1) -> Forecasts:
    return forecast([series], Rolling(dict(methods), LEVELS, WINDOW), jobs)[0]


def compared(series: Series, method: Method, peer: Peer, days: Sequence[int]) -> Row:
    started = time.process_time()
    made = rolled(series, {method.id: method})
    rolled_at = time.process_time()
    windows = [series.returns[day : day + WINDOW] for day in days]
    theirs = np.array([peer.var(window) for window in windows])
    ended = time.process_time()
    ours = made.var[days, 0, LEVELS.index(LEVEL)]
    alone = np.array([method.estimate(window, (LEVEL,)).var[0] for window in windows], dtype=float)
    from_peer = np.abs(theirs / ours - 1.0)
    return Row(
        method.id,
        1e3 * (rolled_at - started) / len(made.dates),
        1e3 * (ended - rolled_at) / len(days),
        float(np.max(np.abs(alone / ours - 1.0))),
        float(np.median(from_peer)),
        float(np.max(from_peer)),
    )


def report(rows: Sequence[Row]) -> None:
    """Distances are of VaR, relative: the largest from the fit of the day alone, median and largest from the peer's."""
    for row in rows:
        print(f"{row.method}: {row.ours_ms:.2f} CPU ms a day, {PEERS[row.method].call} {row.theirs_ms:.1f}", end="")
        print(f", ratio {row.theirs_ms / row.ours_ms:.0f}")
        print(f"    VaR from the fit of the day alone: at most {row.from_alone:.0e}", end="")
        print(f"; from the peer's: median {row.from_peer:.0e}, at most {row.from_peer_most:.0e}")


def report_whole(series: Series, methods: Mapping[str, Method], peers_seconds: float) -> None:
    """All methods and the average, against the three fits of the peers alone."""
    started = time.process_time()
    rolled(series, methods)
    ours = time.process_time() - started
    print(f"the three fits of the peers, for every day: {peers_seconds:.0f} CPU s, extrapolated")
    print(f"all {len(methods)} methods and the average: {ours:.0f} CPU s, ratio {peers_seconds / ours:.0f}")
    started = time.perf_counter()
    rolled(series, methods, JOBS)
    print(f"the same in {JOBS} processes: {time.perf_counter() - started:.0f} s on the clock")


def main() -> None:
    series, methods = index(), plugins.methods(WINDOW)
    count = series.returns.size - WINDOW
    days = np.linspace(0, count - 1, SAMPLED_DAYS).astype(int).tolist()
    warnings.simplefilter("ignore")  # of the peers' optimisers, that they ended at a bound
    rows = [compared(series, methods[name], peer, days) for name, peer in PEERS.items()]
    print(f"{count:,} days, a window of {WINDOW}, one process; the peers on {SAMPLED_DAYS} of the days")
    report(rows)
    report_whole(series, methods, 1e-3 * count * sum(row.theirs_ms for row in rows))


if __name__ == "__main__":
    main()
