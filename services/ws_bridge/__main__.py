"""`python -m services.ws_bridge`: delivers audio to OraServer over WebSocket."""

from __future__ import annotations

import sys

from orastream.service import lifecycle
from services.ws_bridge.service import serve
from services.ws_bridge.settings import WsBridgeSettings

if __name__ == "__main__":
    sys.exit(lifecycle.run("ws_bridge", WsBridgeSettings, serve, about=__doc__))
