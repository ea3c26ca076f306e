"""The windows that every figure is tested on: the edge cases of the field, one name each."""

import numpy as np

from tailstream.quant.arrays import Floats

STATUSES = {
    "ok",
    "insufficient",
    "undefined",
    "zero_variance",
    "no_downside",
    "ruined",
    "stale",
    "unpriced",
    "degraded",
}

YEAR = 252
LEVELS = (0.95, 0.975, 0.99, 0.995)


def noise(observations: int = YEAR, seed: int = 7) -> Floats:
    """Returns with fat tails, from a seed."""
    return 0.0003 + 0.01 * np.random.default_rng(seed).standard_t(4, observations)


def with_value(index: int, value: float) -> Floats:
    """A year of noise with one return replaced."""
    returns = noise()
    returns[index] = value
    return returns


def with_gaps() -> Floats:
    """A year of which 10 % is missing."""
    returns = noise()
    returns[np.random.default_rng(1).choice(YEAR, YEAR // 10, replace=False)] = np.nan
    return returns


WINDOWS: dict[str, Floats] = {
    "empty": np.array([]),
    "one observation": np.array([0.01]),
    "two observations": np.array([0.01, -0.02]),
    "constant": np.full(YEAR, 0.001),
    "constant and not a dyadic fraction": np.full(YEAR, 0.1),
    "zeros": np.zeros(YEAR),
    "minus zeros": np.full(YEAR, -0.0),
    "all gains": np.abs(noise()) + 1e-6,
    "all losses": -np.minimum(np.abs(noise()) + 1e-6, 0.5),
    "10 % gaps": with_gaps(),
    "a bad tick entering": with_value(YEAR - 1, 1e4),
    "a bad tick leaving": with_value(0, 1e4),
    "a bad tick and back": np.concatenate([noise(100), [1e4, 1 / (1 + 1e4) - 1], noise(150)]),
    "an infinite return": with_value(50, np.inf),
    "a -100 % day": with_value(50, -1.0),
    "a -150 % day": with_value(50, -1.5),
    "a first-period loss": np.array([-0.1] + [0.001] * 251),
    "returns that overflow": np.full(YEAR, 1e200),
    "tiny returns": noise() * 1e-200,
    "249 observations": noise(249),
    "250 observations": noise(250),
    "251 observations": noise(251),
    "ties": np.round(noise(), 2),
}
