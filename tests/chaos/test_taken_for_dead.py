"""A live process that has lost its connection is called gone. It loses nothing when it is back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.scenes import scene_on
from tests.support.services import Stack
from tests.support.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

KNOWN_S = 0.5
"""Time for the two processes to hear of each other."""
GONE = '"event": "a process is gone"'


@pytest.mark.parametrize("service", ["synth", "ws_bridge"])
async def test_a_live_process_behind_a_cut_link_loses_nothing(
    service: str, nats_server: NatsServer, tmp_path: Path, logs: Logs
) -> None:
    """The other process takes over in the middle of an utterance. OraServer gets it complete, once, in order."""
    proxy = TcpProxy(nats_server.port)
    await proxy.start()
    settings = {"TTS_AUDIO_MAX_BYTES": 256 << 20, "TTS_ENGINE_RTF": 0.5, "SYNTH_SLOTS": 2}
    stack = Stack(nats_server, tmp_path, logs, **settings)
    try:
        others = [name for name in ("synth", "ws_bridge") if name != service]
        await stack.start("oraserver", *others)
        (behind,) = await stack.start(service, NATS_URL=f"nats://127.0.0.1:{proxy.port}")
        async with scene_on(stack, service) as scene:
            await scene.ask("s", "r")
            await scene.until_received("r")
            (witness,) = await stack.start(service)
            await asyncio.sleep(KNOWN_S)
            proxy.cut()

            async def called_gone() -> bool:
                return GONE in logs[witness.name].read_text()

            await until(called_gone, "the other process to call it gone", timeout_s=10)
            proxy.heal()
            await scene.delivered("s", "r")
            await scene.ask("s", "r2")
            await scene.delivered("s", "r2")
            assert behind.running, "the process behind the cut link has died"
    finally:
        stack.kill()
        await proxy.stop()
