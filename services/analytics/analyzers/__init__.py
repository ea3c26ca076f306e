"""The analyzers: plug-ins that turn one portfolio's window into named figures. One file each."""

from collections.abc import Mapping
from types import MappingProxyType

from services.analytics.analyzers.basic import Basic
from services.analytics.analyzers.drawdown import Drawdown
from services.analytics.analyzers.returns import Returns
from services.analytics.analyzers.risk import Risk
from services.analytics.analyzers.window import MINIMUM_COVERAGE, Analyzer, Window

ANALYZERS: Mapping[str, Analyzer] = MappingProxyType(
    {analyzer.name: analyzer for analyzer in (Basic(), Returns(), Risk(), Drawdown())}
)
"""In publishing order."""

__all__ = ["ANALYZERS", "MINIMUM_COVERAGE", "Analyzer", "Window"]
