"""`python -m services.http_bridge`: delivers each utterance to OraServer in one POST."""

from __future__ import annotations

import sys

from orastream.service import lifecycle
from services.http_bridge.service import serve
from services.http_bridge.settings import HttpBridgeSettings

if __name__ == "__main__":
    sys.exit(lifecycle.run("http_bridge", HttpBridgeSettings, serve, about=__doc__))
