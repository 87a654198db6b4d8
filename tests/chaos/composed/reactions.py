"""Faults that wait for what the node does: they hit the moment after another process has taken over."""

from __future__ import annotations

import asyncio
import contextlib
import time

import msgpack

from orastream.broker import Headers
from tests.chaos.composed.history import Disturbance
from tests.chaos.composed.node import Node
from tests.chaos.composed.schedule import Fault

TAKEOVER_S = 12.0
"""How long to wait for another process to take over."""
HANDOVER_DELAY_S = 0.12
SLOW_LINK_S = 0.6
BLIND_S = 3.0


async def handover(node: Node, fault: Fault, record: Disturbance) -> None:
    """Hold up a bridge until another one has taken a session and begins to write. Then hold up that one, and let
    the first one's reports through that it had sent meanwhile.
    """
    first = fault.target
    service = node.processes[first].service
    others = [name for name, process in node.processes.items() if process.service == service and name != first]
    links = [proxy for name in others for proxy in node.nats[name]]
    loop = asyncio.get_running_loop()
    node.ora[first].delay(SLOW_LINK_S)  # so that it has audio to write when NATS is away
    try:
        await asyncio.sleep(1.5)
        for proxy in node.nats[first]:
            proxy.hold()
        for proxy in links:
            proxy.delay(HANDOVER_DELAY_S)
        for name in others:
            node.ora[name].delay(SLOW_LINK_S / 2)
        await asyncio.sleep(2.5)  # no session is taken before the heartbeat has expired
        since, deadline = time.time(), loop.time() + TAKEOVER_S
        while loop.time() < deadline and not _writes_anew(node, others, since):
            await asyncio.sleep(0.01)
        if loop.time() < deadline:
            record.detail = "taken over"
        else:
            record.detail = record.failed = "nobody took over"
        for proxy in links:
            proxy.hold()
        for proxy in node.nats[first]:
            proxy.heal()
        await asyncio.sleep(BLIND_S)
    finally:
        for name in [first, *others]:
            node.ora[name].delay(0.0)
        for proxy in [*links, *node.nats[first]]:
            proxy.delay(0.0)
            proxy.heal()


def _writes_anew(node: Node, bridges: list[str], since: float) -> bool:
    """Whether one of these bridges has written on a connection that is younger than `since`: `init` and a chunk."""
    for name in bridges:
        for connection in reversed(node.ora[name].connections):
            if connection.opened_at < since:
                break
            if len(getattr(connection.tap, "times", [])) >= 2:
                return True
    return False


async def relay(node: Node, fault: Fault, record: Disturbance) -> None:
    """Stop a synth until another one has begun its requests, let it go on, and kill the other one."""
    first = node.processes[fault.target]
    others = [name for name, process in node.processes.items() if process.service == "synth" and process is not first]
    taken = asyncio.Event()

    def on_audio(_subject: str, _reply: str, data: bytes, headers: Headers) -> None:
        if len(data) < 400 and headers.get("Nats-Last-Sequence") not in (None, "0"):
            if msgpack.unpackb(data).get("type") == "start":
                taken.set()

    async with contextlib.AsyncExitStack() as stack:
        for name in [fault.target, *others]:
            await stack.enter_async_context(node.locks[name])
        broker = await stack.enter_async_context(node.connected())
        await broker.subscribe("tts.audio.>", on_audio)
        first.freeze()
        try:
            async with asyncio.timeout(TAKEOVER_S):
                await taken.wait()
            record.detail = "taken over"
            await asyncio.sleep(0.3)
        except TimeoutError:
            record.detail = record.failed = "nobody took over"
        finally:
            first.thaw()
        await asyncio.sleep(0.6)
        for name in others:
            node.processes[name].kill()
        await asyncio.sleep(0.5)
        for name in others:
            node.processes[name].launch()
