"""``python -m services.analytics``: one replica of analytics."""

from services.analytics.app import build
from services.analytics.settings import AnalyticsSettings
from tailstream.runtime.run import run

if __name__ == "__main__":
    run(build, AnalyticsSettings, name="analytics")
