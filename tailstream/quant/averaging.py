"""The average of the methods: weights that follow the losses each of them made, and what they give together."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tailstream.quant.arrays import Floats
from tailstream.quant.var.estimate import Method

ID = "average"
ETA = 0.25
SHRINKAGE = 0.75
WINDOW = 250
STEP = 0.05
FEWEST_AVERAGED = 3

Figures = tuple[float | None, ...]


class Average(NamedTuple):
    """VaR and ES per level, in the order and unit of the members', positive = loss; and how they came about.

    When `status` is not `ok`, `reason` says why in a sentence, every figure is None and no weight is above 0.
    `members` (M,) tells who had figures, `weights` (M,) what each of them counted: they sum to 1. `dispersion` is the
    largest VaR over the smallest, None where the smallest is not positive. `equal_var` and `equal_es` are what equal
    weights would give.
    """

    status: str
    reason: str | None
    var: Figures
    es: Figures
    weights: Floats
    dispersion: Figures
    equal_var: Figures
    equal_es: Figures
    members: npt.NDArray[np.bool_]

    @classmethod
    def missing(cls, status: str, reason: str, members: npt.NDArray[np.bool_], levels: int) -> "Average":
        """No average at any level, and why."""
        none: Figures = (None,) * levels
        return cls(status, reason, none, none, np.zeros(members.size), none, none, none, members)


def members(methods: Mapping[str, Method]) -> tuple[str, ...]:
    """The ids of the methods that are averaged, in their order.

    What is noise around another member is not, and the average itself cannot be: each would count someone twice.
    Raises ValueError for a method that calls itself the average.
    """
    if ID in methods:
        raise ValueError(f"methods: expected none called {ID!r}, which is the average of the others")
    return tuple(name for name, method in methods.items() if method.averaged)


def next_weights(former: Floats | None, losses: Floats) -> Floats:
    """Weights (M,) for the next close from those of this one and FZ0 losses (T, M), oldest first, summed over levels.

    The target is the softmax of minus `ETA` times each member's losses summed over the last `WINDOW` closes, shrunk to
    equal weights by `SHRINKAGE`; weights move towards it, none by more than `STEP`. With fewer closes they are equal.

    A NaN is no loss: the member had no figure or its ES was not positive. At such a close the member is taken at the
    mean of those that have one, so that a gap earns and costs nothing and the others are still compared. A close at
    which nobody has a loss is skipped: give more than `WINDOW` rows for the last `WINDOW` others to be found.
    `former` is None at the first close (equal weights) and NaN for a member that is new (an equal share).
    """
    count = losses.shape[1]
    scored = losses[~np.isnan(losses).all(axis=1)][-WINDOW:]
    if scored.shape[0] < WINDOW:
        return _equal(count)
    weights = _equal(count) if former is None else _shares(np.where(np.isnan(former), 1.0 / count, former))
    towards = _target(scored) - weights
    furthest = float(np.max(np.abs(towards)))
    return _shares(weights + min(1.0, STEP / furthest) * towards if furthest > 0.0 else weights)


def average(weights: Floats, var: Floats, es: Floats, losses_seen: int, statuses: Sequence[str] = ()) -> Average:
    """Average VaR and ES (M, L) of the members, in one unit, by their `weights` (M,); NaN is a missing figure.

    A member with a figure missing is left out and the weights of the others renormalised. Of fewer than three the most
    conservative one is taken: the one whose ES, summed over the levels, is the largest.
    VaR and the spacing ES - VaR are combined with the same weights, which is to say ES is too: so neither leaves the
    range of the members', ES is no less than VaR, and both rise with the level as the members' do, to the last bit.

    Without any member's figure the answer has the common one of the members' `statuses`, `degraded` when they differ
    and `insufficient` when none are given. When no ES is positive and none of the `losses_seen` so far counted (FZ0
    losses of this book, whenever), there was nothing to tell the members apart by: `undefined`.
    """
    _expect_members(weights, var, es)
    present = np.logical_and.reduce(np.isfinite(var) & np.isfinite(es), axis=1)
    if not present.any():
        return Average.missing(_common(statuses), "no member has figures", present, var.shape[1])
    if losses_seen == 0 and np.max(es[present]) <= 0.0:
        return Average.missing("undefined", "no member ever saw a positive ES", present, var.shape[1])
    used = np.zeros(present.size)
    used[present] = _used(weights[present], es[present])
    equal = _equal(int(np.count_nonzero(present)))
    return Average(
        "ok",
        None,
        *_combined(used[present], var[present], es[present]),
        used,
        _dispersion(var[present]),
        *_combined(equal, var[present], es[present]),
        present,
    )


def _equal(count: int) -> Floats:
    return np.full(count, 1.0 / count)


def _shares(weights: Floats) -> Floats:
    """Weights that sum to 1, equal ones where all are 0."""
    total = float(np.add.reduce(weights))
    return weights / total if total > 0.0 else _equal(weights.size)


def _target(losses: Floats) -> Floats:
    """The softmax, shrunk. Losses are taken relative to their mean at each close, which changes no softmax."""
    relative = losses - np.nanmean(losses, axis=1, keepdims=True)
    scores = -ETA * np.add.reduce(np.where(np.isnan(relative), 0.0, relative), axis=0)
    softmax = _shares(np.exp(scores - np.max(scores)))
    target: Floats = (1.0 - SHRINKAGE) * softmax + SHRINKAGE / scores.size
    return target


def _used(weights: Floats, es: Floats) -> Floats:
    if weights.size >= FEWEST_AVERAGED:
        return _shares(weights)
    alone = np.zeros(weights.size)
    alone[np.argmax(np.add.reduce(es, axis=1))] = 1.0
    return alone


def _combined(weights: Floats, var: Floats, es: Floats) -> tuple[Figures, Figures]:
    combined_var, combined_es = _within(weights, var), _within(weights, es)
    return _figures(combined_var), _figures(np.maximum(combined_es, combined_var))


def _within(weights: Floats, figures: Floats) -> Floats:
    """Weighted sums of (M, L) over the members, one level by itself; rounding does not leave the members' range."""
    by_level = np.ascontiguousarray(figures.T)
    sums: Floats = np.add.reduce(by_level * weights, axis=1)
    return sums.clip(by_level.min(axis=1), by_level.max(axis=1))


def _dispersion(var: Floats) -> Figures:
    smallest, largest = var.min(axis=0), var.max(axis=0)
    with np.errstate(over="ignore"):
        ratios = largest / np.where(smallest > 0.0, smallest, np.nan)
    return _figures(ratios)


def _figures(values: Floats) -> Figures:
    """Minus zero becomes zero, and what is not finite None."""
    return tuple(value + 0.0 if np.isfinite(value) else None for value in values.tolist())


def _common(statuses: Sequence[str]) -> str:
    different = set(statuses)
    if len(different) > 1:
        return "degraded"
    return different.pop() if different else "insufficient"


def _expect_members(weights: Floats, var: Floats, es: Floats) -> None:
    if var.ndim != 2 or var.shape != es.shape:
        raise ValueError(f"es: expected the shape of var, members by levels {var.shape}, was {es.shape}")
    if weights.shape != var.shape[:1]:
        raise ValueError(f"weights: expected one for each of the {var.shape[0]} members, was {weights.shape}")
