"""What the methods that remake the scenarios of all instruments have in common."""

from collections.abc import Sequence

import numpy as np

from tailstream.quant.arrays import Floats
from tailstream.quant.var.estimate import Estimate, MarketMethod, Simulation, declined
from tailstream.quant.var.historical import Historical

SEED = 20_000
"""The seed for P&L that stands alone: figures from a file are the same every time."""

_EVERY_SCENARIO = Historical(minimum_observations=1)


def simulation_declined(returns: Floats, minimum: int) -> Simulation | None:
    """Why there are no scenarios of returns (n, T): fewer than `minimum` periods, or one that is not finite."""
    periods = returns.shape[1]
    if periods < minimum:
        return Simulation.missing("insufficient", f"needs {minimum} observations, has {periods}", returns.shape[0])
    refused = declined(returns.ravel(), (), 0)
    return Simulation.missing(refused.status, str(refused.reason), returns.shape[0]) if refused else None


def simulated_estimate(simulation: Simulation, pnl: Floats, levels: Sequence[float]) -> Estimate:
    """VaR and ES of P&L (S,) in made scenarios, as `Historical` has them, with the parameters of the simulation."""
    if simulation.status != "ok":
        return Estimate.missing(simulation.status, str(simulation.reason), levels)
    estimate = _EVERY_SCENARIO.estimate(pnl, levels)
    return estimate._replace(parameters=dict(simulation.parameters)) if estimate.status == "ok" else estimate


def estimate_alone(method: MarketMethod, pnl: Floats, levels: Sequence[float]) -> Estimate:
    """VaR and ES of P&L (S,), taken as the returns of a single instrument of which one is held."""
    simulation = method.simulate(np.ascontiguousarray(pnl)[None, :], SEED)
    return method.estimate_simulated(simulation, simulation.returns[0], levels)
