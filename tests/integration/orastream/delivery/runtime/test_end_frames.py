"""The end frame of an utterance that this bridge has not delivered: what it contains is looked up in the stream."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from orastream.contract.audio_messages import AudioChunk, AudioStart, AudioWaiting
from orastream.delivery.rules.entry import Entry
from orastream.delivery.runtime.background import Background
from orastream.delivery.runtime.end_frames import LOOK_BATCH, EndFrames
from orastream.delivery.runtime.links import Links
from orastream.jetstream.api import JetStream
from orastream.tls import ORASERVER, ClientTls, TlsFiles
from services.ws_bridge.settings import WsBridgeSettings
from services.ws_bridge.sink import WebSocketSink
from tests.support.ending import store_request
from tests.support.names import NAMES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


async def test_the_text_is_found_behind_many_signs_of_life(js: JetStream) -> None:
    """A text stream that waits long has many `waiting` messages before its first chunk."""
    stored = await store_request(js)
    put = NAMES.put_audio("s", stored.token)
    start = await js.store(put, AudioStart(stored.sequence, "wav", 22_050, 1, "espeak", "ko-KR").pack())
    for _ in range(3 * LOOK_BATCH):
        await js.store(put, AudioWaiting(start.sequence).pack())
    await js.store(put, AudioChunk(start.sequence, 0, 0, 0, b"ab", "네.").pack())
    frames: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receive(connection: ServerConnection) -> None:
        async for frame in connection:
            frames.put_nowait(json.loads(frame))

    async with serve(receive, "127.0.0.1", 0) as listening, asyncio.timeout(20):
        url = f"ws://127.0.0.1:{next(iter(listening.sockets)).getsockname()[1]}/"
        settings = WsBridgeSettings(_env_file=None, oraserver_websocket_url=url, websocket_end_frames=True)  # type: ignore[call-arg]
        links = Links(WebSocketSink(settings, ClientTls(TlsFiles(ORASERVER))), lambda: None)
        async with asyncio.TaskGroup() as group:
            ends = EndFrames(js, links, Background(group, lambda: None), None, lambda: True)
            ends.find(Entry(stored, 0.0), "cancelled", with_rate=False)
            assert (await frames.get())["type"] == "init"
            frame = await frames.get()
        await links.close()
    assert (frame["status"], frame["metadata"]["text"]) == ("cancelled", "네.")
