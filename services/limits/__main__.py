"""``python -m services.limits``: one replica of the limits service."""

from services.limits.app import build
from services.limits.settings import LimitsSettings
from tailstream.runtime.run import run

if __name__ == "__main__":
    run(build, LimitsSettings, name="limits")
