"""Rolling forecasts out of sample: for each period the VaR and ES that the periods before it give."""

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np

from tailstream.files.series import Series
from tailstream.quant.arrays import Floats
from tailstream.quant.averaging import FEWEST_AVERAGED, ID, WINDOW, average, members, next_weights
from tailstream.quant.backtest import fz0_loss
from tailstream.quant.var import Estimate, Fit, FittedMethod, MarketMethod, Method
from tailstream.quant.var.answers import estimated, fitted

CHUNK_PERIODS = 200
"""Fits start afresh in every chunk of about so many periods, so that figures do not depend on who computes which."""

Reasons = Mapping[str, Counter[str]]


@dataclass(frozen=True, slots=True)
class Rolling:
    """How forecasts are made: from the `window` returns before each period, models refitted every so many periods.

    Other processes are given it, so the methods are in a plain dict.
    """

    methods: dict[str, Method]
    levels: tuple[float, ...]
    window: int
    refit_every: int = 1


@dataclass(frozen=True, slots=True)
class Forecasts:
    """VaR and ES (T, M, L), positive = loss, NaN where there is none, of what then came: `returns` (T,) and `dates`.

    `reasons` count, by method, why it had no figures. The average is the last of `methods` where it is one of them.
    """

    name: str
    dates: tuple[datetime, ...]
    returns: Floats
    methods: tuple[str, ...]
    var: Floats
    es: Floats
    reasons: Reasons


class _Chunk(NamedTuple):
    """Periods of one series, `returns` beginning a window before the first of them."""

    series: int
    first: int
    returns: Floats


class _Figures(NamedTuple):
    """VaR and ES (T, M, L), and why some are missing."""

    var: Floats
    es: Floats
    reasons: Reasons


def forecast(
    series: Sequence[Series], rolling: Rolling, jobs: int = 1, advance: Callable[[int], None] = lambda periods: None
) -> list[Forecasts]:
    """Forecast every period of each of `series` that has a whole window before it, in `jobs` processes.

    `advance` is told of the periods as they are done. The figures are the same for any number of jobs.
    """
    chunks = [chunk for at, each in enumerate(series) for chunk in _chunks(at, each, rolling)]
    done: dict[tuple[int, int], _Figures] = {}
    for chunk, figures in _computed(chunks, rolling, jobs):
        done[chunk.series, chunk.first] = figures
        advance(figures.var.shape[0])
    return [
        _whole(each, rolling, [done[key] for key in sorted(done) if key[0] == at]) for at, each in enumerate(series)
    ]


def periods_to_forecast(series: Series, window: int) -> int:
    """How many periods have a whole window before them."""
    return max(0, series.returns.size - window)


def _chunks(at: int, series: Series, rolling: Rolling) -> Iterator[_Chunk]:
    """Each begins at a refit, so that it needs nothing of the chunk before it."""
    refits = -(-CHUNK_PERIODS // rolling.refit_every)
    size = refits * rolling.refit_every
    for first in range(0, periods_to_forecast(series, rolling.window), size):
        yield _Chunk(at, first, series.returns[first : first + rolling.window + size])


def _computed(chunks: Sequence[_Chunk], rolling: Rolling, jobs: int) -> Iterator[tuple[_Chunk, _Figures]]:
    """In the order in which they are done."""
    if min(jobs, len(chunks)) <= 1:
        yield from ((chunk, _figures(chunk.returns, rolling)) for chunk in chunks)
        return
    context = multiprocessing.get_context("spawn")
    wanted, until = context.Pipe(duplex=False)
    with ProcessPoolExecutor(min(jobs, len(chunks)), context, initializer=_leave_after, initargs=(wanted,)) as pool:
        try:
            with interrupts_held():
                waiting: dict[Future[_Figures], _Chunk] = {
                    pool.submit(_figures, chunk.returns, rolling): chunk for chunk in chunks
                }
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:  # Ctrl-C too: figures that are half done are not waited for
            until.close()
            raise


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the end of this; processes that are started meanwhile never get one."""
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))  # threads of BLAS may take it
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # processes inherit it, and not the handler
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if came:
        signal.raise_signal(signal.SIGINT)


def _leave_after(wanted: Connection) -> None:
    """In a process of the pool: leave at once when the parent has closed its end of a pipe, or is gone."""

    def leave() -> None:
        wanted.poll(None)
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()


def _figures(returns: Floats, rolling: Rolling) -> _Figures:
    periods = returns.size - rolling.window
    shape = (periods, len(rolling.methods), len(rolling.levels))
    var, es = np.full(shape, np.nan), np.full(shape, np.nan)
    reasons: dict[str, Counter[str]] = {}
    for column, (name, method) in enumerate(rolling.methods.items()):
        for period, estimate in enumerate(_estimates(method, returns, rolling)):
            var[period, column], es[period, column] = estimate.var, estimate.es
            if estimate.status != "ok":
                reasons.setdefault(name, Counter())[estimate.reason or estimate.status] += 1
    return _Figures(var, es, reasons)


def _estimates(method: Method, returns: Floats, rolling: Rolling) -> Iterator[Estimate]:
    """An estimate for each period after the first window, from the window before it."""
    windows = np.lib.stride_tricks.sliding_window_view(returns, rolling.window)[:-1]
    if isinstance(method, FittedMethod):
        yield from _fitted(method, windows, rolling)
    elif isinstance(method, MarketMethod) and not method.redrawn:
        for at in range(0, len(windows), rolling.refit_every):
            yield from [_estimate(method, windows[at], rolling)] * min(rolling.refit_every, len(windows) - at)
    else:
        yield from (_estimate(method, window, rolling) for window in windows)


def _estimate(method: Method, window: Floats, rolling: Rolling) -> Estimate:
    return estimated(partial(method.estimate, window, rolling.levels), rolling.levels)


def _fitted(method: FittedMethod, windows: Floats, rolling: Rolling) -> Iterator[Estimate]:
    """Each fit starts where the former one ended, or from the data alone where that one failed."""
    start: Mapping[str, float] | None = None
    for at, window in enumerate(windows):
        if at % rolling.refit_every == 0:
            fit = fitted(partial(method.fit, window, start))
            start = fit.parameters if fit.status == "ok" else None
        yield _estimate_with(method, fit, window, rolling.levels)


def _estimate_with(method: FittedMethod, fit: Fit, window: Floats, levels: tuple[float, ...]) -> Estimate:
    if fit.status != "ok":
        return Estimate.missing(fit.status, fit.reason or "was not fitted", levels)
    return estimated(partial(method.estimate_with, fit, window, levels), levels)


def _whole(series: Series, rolling: Rolling, parts: Sequence[_Figures]) -> Forecasts:
    """The chunks of one series in a row, with the average behind the methods where it has three members or more."""
    shape = (0, len(rolling.methods), len(rolling.levels))
    var = np.concatenate([np.empty(shape), *(part.var for part in parts)])
    es = np.concatenate([np.empty(shape), *(part.es for part in parts)])
    reasons = {name: sum((part.reasons.get(name, Counter()) for part in parts), Counter()) for name in rolling.methods}
    names, returns = tuple(rolling.methods), series.returns[rolling.window :]
    averaged = [names.index(name) for name in members(rolling.methods)]
    if len(averaged) >= FEWEST_AVERAGED:
        together = averages(returns, var[:, averaged], es[:, averaged], rolling.levels)
        var, es = (np.concatenate(pair, axis=1) for pair in ((var, together.var), (es, together.es)))
        names, reasons = (*names, ID), reasons | dict(together.reasons)
    return Forecasts(series.name, series.dates[rolling.window :], returns, names, var, es, reasons)


def averages(returns: Floats, var: Floats, es: Floats, levels: Sequence[float]) -> _Figures:
    """The average of the members' (T, M, L) in each period, (T, 1, L): weighted by the losses made before it."""
    together, beyond = np.full((2, len(returns), 1, len(levels)), np.nan)
    losses = np.add.reduce(fz0_loss(returns, var, es, levels), axis=-1)
    seen = np.cumsum(~np.isnan(losses).all(axis=1))
    counted = losses[~np.isnan(losses).all(axis=1)]
    weights: Floats | None = None
    reasons: Counter[str] = Counter()
    for period in range(len(returns)):
        past = int(seen[period - 1]) if period else 0
        weights = next_weights(weights, counted[max(0, past - WINDOW) : past])
        made = average(weights, var[period], es[period], past)
        together[period, 0], beyond[period, 0] = made.var, made.es
        if made.status != "ok":
            reasons[made.reason or made.status] += 1
    return _Figures(together, beyond, {ID: reasons})
