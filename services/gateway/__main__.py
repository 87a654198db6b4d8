"""`python -m services.gateway`: serves the HTTP API and `tts.speak`."""

from __future__ import annotations

import sys

from orastream.service import lifecycle
from services.gateway.service import serve
from services.gateway.settings import GatewaySettings

if __name__ == "__main__":
    sys.exit(lifecycle.run("gateway", GatewaySettings, serve, about=__doc__, serves_health=True))
