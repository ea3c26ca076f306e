"""``python -m services.gateway``: one replica in the foreground, until SIGTERM."""

from services.gateway.app import build
from services.gateway.settings import GatewaySettings
from tailstream.runtime.run import run

if __name__ == "__main__":
    run(build, GatewaySettings, name="gateway")
