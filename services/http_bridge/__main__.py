"""`python -m services.http_bridge`: carries audio to OraServer as one POST per utterance."""

from __future__ import annotations

import sys

from orastream import lifecycle
from orastream.delivery.service import serve_bridge
from services.http_bridge.settings import HttpBridgeSettings
from services.http_bridge.sink import HttpSink, http_client


def serve(settings: HttpBridgeSettings) -> lifecycle.Serve:
    """The service, wired."""

    async def run(process: lifecycle.Process) -> None:
        async with http_client(settings) as client:
            sink = HttpSink(settings, client)
            await serve_bridge(settings, kind="http_bridge", transport="http", sink=sink, events={})(process)

    return run


if __name__ == "__main__":
    sys.exit(lifecycle.run("http_bridge", HttpBridgeSettings, serve))
