"""`python -m services.http_bridge`: carries audio to OraServer as one POST per utterance."""

from __future__ import annotations

import sys

from orastream.service import lifecycle
from services.http_bridge.service import serve
from services.http_bridge.settings import HttpBridgeSettings

if __name__ == "__main__":
    sys.exit(lifecycle.run("http_bridge", HttpBridgeSettings, serve))
