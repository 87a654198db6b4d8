"""A naive forwarder, for comparison: nats-py with `async for`, stdlib base64 and json, `websockets` with defaults.

`--tuned` replaces the event loop, base64 and json by uvloop, pybase64 and orjson.

A simple first version: a core subscription, one connection per session; each chunk is decoded, encoded and sent when it
arrives. No acks, no reconnect, no backfill. Prints `ready`, and on SIGTERM one JSON line with the CPU time used.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import resource
import signal
from collections.abc import Callable
from typing import Any

import msgpack
import nats
import orjson
import pybase64
import uvloop
import websockets

EXTENSIONS = {"wav": "wav", "pcm16": "pcm"}


class NaiveForwarder:
    """Forwards the messages of an audio subject to one WebSocket per session."""

    def __init__(self, ws_url: str, compression: str | None, text: str, *, tuned: bool) -> None:
        self.ws_url = ws_url
        self.compression = compression
        self.text = text
        self.chunks = 0
        self._base64: Callable[[bytes], bytes] = pybase64.b64encode if tuned else base64.b64encode
        self._json: Callable[[Any], str | bytes] = orjson.dumps if tuned else json.dumps
        self._connections: dict[str, websockets.ClientConnection] = {}
        self._starts: dict[str, dict[str, Any]] = {}

    async def run(self, nats_url: str, subject: str) -> None:
        """Forward messages until cancelled."""
        client = await nats.connect(nats_url)
        subscription = await client.subscribe(subject)
        await client.flush()
        print("ready", flush=True)
        async for message in subscription.messages:
            _, _, session, request = message.subject.split(".")
            await self._forward(session, request, msgpack.unpackb(message.data))

    async def _forward(self, session: str, request: str, audio: dict[str, Any]) -> None:
        connection = await self._connection(session)
        if audio["type"] == "start":
            self._starts[session] = audio
            return
        start = self._starts[session]
        metadata = {
            "sessionId": session,
            "requestId": request,
            "phoneId": f"phone-{session}",
            "text": self.text,
            "engine": start["engine"],
            "language": start["language"],
        }
        if audio["type"] == "chunk":
            frame = {
                "audioDataBase64": self._base64(audio["audio"]).decode(),
                "fileName": f"{request}.{EXTENSIONS[start['format']]}",
                "chunkIndex": audio["index"],
                "isFirst": audio["index"] == 0,
                "metadata": metadata,
            }
            self.chunks += 1
        else:
            frame = {"status": "complete", "totalChunks": audio["total_chunks"], "metadata": metadata}
        await connection.send(self._json(frame), text=True)

    async def _connection(self, session: str) -> websockets.ClientConnection:
        connection = self._connections.get(session)
        if connection is None:
            phone = f"phone-{session}"
            headers = {"phone-id": phone, "session-id": session}
            connection = await websockets.connect(self.ws_url, additional_headers=headers, compression=self.compression)
            await connection.send(json.dumps({"type": "init", "session_id": session, "phone_id": phone}))
            self._connections[session] = connection
        return connection


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nats", required=True)
    parser.add_argument("--ws", required=True)
    parser.add_argument("--subject", default="tts.audio.*.*")
    parser.add_argument("--compression", choices=("deflate", "none"), default="deflate", help="deflate is the default")
    parser.add_argument("--text", default="", help="the metadata's text")
    parser.add_argument("--tuned", action="store_true", help="with uvloop, orjson and pybase64")
    return parser.parse_args()


async def main(options: argparse.Namespace) -> None:
    """Run until SIGTERM, then print the CPU time."""
    compression = None if options.compression == "none" else "deflate"
    forwarder = NaiveForwarder(options.ws, compression, options.text, tuned=options.tuned)
    running = asyncio.create_task(forwarder.run(options.nats, options.subject))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({"cpu_seconds": used.ru_utime + used.ru_stime, "chunks": forwarder.chunks}), flush=True)


if __name__ == "__main__":
    given = arguments()
    (uvloop.run if given.tuned else asyncio.run)(main(given))
