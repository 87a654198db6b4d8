"""A live process that has lost its connection is called gone, and another one takes over. Nothing is lost."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orastream.broker import Broker, Headers
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioStart, unpack
from orastream.jetstream.api import JetStream
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.scenes import Scene, scene_on
from tests.support.services import Stack
from tests.support.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

GONE = '"event": "a process is gone"'


@pytest.mark.parametrize("service", ["synth", "ws_bridge"])
async def test_a_live_process_behind_a_cut_link_loses_nothing(
    service: str, nats_server: NatsServer, broker: Broker, tmp_path: Path, logs: Logs
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
        async with scene_on(stack, service) as scene, beacons(broker, service) as heard:
            await scene.ask("s", "r")
            await scene.until_received("r")
            before = await owner_number(broker, scene, service)
            (witness,) = await stack.start(service)

            async def known() -> bool:
                second = next((at for at, name in enumerate(heard) if name != heard[0]), None)
                return second is not None and heard[0] in heard[second:]

            await until(known, "the two processes know each other")
            proxy.cut()

            async def called_gone() -> bool:
                return GONE in logs[witness.name].read_text()

            async def taken_over() -> bool:
                return await owner_number(broker, scene, service) > before

            await until(called_gone, "the other process calls it gone")
            await until(taken_over, "the other process has taken over", timeout_s=20)
            proxy.heal()
            await scene.delivered("s", "r")
            await scene.ask("s", "r2")
            await scene.delivered("s", "r2")
            assert behind.running, "the process behind the cut link has died"
    finally:
        stack.kill()
        await proxy.stop()


@contextlib.asynccontextmanager
async def beacons(broker: Broker, service: str) -> AsyncIterator[list[str]]:
    """The names of the processes of a service in the order of their beacons.

    Each process hears the beacons of the others from before its own first one on.
    """
    names: list[str] = []

    def on_beacon(_subject: str, _reply: str, data: bytes, _headers: Headers) -> None:
        names.append(json.loads(data)["name"])

    subscription = await broker.subscribe(NAMES.peers(service), on_beacon)
    try:
        yield names
    finally:
        await subscription.close()


async def owner_number(broker: Broker, scene: Scene, service: str) -> int:
    """Higher after a takeover of the request: the number of attempts of synths, or the epoch of the bridge."""
    session, request = scene.id("s"), scene.id("r")
    if service == "ws_bridge":
        report = await scene.client.report(session, request)
        return report.epoch if report is not None else 0
    subject = NAMES.audio(subjects.token(session), subjects.token(request))
    starts, after = 0, 0
    while page := await JetStream(broker).read(NAMES.audio_stream, subject, after):
        starts += sum(isinstance(unpack(message.data), AudioStart) for message in page)
        after = page[-1].sequence
    return starts
