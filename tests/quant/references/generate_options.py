"""Write the reference prices of options: `python -m tests.quant.references.generate_options`.

Needs what the tests do not: `pip install QuantLib`. `years` go in as they are, without a calendar.
"""

import csv
import importlib.metadata
import itertools
import math
from pathlib import Path

import QuantLib

HERE = Path(__file__).parent
CALL = "BlackCalculator(PlainVanillaPayoff(right, strike), forward, volatility * sqrt(years), exp(-rate * years))"
CONVENTION = "forward = spot * exp((rate - dividend_yield) * years); value(), delta(spot), gamma(spot)"
RIGHTS = {"call": QuantLib.Option.Call, "put": QuantLib.Option.Put}
CASES = [
    # spot, strike, years, volatility, rate, dividend yield
    (100.0, 100.0, 1.0, 0.2, 0.05, 0.0),
    (100.0, 100.0, 1.0, 0.2, 0.05, 0.07),
    (42.0, 40.0, 0.5, 0.2, 0.1, 0.0),  # Hull, Options, Futures and Other Derivatives: 4.76 and 0.81
    (930.0, 900.0, 2 / 12, 0.2, 0.08, 0.03),  # Hull: 51.83 for the call
    (100.0, 250.0, 0.25, 0.35, 0.01, 0.02),
    (100.0, 30.0, 0.25, 0.35, 0.01, 0.02),
    (1e-4, 1.1e-4, 3.0, 0.9, -0.01, 0.0),
    (1.2e6, 1.1e6, 1 / 365, 0.15, 0.03, 0.0),
    (100.0, 101.0, 30.0, 0.6, 0.04, 0.01),
    (100.0, 100.0, 1.0, 3.0, 0.0, 0.0),
]


def row(right: str, case: tuple[float, ...]) -> dict[str, object]:
    """One option's terms and figures."""
    spot, strike, years, volatility, rate, dividend_yield = case
    forward = spot * math.exp((rate - dividend_yield) * years)
    payoff = QuantLib.PlainVanillaPayoff(RIGHTS[right], strike)
    peer = QuantLib.BlackCalculator(payoff, forward, volatility * math.sqrt(years), math.exp(-rate * years))
    return {
        "right": right,
        "spot": spot,
        "strike": strike,
        "years": years,
        "volatility": volatility,
        "rate": rate,
        "dividend_yield": dividend_yield,
        "price": peer.value(),
        "delta": peer.delta(spot),
        "gamma": peer.gamma(spot),
        "package": "QuantLib",
        "version": importlib.metadata.version("QuantLib"),
        "call": CALL,
        "convention": CONVENTION,
    }


def main() -> None:
    """Write options.csv beside this file."""
    rows = [row(right, case) for case, right in itertools.product(CASES, RIGHTS)]
    with (HERE / "options.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
