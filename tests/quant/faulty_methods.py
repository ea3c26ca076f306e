"""Methods with one fault each, and honest ones of every kind to compare with: what the kits have to tell apart."""

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tailstream.quant.arrays import Floats
from tailstream.quant.var import Estimate, Fit, Historical, Normal, Simulation
from tailstream.quant.var.estimate import declined
from tailstream.testing.var_method import moved

Levels = Sequence[float]


class Honest(Historical):
    """Nothing is wrong with it."""


class WrongSign(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return moved(super().estimate(pnl, levels), times=-1.0)


class ShortfallBelowVar(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate(pnl, levels)
        return found._replace(es=moved(found, times=0.9).var)


class CrossingLevels(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate(pnl, levels)
        return found._replace(var=found.var[::-1])


class SumsTheTail(Historical):
    """By `ceil((1 - c) n)` in floating point and a plain mean, it falls behind VaR's own tail."""

    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate(pnl, levels)
        return found if found.status != "ok" else found._replace(es=tuple(_mean_at(pnl, level) for level in levels))


def _mean_at(pnl: Floats, level: float) -> float:
    return -float(np.mean(pnl[pnl <= np.quantile(pnl, 1.0 - level * 0.99)]))


class NanForNan(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        if np.isnan(pnl).any():
            return Estimate.of({}, [float("nan")] * len(levels), [float("nan")] * len(levels))
        return super().estimate(pnl, levels)


class FillsGaps(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate(np.nan_to_num(pnl, nan=0.0, posinf=0.0, neginf=0.0), levels)


class ZeroForTooFew(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate(pnl, levels)
        nothing = [0.0] * len(levels)
        return Estimate.of({}, nothing, nothing) if found.status == "insufficient" else found


class OtherBitsEachTime(Historical):
    _calls = itertools.count()

    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return moved(super().estimate(pnl, levels), times=1.0 + 1e-12 * next(self._calls))


class Remembers(Historical):
    _worst: list[float] = []  # noqa: RUF012  it is the fault

    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate(pnl, levels)
        if found.status != "ok":
            return found
        self._worst.append(float(np.abs(pnl).max()))
        return moved(found, by=1e-9 * max(self._worst))


class AbsoluteFloor(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate(pnl, levels)
        floored = [tuple(None if x is None else max(x, 1e-4) for x in each) for each in (found.var, found.es)]
        return found._replace(var=floored[0], es=floored[1])


class LeavesOutTheMean(Normal):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate(pnl - pnl.mean() if pnl.size else pnl, levels)


class SortsInPlace(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        pnl.sort()
        return super().estimate(pnl, levels)


class SortsLevels(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate(pnl, sorted(levels))


class TakesAnyLevel(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate(pnl, np.clip(np.nan_to_num(levels), 0.01, 0.99).tolist())


class NumpyNumbers(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate(pnl, levels)
        return found if found.status != "ok" else found._replace(var=tuple(map(np.float32, found.var)))


class MinusZero(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate(pnl, levels)
        return found._replace(var=tuple(-0.0 if x == 0.0 else x for x in found.var))


class GivesNoReason(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate(pnl, levels)._replace(reason=None)


class InventsAStatus(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate(pnl, levels)
        return found if found.status == "ok" else found._replace(status="failed")


class FiguresBesideAStatus(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate(pnl, levels)
        return found._replace(status="degraded", reason="a day was below -100 %") if (pnl <= -1).any() else found


class Warns(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        np.array([np.std(pnl) if pnl.size else 0.0]) / np.float64(np.ptp(pnl) if pnl.size else 0.0)
        return super().estimate(pnl, levels)


class BurnsTime(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
        return super().estimate(pnl, levels)


class HasNoVersion(Historical):
    version: Any = None


class LosesTheFarTail(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate(pnl, levels)
        near = [var if level < 0.999 else None for var, level in zip(found.var, levels, strict=True)]
        return found._replace(var=tuple(near), es=tuple(near), reason="the tail is too far out")


class TakesLossesForGains(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate(-pnl, levels)


class CountsTheTailInFloatingPoint(Historical):
    """`ceil((1 - 0.95) * 300)` is 16: one loss more than the 15 that it divides by."""

    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found, losses = super().estimate(pnl, levels), np.sort(-pnl)[::-1]
        if found.status != "ok":
            return found
        masses = [(1.0 - level) * pnl.size for level in levels]
        return found._replace(es=tuple(float(losses[: math.ceil(mass)].sum() / round(mass, 9)) for mass in masses))


class LosesADegreeOfFreedom(Normal):
    """As many observations as it needs are one too few for its arithmetic."""

    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate(pnl, levels)
        return moved(found, times=math.nan) if pnl.size == self.minimum_observations else found


class AddsACushion(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return moved(super().estimate(pnl, levels), times=1.01)


class AsksForALevel(Historical):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate(pnl, levels) if max(levels) else super().estimate(pnl, ())


# fitted


class Fitted(Normal):
    """The normal method with a tail as heavy as the sample's: the shape is the worst loss in standard deviations."""

    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        refused = declined(pnl, (), self.minimum_observations)
        if refused:
            return Fit.missing(refused.status, refused.reason or "")
        spread = float(np.std(pnl))
        return Fit.of({"ratio": float(pnl.mean() - pnl.min()) / spread if spread > 1e-12 * abs(pnl.mean()) else 0.0})

    def estimate_with(self, fit: Fit, pnl: Floats, levels: Levels) -> Estimate:
        refused = declined(pnl, levels, self.minimum_observations)
        if refused or fit.status != "ok":
            return refused or Estimate.missing(fit.status, fit.reason or "", levels)
        plain, centre = super().estimate(pnl, levels), float(pnl.mean())
        return moved(moved(plain, by=centre), times=0.2 * fit.parameters["ratio"], by=-centre)

    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return self.estimate_with(self.fit(pnl), pnl, levels)


class SticksToItsStart(Fitted):
    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        return super().fit(pnl) if start is None else Fit.of(start)


class ShapeWithAUnit(Fitted):
    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        found = super().fit(pnl)
        return Fit.of({"ratio": 100.0 * float(np.std(pnl))}) if found.status == "ok" else found


class IgnoresTheFit(Fitted):
    def estimate_with(self, fit: Fit, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate_with(self.fit(pnl) if fit.status == "ok" else fit, pnl, levels)


class PublishesRounded(Fitted):
    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        found = super().fit(pnl)
        return Fit.of({"ratio": round(found.parameters["ratio"], 3)}) if found.status == "ok" else found

    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return self.estimate_with(super().fit(pnl), pnl, levels)


class LosesTheReason(Fitted):
    def estimate_with(self, fit: Fit, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate_with(self.fit(pnl) if fit.status != "ok" else fit, pnl, levels)


class FitsNaN(Fitted):
    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        found = super().fit(pnl)
        return Fit.of({"ratio": math.nan}) if found.parameters.get("ratio") == 0.0 else found


class FitsGaps(Fitted):
    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        return super().fit(np.nan_to_num(pnl, nan=0.0, posinf=0.0, neginf=0.0))


class EstimatesItsOwnWay(Fitted):
    def estimate(self, pnl: Floats, levels: Levels) -> Estimate:
        return moved(super().estimate(pnl, levels), times=1.001)


class LeansOnItsStart(Fitted):
    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        found = super().fit(pnl)
        if start is None or found.status != "ok":
            return found
        return Fit.of({"ratio": 0.99 * found.parameters["ratio"] + 0.01 * start["ratio"]})


class KeepsTheMeanOfTheFit(Fitted):
    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        found = super().fit(pnl)
        return Fit.of({**found.parameters, "mean": float(pnl.mean())}) if found.status == "ok" else found

    def estimate_with(self, fit: Fit, pnl: Floats, levels: Levels) -> Estimate:
        found = super().estimate_with(fit, pnl, levels)
        return moved(found, by=float(pnl.mean()) - fit.parameters["mean"]) if found.status == "ok" else found


class SortsWhatItFits(Fitted):
    def fit(self, pnl: Floats, start: Mapping[str, float] | None = None) -> Fit:
        pnl.sort()
        return super().fit(pnl)


# of all instruments


class Bootstrap(Historical):
    """Days of the past drawn again; the number of draws is its parameter."""

    redrawn = True
    draws = 2_000

    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        if returns.shape[1] < self.minimum_observations:
            return Simulation.missing("insufficient", "needs more periods", returns.shape[0])
        if not np.isfinite(returns).all():
            return Simulation.missing("undefined", "a return is not finite", returns.shape[0])
        draws = np.random.default_rng(self.seed_of(seed)).integers(returns.shape[1], size=self.draws)
        return Simulation.of({"draws": float(self.draws)}, returns[:, draws])

    def seed_of(self, seed: int) -> int | None:
        return seed

    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Levels) -> Estimate:
        if simulation.status != "ok":
            return Estimate.missing(simulation.status, simulation.reason or "", levels)
        return super().estimate(pnl, levels)


class DrawsByTheClock(Bootstrap):
    def seed_of(self, seed: int) -> int | None:
        return None


class IgnoresTheSeed(Bootstrap):
    def seed_of(self, seed: int) -> int | None:
        return 0


class FillsMissingReturns(Bootstrap):
    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        return super().simulate(np.nan_to_num(returns, nan=0.0, posinf=0.0, neginf=0.0), seed, fitted)


class OneRowForAll(Bootstrap):
    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        return super().simulate(np.tile(returns[:1], (len(returns), 1)), seed, fitted)


class RefittedIsAnother(Bootstrap):
    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        return super().simulate(returns, seed if fitted is None else seed + 1)


class LosesTheSimulationsReason(Bootstrap):
    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Levels) -> Estimate:
        return self.estimate(pnl, levels)


class LeavesOutWhatStandsStill(Bootstrap):
    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        return super().simulate(returns[np.ptp(returns, axis=1) > 0.0] if returns.size else returns, seed)


class ForgetsTheOldest(Bootstrap):
    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        return super().simulate(returns[:, 1:], seed)


class DrawsFromFew(Bootstrap):
    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        return super().simulate(np.resize(returns, (len(returns), self.minimum_observations)), seed)


class BurnsTimeSimulating(Bootstrap):
    def simulate(self, returns: Floats, seed: int, fitted: Mapping[str, float] | None = None) -> Simulation:
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
        return super().simulate(returns, seed)


class LeavesOutTheMeanOfABook(Bootstrap):
    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate_simulated(simulation, pnl - pnl.mean() if pnl.size else pnl, levels)


class AbsoluteFloorOfABook(Bootstrap):
    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate_simulated(simulation, np.minimum(pnl, -1e-4), levels)


class WrongSignOfABook(Bootstrap):
    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Levels) -> Estimate:
        return moved(super().estimate_simulated(simulation, pnl, levels), times=-1.0)


class AddsACushionToABook(Bootstrap):
    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Levels) -> Estimate:
        return moved(super().estimate_simulated(simulation, pnl, levels), by=0.001)


class FillsABook(Bootstrap):
    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate_simulated(simulation, np.nan_to_num(pnl), levels)


class TakesAnyLevelOfABook(Bootstrap):
    def estimate_simulated(self, simulation: Simulation, pnl: Floats, levels: Levels) -> Estimate:
        return super().estimate_simulated(simulation, pnl, np.clip(np.nan_to_num(levels), 0.01, 0.99).tolist())
