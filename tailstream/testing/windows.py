"""Windows of P&L, oldest first, that every figure is tested on: the edge cases of the field, one name each."""

from collections.abc import Mapping

import numpy as np

from tailstream.quant.arrays import Floats


def noise(observations: int, seed: int = 7) -> Floats:
    """Daily returns with fat tails (n,), from a seed."""
    return 0.0003 + 0.01 * np.random.default_rng(seed).standard_t(4, observations)


def with_value(observations: int, index: int, value: float) -> Floats:
    """Noise (n,) with one observation replaced."""
    returns = noise(observations)
    returns[index] = value
    return returns


def with_gaps(observations: int) -> Floats:
    """Noise (n,) of which 10 % is missing."""
    returns = noise(observations)
    returns[np.random.default_rng(1).choice(observations, observations // 10, replace=False)] = np.nan
    return returns


def windows(observations: int) -> Mapping[str, Floats]:
    """The edge cases by name; those whose length is not the case itself have so many observations (more than 200)."""
    moves, n = np.abs(noise(observations)) + 1e-6, observations
    return {
        "empty": np.array([]),
        "one observation": np.array([0.01]),
        "two observations": np.array([0.01, -0.02]),
        "constant": np.full(n, 0.001),
        "constant and not a dyadic fraction": np.full(n, 0.1),
        "zeros": np.zeros(n),
        "minus zeros": np.full(n, -0.0),
        "all gains": moves,
        "all losses": -np.minimum(moves, 0.5),
        "10 % gaps": with_gaps(n),
        "a bad tick entering": with_value(n, n - 1, 1e4),
        "a bad tick leaving": with_value(n, 0, 1e4),
        "a bad tick and back": np.concatenate([noise(100), [1e4, 1 / (1 + 1e4) - 1], noise(n - 102)]),
        "an infinite return": with_value(n, 50, np.inf),
        "a -100 % day": with_value(n, 50, -1.0),
        "a -150 % day": with_value(n, 50, -1.5),
        "a first-period loss": np.concatenate([[-0.1], np.full(n - 1, 0.001)]),
        "returns that overflow": np.full(n, 1e200),
        "tiny returns": noise(n) * 1e-200,
        "249 observations": noise(249),
        "250 observations": noise(250),
        "251 observations": noise(251),
        "ties": np.round(noise(n), 2),
    }


NAMES = tuple(windows(252))
"""Of the edge cases."""


def elsewhere(observations: int) -> Mapping[str, Floats]:
    """P&L (n,) of other markets, by name: a model fitted to one of them starts far from where `noise` ends."""
    random = np.random.default_rng(11)
    calm, wild = random.standard_normal(observations), random.standard_t(2.5, observations)
    cycle = np.exp(1.5 * np.sin(np.linspace(0.0, 12.0, observations)))
    return {
        "thin tails": 0.01 * calm,
        "fat tails": 0.01 * wild,
        "clusters": 0.01 * calm * cycle,
        "a long left tail": 0.01 * (1.0 - random.exponential(1.0, observations)),
        "a long right tail": 0.01 * (random.exponential(1.0, observations) - 1.0),
    }


def market(observations: int, seed: int = 3) -> Floats:
    """Returns (5, n) of three instruments that move together, of one that is another's double, and of a peg."""
    random = np.random.default_rng(seed)
    together, alone = random.standard_t(4, observations), random.standard_t(4, (3, observations))
    moving = 0.0003 + 0.01 * (0.6 * together + 0.8 * alone)
    return np.vstack([moving, moving[0], np.zeros(observations)])
