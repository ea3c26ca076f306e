"""``python -m services.risk``: one replica of risk."""

from services.risk.app import build
from services.risk.settings import RiskSettings
from tailstream.runtime.run import run

if __name__ == "__main__":
    run(build, RiskSettings, name="risk")
