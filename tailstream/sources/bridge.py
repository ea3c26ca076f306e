"""What may have been quoted between two closes: a seeded random path that starts at one and ends at the other."""

from collections.abc import Iterator

import numpy as np

from tailstream.sources.history import Floats, Prices

DAILY_VOLATILITY = 0.01
"""How far the path strays: the standard deviation of a day's log return, the same for every instrument."""
SIGNIFICANT_DIGITS = 6


def bridge(start: Floats, end: Floats, steps: int, generator: np.random.Generator) -> Floats:
    """A Brownian bridge in log prices, independent for each instrument.

    Parameters
    ----------
    start, end : shape (n,), positive
        The closes before and after.
    steps : at least 1

    Returns
    -------
    shape (steps + 1, n), positive; the first row is exactly ``start``, the last exactly ``end``.
    """
    elapsed = np.arange(steps + 1)[:, None] / steps
    walk = np.zeros((steps + 1, start.size))
    np.cumsum(generator.standard_normal((steps, start.size)), axis=0, out=walk[1:])
    walk *= DAILY_VOLATILITY / np.sqrt(steps)
    path: Floats = start * np.exp(walk - elapsed * walk[-1] + elapsed * np.log(end / start))
    path[0], path[-1] = start, end
    return path


def quotes(before: Prices, after: Prices, count: int, seed: tuple[int, ...]) -> Iterator[Prices]:
    """``count`` price slices at equal distances between two closes, of the instruments that have both.

    The same arguments give the same slices.
    """
    names = [name for name in after if name in before]
    if not names or not count:
        return
    start, end = (np.array([prices[name] for name in names]) for prices in (before, after))
    path = bridge(start, end, count + 1, np.random.default_rng(seed))
    for row in _rounded(path[1:-1]).tolist():
        yield dict(zip(names, row, strict=True))


def _rounded(values: Floats) -> Floats:
    """To as many digits as a price is quoted with; positive stays positive."""
    scale = 10.0 ** (SIGNIFICANT_DIGITS - 1 - np.floor(np.log10(values)))
    rounded: Floats = np.round(values * scale) / scale
    return rounded
