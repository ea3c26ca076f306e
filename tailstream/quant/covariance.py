"""How instruments move together: a shrunk covariance, correlations of ranks, and what draws them again.

Instruments are rows, periods are columns, without gaps. The matrices are made once for all books. Their sums have one
order or are exact, so that the number of threads changes no bit; but for `positive_definite` where it has to clip.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from tailstream.quant.arrays import Floats

SMALLEST_EIGENVALUE = 1e-6
"""What eigenvalues of a correlation matrix are clipped to, the mean one being 1: a thousandth of a deviation."""

DEPENDENT = 1e-12
"""What is left of a variance, relative to it, when others explain all of it but rounding."""


class Shrunk(NamedTuple):
    """A covariance matrix (n, n), ddof = 1, and the weight in [0, 1] that its target got."""

    covariance: Floats
    shrinkage: float


def ledoit_wolf(returns: Floats) -> Shrunk:
    """The covariance of returns (n, T), T >= 2, shrunk towards one variance and no correlation.

    `(1 - s) C + s m I` with m the mean variance and s the weight that minimises the expected squared distance to the
    true matrix, Ledoit & Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices. The same
    as `ledoit_wolf` of scikit-learn, but for ddof = 1: theirs is (T - 1) / T of it. Written here because a service
    needs no more of that package than these lines.
    """
    instruments, periods = returns.shape
    away = returns - np.add.reduce(returns, axis=1, keepdims=True) / periods
    covariance = _products(away) / periods
    target = np.eye(instruments) * (np.trace(covariance) / max(instruments, 1))
    distance = _squared_norm(covariance - target)
    lengths = np.add.reduce(away * away, axis=0)
    error = (float(np.add.reduce(lengths * lengths)) / periods - _squared_norm(covariance)) / periods
    shrinkage = min(max(error, 0.0) / distance, 1.0) if distance > 0.0 else 0.0
    shrunk = (1.0 - shrinkage) * covariance + shrinkage * target
    return Shrunk(shrunk * (periods / (periods - 1)), shrinkage)


def kendall(returns: Floats) -> Floats:
    """Kendall's tau-b between the rows of returns (n, T), (n, n), 1 on the diagonal.

    A row without two different values goes with nothing: its tau is 0. Pairs are counted, in whole numbers, for one
    distance in time after the other: exact, and no pair is kept.
    """
    ranks = rankdata(returns, method="dense", axis=1).astype(np.float32)
    concordant = np.zeros((ranks.shape[0],) * 2)
    for lag in range(1, ranks.shape[1]):
        signs = np.clip(ranks[:, lag:] - ranks[:, :-lag], -1.0, 1.0)
        concordant += signs @ signs.T
    return _unit_diagonal(concordant)


def normal_scores(returns: Floats) -> Floats:
    """The correlation of `Phi^-1(rank / (T + 1))` between the rows of returns (n, T), (n, n), 1 on the diagonal.

    Ties have their mean rank. A row without two different values has no other score than 0 and goes with nothing.
    """
    scores = ndtri(rankdata(returns, axis=1) / (returns.shape[1] + 1))
    return _unit_diagonal(_products(scores))


def positive_definite(correlation: Floats) -> Floats:
    """A correlation matrix (n, n) with its eigenvalues clipped at 1e-6 and its diagonal rescaled to 1.

    One that has no smaller eigenvalue comes back as it is. Rebonato & Jäckel (1999), the spectral method.
    """
    values, vectors = np.linalg.eigh(correlation)
    if values.min(initial=1.0) >= SMALLEST_EIGENVALUE:
        return correlation
    return _unit_diagonal((vectors * np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T)


def cholesky(covariance: Floats) -> Floats:
    """The lower triangular root L (n, n) with `L L' = covariance`, a positive semi-definite matrix (n, n).

    Where the instruments before explain one but for 1e-12 of its variance, nothing of its own is left: LAPACK's would
    refuse duplicates and an instrument that does not move.
    """
    rest = covariance.copy()
    root = np.zeros_like(rest)
    for i, variance in enumerate(np.diag(covariance)):
        if rest[i, i] > DEPENDENT * variance:
            root[i:, i] = rest[i:, i] / math.sqrt(rest[i, i])
            rest[i:, i:] -= np.multiply.outer(root[i:, i], root[i:, i])
    return root


def squared_distances(root: Floats, points: Floats) -> Floats:
    """Squared Mahalanobis distances (T,) of points (n, T), `|L^-1 x|^2`; `root` L (n, n) has no 0 on its diagonal."""
    independent = np.empty_like(points)
    for i, row in enumerate(root):
        explained = np.add.reduce(row[:i, None] * independent[:i], axis=0)
        independent[i] = (points[i] - explained) / row[i]
    distances: Floats = np.add.reduce(independent * independent, axis=0)
    return distances


def exact_product(left: Floats, right: Floats) -> Floats:
    """The matrix product (n, k) x (k, S) of factors that are rounded first, so far that no sum of it is rounded.

    The order in which BLAS adds then changes no bit. Factors keep 26 bits of their largest entry, fewer by half the
    bits of k: 21 (5e-7) at k = 1,000, where draws are 1 % noise. Ozaki et al. (2012), Error-free transformations of
    matrix multiplication, of which this is the leading term.
    """
    bits = (52 - math.ceil(math.log2(max(left.shape[1], 1)))) // 2
    return _rounded(left, bits) @ _rounded(right, bits)


def _rounded(factor: Floats, bits: int) -> Floats:
    _, exponent = math.frexp(np.abs(factor).max(initial=0.0))
    scale = 2.0 ** (bits - exponent)
    rounded: Floats = np.rint(factor * scale) / scale
    return rounded


def _products(rows: Floats) -> Floats:
    """The sums of products (n, n) of each row of (n, T) with each: one fixed reduction after the other."""
    products = np.empty((rows.shape[0],) * 2)
    for i, row in enumerate(rows):
        products[i, i:] = products[i:, i] = np.add.reduce(rows[i:] * row, axis=1)
    return products


def _unit_diagonal(products: Floats) -> Floats:
    sizes = np.sqrt(np.diag(products))
    sizes[sizes == 0.0] = 1.0
    scaled: Floats = products / np.outer(sizes, sizes)
    np.fill_diagonal(scaled, 1.0)
    return scaled


def _squared_norm(matrix: Floats) -> float:
    return float(np.add.reduce(matrix * matrix, axis=None))
