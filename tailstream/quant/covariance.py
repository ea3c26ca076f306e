"""How instruments move together: a shrunk covariance, correlations of ranks, and the roots to draw with.

The matrices are made once for all books, in a shape that the log alone decides; matrix products are therefore allowed
here (see the package's docstring). Instruments are rows, periods are columns, and there are no gaps.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from tailstream.quant.arrays import Floats

SMALLEST_EIGENVALUE = 1e-6
"""What eigenvalues of a correlation matrix are clipped to, the mean one being 1: a thousandth of a deviation."""


class Shrunk(NamedTuple):
    """A covariance matrix (n, n), ddof = 1, and the weight in [0, 1] that its target got."""

    covariance: Floats
    shrinkage: float


class Spectrum(NamedTuple):
    """Eigenvalues (n,), ascending, and eigenvectors (n, n), in columns, of a symmetric matrix."""

    values: Floats
    vectors: Floats

    def power(self, exponent: float) -> Floats:
        """The matrix to a power: 0.5 is its symmetric root, which the signs and order of the vectors do not change."""
        return (self.vectors * self.values**exponent) @ self.vectors.T

    def squared_lengths(self, vectors: Floats) -> Floats:
        """`x' M^-1 x` (T,) of each column of (n, T), the squared Mahalanobis distances; no eigenvalue may be 0."""
        along = self.vectors.T @ vectors
        lengths: Floats = np.add.reduce(along * along / self.values[:, None], axis=0)
        return lengths


def ledoit_wolf(returns: Floats) -> Shrunk:
    """The covariance of returns (n, T), T >= 2, shrunk towards one variance and no correlation.

    `(1 - s) C + s m I` with m the mean variance and s the weight that minimises the expected squared distance to the
    true matrix, Ledoit & Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices. The same
    as `ledoit_wolf` of scikit-learn, but for ddof = 1: theirs is (T - 1) / T of it. Written here because a service
    needs no more of that package than these lines.
    """
    instruments, periods = returns.shape
    away = returns - returns.mean(axis=1, keepdims=True)
    covariance = away @ away.T / periods
    mean_variance = float(np.trace(covariance)) / max(instruments, 1)
    target = mean_variance * np.eye(instruments)
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

    Ties have their mean rank; a row without two different values goes with nothing.
    """
    scores = ndtri(rankdata(returns, axis=1) / (returns.shape[1] + 1))
    scores[np.ptp(returns, axis=1) == 0.0] = 0.0
    return _unit_diagonal(scores @ scores.T)


def positive_definite(correlation: Floats) -> Floats:
    """A correlation matrix (n, n) with its eigenvalues clipped at 1e-6 and its diagonal rescaled to 1.

    One that has no smaller eigenvalue comes back as it is. Rebonato & Jäckel (1999), the spectral method.
    """
    spectrum = spectrum_of(correlation)
    if spectrum.values.min(initial=1.0) >= SMALLEST_EIGENVALUE:
        return correlation
    clipped = Spectrum(np.maximum(spectrum.values, SMALLEST_EIGENVALUE), spectrum.vectors)
    return _unit_diagonal(clipped.power(1.0))


def spectrum_of(symmetric: Floats) -> Spectrum:
    """The eigenvalues and eigenvectors of a positive semi-definite matrix (n, n); what rounding made negative is 0."""
    values, vectors = np.linalg.eigh(symmetric)
    return Spectrum(np.maximum(values, 0.0), vectors)


def _unit_diagonal(products: Floats) -> Floats:
    sizes = np.sqrt(np.diag(products))
    sizes[sizes == 0.0] = 1.0
    scaled: Floats = products / np.outer(sizes, sizes)
    np.fill_diagonal(scaled, 1.0)
    return scaled


def _squared_norm(matrix: Floats) -> float:
    return float(np.add.reduce(matrix * matrix, axis=None))
