"""The log-likelihood of a t copula in its degrees of freedom, the correlation being known."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit
from scipy.stats import rankdata

from tailstream.quant.arrays import Floats
from tailstream.quant.covariance import cholesky, squared_distances


class _Observations(NamedTuple):
    """Pseudo-observations (m, T): the different ones (u,), how often each occurs, and where each stands among them.

    Ranks are the same for every instrument, so that there are no more quantiles to work out than periods.
    """

    different: Floats
    counts: npt.NDArray[np.intp]
    places: npt.NDArray[np.intp]


class _Group(NamedTuple):
    """Instruments whose joint density is taken, and the triangular root of their correlation."""

    instruments: npt.NDArray[np.intp]
    root: Floats


def copula_likelihood(returns: Floats, correlation: Floats, together_max: int) -> Callable[[float], float]:
    """The log-likelihood of returns (m, T) under a t copula with correlation (m, m), as a function of df > 0.

    `c(u) = t_(df, R)(x) / prod t_df(x_i)` with `x_i = t_df^-1(u_i)` and u the pseudo-observations `rank / (T + 1)`.
    Up to `together_max` instruments it is the likelihood. Beyond, it is the sum of those of groups of neighbours, no
    larger: a composite likelihood, whose maximum is consistent as well. The likelihood of all at once is not usable
    there: near as many instruments as periods it finds no tail dependence whatever there is.
    """
    observations = _pseudo_observations(returns)
    parts = math.ceil(returns.shape[0] / together_max)
    groups = [
        _Group(part, cholesky(correlation[np.ix_(part, part)]))
        for part in np.array_split(np.arange(returns.shape[0]), parts)
    ]
    return lambda df: _log_likelihood(df, observations, groups)


def _pseudo_observations(returns: Floats) -> _Observations:
    ranks = rankdata(returns, axis=1) / (returns.shape[1] + 1)
    different, places, counts = np.unique(ranks, return_inverse=True, return_counts=True)
    return _Observations(different, counts, places)


def _log_likelihood(df: float, observations: _Observations, groups: list[_Group]) -> float:
    quantiles = np.asarray(stdtrit(df, observations.different), dtype=np.float64)
    alone = _log_density(df, 1, quantiles * quantiles)
    joint = [_joint(df, group, quantiles[observations.places[group.instruments]]) for group in groups]
    return math.fsum(joint) - float(np.add.reduce(observations.counts * alone))


def _joint(df: float, group: _Group, quantiles: Floats) -> float:
    densities = _log_density(df, group.instruments.size, squared_distances(group.root, quantiles))
    half_log_determinant = float(np.add.reduce(np.log(np.diag(group.root))))
    return float(np.add.reduce(densities)) - densities.size * half_log_determinant


def _log_density(df: float, dimensions: int, squared: Floats) -> Floats:
    """Of a t whose correlation has determinant 1, at points with these squared Mahalanobis distances."""
    constant = math.lgamma((df + dimensions) / 2.0) - math.lgamma(df / 2.0) - dimensions / 2.0 * math.log(math.pi * df)
    density: Floats = constant - (df + dimensions) / 2.0 * np.log1p(squared / df)
    return density
