"""The methods of VaR that are in use, by what they need."""

from collections.abc import Mapping
from dataclasses import dataclass

from tailstream.quant.var import FittedMethod, MarketMethod, Method


@dataclass(frozen=True, slots=True)
class Methods:
    """All methods by id in publishing order; and those among them whose model is fitted, or is of the whole market."""

    all: Mapping[str, Method]
    fitted: Mapping[str, FittedMethod]
    market: Mapping[str, MarketMethod]

    @classmethod
    def of(cls, methods: Mapping[str, Method]) -> "Methods":
        """Sort ``methods``."""
        fitted = {name: method for name, method in methods.items() if isinstance(method, FittedMethod)}
        market = {name: method for name, method in methods.items() if isinstance(method, MarketMethod)}
        return cls(methods, fitted, market)

    @property
    def versions(self) -> dict[str, str]:
        """The version of each."""
        return {name: method.version for name, method in self.all.items()}

    @property
    def drawn_once(self) -> frozenset[str]:
        """Those whose scenarios serve until the next fit."""
        return frozenset(name for name, method in self.market.items() if not method.redrawn)
