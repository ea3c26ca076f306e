"""Settings of analytics, beside what every service has."""

from typing import Annotated

from pydantic import Field

from tailstream.runtime.settings import ClosingSettings


class AnalyticsSettings(ClosingSettings):
    """How performance is measured."""

    analytics_window: Annotated[int, Field(ge=2)] = 252
    """Returns in the window of every analyzer."""
    periods_per_year: Annotated[float, Field(gt=0)] = 252.0
