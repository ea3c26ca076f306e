"""What follows from other published figures: fitted methods from their parameters, the average from its members."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm, t
from tails import LEVELS, TAILS, Tail

Parameters = Mapping[str, float]
Levels = dict[str, Tail]

UNDEFINED = (math.nan, math.nan)
NORMAL_FROM_DF = 200
ETA, KEPT_EQUAL, LOSSES_MIN, STEP_MAX = 0.25, 0.75, 250, 0.05
MEMBERS_MIN = 3


def student_t(p: Parameters, tail: float) -> Tail:
    """-(loc + scale t^-1(1-c)); ES -loc + scale f(q)/(1-c) (df + q^2)/(df - 1), none for df <= 1."""
    df, law = p["df"], norm if p["df"] > NORMAL_FROM_DF else t(p["df"])
    q = law.ppf(tail)
    spread = 1.0 if df > NORMAL_FROM_DF else (df + q * q) / (df - 1) if df > 1 else math.nan
    return -(p["loc"] + p["scale"] * q), -p["loc"] + p["scale"] * law.pdf(q) / tail * spread


def garch(p: Parameters, tail: float) -> Tail:
    """The t of variance 1, scaled to the volatility of tomorrow around a constant mean."""
    unit = p["sigma_next"] * math.sqrt((p["df"] - 2) / p["df"])
    q = t.ppf(tail, p["df"])
    es = t.pdf(q, p["df"]) / tail * (p["df"] + q * q) / (p["df"] - 1)
    return -(p["mu"] + unit * q), -p["mu"] + unit * es


def extreme_value(p: Parameters, tail: float, observations: int) -> Tail:
    """VaR u + b/x (((n/N_u)(1-c))^-x - 1); ES VaR/(1-x) + (b - x u)/(1-x), none for x >= 1."""
    u, b, x = p["threshold"], p["scale"], p["shape"]
    part = observations / p["exceedances"] * tail
    if part >= 1:
        return UNDEFINED
    var = u + (b / x * (part**-x - 1) if x else -b * math.log(part))
    return var, (var + b - x * u) / (1 - x) if x < 1 else math.nan


def by_parameters(methods: Mapping[str, Any], observations: int) -> dict[str, Levels]:
    """VaR and ES of the fitted methods; NaN where one was not fitted. ``observations`` of the window of fits."""
    laws = {
        "student_t": student_t,
        "garch": garch,
        "extreme_value": lambda p, tail: extreme_value(p, tail, observations),
    }
    return {
        name: {
            level: law(p, float(tail)) if (p := methods[name]["parameters"]) else UNDEFINED
            for level, tail in TAILS.items()
        }
        for name, law in laws.items()
    }


def tails_of(methods: Mapping[str, Any], names: Sequence[str]) -> np.ndarray:
    """VaR and ES (methods, levels, 2) as published, NaN where there is none."""
    published = (methods[name]["levels"][level] for name in names for level in LEVELS)
    found = np.array([(tail["var"], tail["es"]) for tail in published], dtype=float)
    return found.reshape(len(names), len(LEVELS), 2)


def averaged(members: np.ndarray, weights: np.ndarray, losses: int) -> dict[str, Any] | None:
    """The average of members (M, levels, 2) and how it came about; None where there is nothing to average.

    Members without a figure are left out and the weights of the others renormalised; of fewer than three the one of
    the largest ES counts alone.
    """
    there = np.isfinite(members).all(axis=(1, 2))
    if not there.any() or (losses == 0 and members[there, :, 1].max() <= 0):
        return None
    kept, used = members[there], weights[there] / weights[there].sum()
    if len(kept) < MEMBERS_MIN:
        used = np.eye(len(kept))[kept[:, :, 1].sum(axis=1).argmax()]
    smallest, largest = kept[:, :, 0].min(axis=0), kept[:, :, 0].max(axis=0)
    return {
        "average": np.tensordot(used, kept, axes=1),
        "equal": kept.mean(axis=0),
        "dispersion": [most / least if least > 0 else math.nan for least, most in zip(smallest, largest, strict=True)],
        "weights": dict(zip(np.flatnonzero(there).tolist(), used.tolist(), strict=True)),
    }


def next_weights(former: np.ndarray | None, losses: np.ndarray) -> np.ndarray:
    """Weights (M,) after losses (closes, M), oldest first, NaN where a member has none.

    Towards the softmax of minus eta times the losses of the last 250 closes at which somebody has one, shrunk to equal
    weights; no weight by more than a step. Whoever has no loss at such a close is taken at the mean of the others.
    """
    count = losses.shape[1]
    equal, told = np.full(count, 1 / count), losses[np.isfinite(losses).any(axis=1)][-LOSSES_MIN:]
    if len(told) < LOSSES_MIN:
        return equal
    beside = told - np.nanmean(told, axis=1, keepdims=True)
    scores = np.exp(-ETA * (total := np.nansum(beside, axis=0)) + ETA * total.min())
    delta = KEPT_EQUAL * equal + (1 - KEPT_EQUAL) * scores / scores.sum() - (equal if former is None else former)
    return (equal if former is None else former) + min(1.0, STEP_MAX / np.abs(delta).max()) * delta
