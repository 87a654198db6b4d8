"""A node for callers who read the audio themselves (`transport: "none"`). It has no OraServer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.nats_accounts import AccountServer
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs
from tests.support.services import Stack

RTF = 0.2
"""Seconds of synthesis per second of speech: slow enough to interrupt it, faster than playback."""


@contextlib.contextmanager
def speech_node(folder: Path, logs: Logs, *, accounts: bool = False) -> Iterator[Stack]:
    """Run nats-server, a synth, and a bridge, which ends requests that no synth takes; kills them at the end.

    With `accounts` the server has those of `init-auth`, and a gateway reads for callers.
    """
    limits: dict[str, object] = {"TTS_AUDIO_MAX_BYTES": 256 << 20}
    if accounts:
        server: NatsServer = (guarded := AccountServer(folder, logs, {"shop": None}))
        stack = Stack(server, folder, logs, credentials=guarded.env, **limits)
    else:
        server = NatsServer(folder, logs)
        stack = Stack(server, folder, logs, **limits)

    async def start() -> None:
        await server.start()
        await stack.start("synth", TTS_ENGINE_RTF=RTF, TTS_PHRASE_CACHE=False, SYNTH_SLOTS=2)
        await stack.start("ws_bridge", *(["gateway"] if accounts else []))

    try:
        asyncio.run(start())
        yield stack
    finally:
        stack.kill()
        server.kill()
