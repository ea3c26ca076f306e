"""What the maths costs, as ratios in one run: `python benchmarks/quant.py`.

The closes of 1,000 books (scenario P&L, three VaR methods, four analyzers) against the same arithmetic in plain numpy,
without statuses, guards or names.

Best of several runs: the machine's noise only ever adds.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtri

from services.analytics.analyzers import ANALYZERS, Window
from tailstream.quant.arrays import Figure, Floats
from tailstream.quant.scenarios import scenario_pnl
from tailstream.quant.var import AgeWeighted, Historical, Normal

BOOKS, INSTRUMENTS, SCENARIOS, YEAR = 1_000, 500, 500, 252
LEVELS = (0.95, 0.975, 0.99, 0.995)

GENERATOR = np.random.default_rng(11)
EXPOSURES = GENERATOR.normal(size=(BOOKS, INSTRUMENTS)) * 1e5
RETURNS = 0.01 * GENERATOR.standard_t(4, (INSTRUMENTS, SCENARIOS))
HISTORY = 0.01 * GENERATOR.standard_t(4, (BOOKS, YEAR))
AGE = 0.98 ** np.arange(SCENARIOS)[::-1] * 0.02 / (1 - 0.98**SCENARIOS)
P_AND_L = EXPOSURES @ RETURNS
PLAIN_METHODS = (Historical(), AgeWeighted(), Normal())


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Wall time of the fastest run."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def scenarios_of_the_books() -> None:
    for exposures in EXPOSURES:
        scenario_pnl(exposures, RETURNS)


def methods_of_the_books() -> None:
    for pnl in P_AND_L:
        for method in PLAIN_METHODS:
            method.estimate(pnl, LEVELS)


def analyzers_of_the_books() -> None:
    for exposures, history in zip(EXPOSURES, HISTORY, strict=True):
        window = Window(history, 365, float(YEAR), 1e6, 1e3, 0.0, Figure.of(history[-1]), exposures, 1.0)
        for analyzer in ANALYZERS.values():
            analyzer(window)


def plain_scenarios() -> None:
    for exposures in EXPOSURES:
        np.add.reduce(exposures[:, None] * RETURNS, axis=0)


def plain_methods() -> None:
    for pnl in P_AND_L:
        plain_historical(pnl)
        plain_age_weighted(pnl)
        plain_normal(pnl)


def plain_historical(pnl: Floats) -> list[tuple[float, float]]:
    worst = np.sort(pnl)
    out = []
    for level in LEVELS:
        beyond = SCENARIOS * (1 - level)
        whole = int(beyond + 1e-9)
        out.append((-worst[whole], -(worst[:whole].sum() + (beyond - whole) * worst[whole]) / beyond))
    return out


def plain_age_weighted(pnl: Floats) -> list[tuple[float, float]]:
    order = np.argsort(-pnl)
    losses, below = -pnl[order], np.cumsum(AGE[order])
    var = [losses[np.searchsorted(below, level)] for level in LEVELS]
    return [(v, v + (AGE[order] * np.maximum(losses - v, 0)).sum() / (1 - c)) for v, c in zip(var, LEVELS, strict=True)]


def plain_normal(pnl: Floats) -> list[tuple[float, float]]:
    mean, sigma = pnl.mean(), pnl.std(ddof=1)
    quantiles = [float(ndtri(1 - level)) for level in LEVELS]
    densities = [math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in quantiles]
    return [
        (-(mean + z * sigma), -mean + sigma * density / (1 - level))
        for z, density, level in zip(quantiles, densities, LEVELS, strict=True)
    ]


def plain_analyzers() -> None:
    for exposures, history in zip(EXPOSURES, HISTORY, strict=True):
        plain_basic(exposures)
        plain_returns_and_risk(history)
        plain_drawdown(history)


def plain_basic(exposures: Floats) -> tuple[Any, ...]:
    sizes = np.abs(exposures)
    gross = sizes.sum()
    shares = sizes / gross
    hhi = (shares**2).sum()
    long, short = exposures[exposures > 0].sum(), -exposures[exposures < 0].sum()
    return gross, exposures.sum(), long, short, gross / 1e6, hhi, 1 / hhi, shares.max(), np.count_nonzero(exposures)


def plain_returns_and_risk(r: Floats) -> tuple[Any, ...]:
    root, mean, sd = math.sqrt(YEAR), r.mean(), r.std(ddof=1)
    total = np.prod(1 + r) - 1
    gains, losses = r[r > 0].sum(), -r[r < 0].sum()
    downside = math.sqrt((np.minimum(r, 0) ** 2).mean())
    z = (r - mean) / sd
    low, high = np.quantile(r, (0.05, 0.95))
    returns = (total, (1 + total) ** (YEAR / r.size) - 1, mean, r.max(), r.min(), (r > 0).sum() / (r != 0).sum())
    risk = (sd * root, downside * root, mean / sd * root, mean / downside * root, (z**3).mean(), (z**4).mean())
    return *returns, gains / losses, *risk, abs(high / low)


def plain_drawdown(r: Floats) -> tuple[Any, ...]:
    path = np.concatenate([[1.0], np.cumprod(1 + r)])
    depths = 1 - path / np.maximum.accumulate(path)
    turns = np.flatnonzero(np.diff(depths > 0))
    depth = np.maximum.reduceat(depths, turns[::2]).mean()
    return depths[-1], depths.max(), depth, np.diff(np.append(turns, r.size))[::2].max(), math.sqrt((depths**2).mean())


def report(name: str, work: Callable[[], object], bare_name: str, bare: Callable[[], object], repeats: int) -> None:
    cost, base = milliseconds(work, repeats), milliseconds(bare, repeats)
    print(f"{name:<42}{cost:>9.1f} ms   {bare_name:<14}{base:>9.1f} ms   ratio {cost / base:.2f}")


def main() -> None:
    print(f"{BOOKS} books x {INSTRUMENTS} instruments x {SCENARIOS} scenarios, {len(LEVELS)} levels, {YEAR} returns")
    report("closes: scenario P&L", scenarios_of_the_books, "plain numpy", plain_scenarios, 3)
    report("closes: three VaR methods", methods_of_the_books, "plain numpy", plain_methods, 5)
    report("closes: four analyzers", analyzers_of_the_books, "plain numpy", plain_analyzers, 5)


if __name__ == "__main__":
    main()
