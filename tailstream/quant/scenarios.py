"""Scenarios: what the holdings of today would have gained on the returns of former days."""

import numpy as np

from tailstream.quant.arrays import Floats


def scenario_pnl(exposures: Floats, returns: Floats) -> Floats:
    """P&L of one book in each scenario, shape (S,), gains positive, in the currency of the exposures.

    `exposures` (n,) signed; `returns` (n, S) C-contiguous, oldest first, in the same order of instruments. One fixed
    reduction over the instruments: the same bits whatever is measured beside it, which a matrix product does not
    promise. A NaN return makes its scenario NaN: leave instruments without a full history out.
    Raises ValueError when the instruments of the two differ in number.
    """
    _same_instruments(exposures, returns)
    pnl: Floats = np.add.reduce(exposures[:, None] * returns, axis=0)
    return pnl


def scenario_pnl_live(exposures: Floats, returns: Floats, out: Floats | None = None) -> Floats:
    """P&L of P books in S scenarios, (P, n) x (n, S) -> (P, S), by one BLAS product: **live figures only**.

    Its last bits depend on the shape of the block. `out` (P, S), when given, is filled and returned.
    """
    _same_instruments(exposures, returns)
    return np.matmul(exposures, returns, out=out)


def compound_currency(local: Floats, fx: Floats) -> Floats:
    """Returns in the base currency, `(1 + r)(1 + f) - 1`, of local returns and returns of their currency in base.

    Shapes broadcast, (n, S) with (S,) or (n, S). Written `r + f + r f`, so that f = 0 changes no bit.
    """
    compounded: Floats = local + fx + local * fx
    return compounded


def simple_returns(prices: Floats, horizon: int = 1) -> Floats:
    """Simple returns (n, T - h) over `horizon` h periods, `price_t / price_(t-h) - 1`, of prices (n, T), oldest first.

    Those over more than one period overlap. NaN where either end is missing (never filled); a price that is NaN,
    infinite, zero or negative is missing. Raises ValueError when the horizon is less than one period.
    """
    if horizon < 1:
        raise ValueError(f"horizon: expected at least 1 period, was {horizon}")
    known = np.where((prices > 0.0) & (prices < np.inf), prices, np.nan)
    before = known[:, :-horizon]
    changes: Floats = known[:, horizon:] - before
    changes /= before
    return changes


def _same_instruments(exposures: Floats, returns: Floats) -> None:
    held, known = exposures.shape[-1], returns.shape[0]
    if held != known:
        raise ValueError(f"returns: expected one row for each of the {held} exposures, got {known}")
