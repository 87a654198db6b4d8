"""Many messages that are no requests, from somebody who may publish: the node is ready again soon, and goes on."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from tests.support.processes import Logs, until
from tests.support.raw_nats import pub, send
from tests.support.scenes import running_node, scene_on
from tests.support.services import Stack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

COUNT = int(os.environ.get("FLOOD", "6000"))
"""With FLOOD=50000 it is the flood that once left bridges unready for minutes."""
BATCH = 500
READY_S = 15.0


def hostile(number: int, draw: random.Random) -> bytes:
    """One message to a subject of the node: odd ids, odd bytes, odd fields, copied headers."""
    session = draw.choice((f"h{number % 300}", f"h{number}", "한글", "a" * 200, "~", "x%20y"))
    request = f'"sessionId":"{session}","phoneId":"p","requestId":"r{number}"'
    body = draw.choice(
        (
            b"",
            b"\xff" * 300,
            b"[" * 2000,
            b'{"text":"a"}',
            b'{"text":1e999,' + request.encode() + b"}",
            b'{"text":"hello","ttlSeconds":-1,' + request.encode() + b"}",
            b'{"text":"hello","transport":"carrier pigeon",' + request.encode() + b"}",
            b'{"text":"' + b"x" * 20_000 + b'",' + request.encode() + b"}",
        )
    )
    subject = draw.choice(
        ("tts.request.{}", "tts.request.{}", "tts.cancel.{}", "tts.put.report.{}.r1", "tts.put.audio.{}.r1")
    )
    block = draw.choice((None, None, b"NATS/1.0\r\nNats-Sequence: 1\r\nNats-Subject: tts.request.a\r\n\r\n"))
    return pub(subject.format(session).encode(), body, block=block)


def test_services_are_ready_soon_after_a_flood_of_hostile_messages(tmp_path: Path, logs: Logs) -> None:
    """And they did not reconnect, nor log an error of their own; the next request is delivered."""
    with running_node(tmp_path, logs, replicas=1, gateway=True) as stack:

        async def scenario() -> None:
            draw = random.Random(1)
            async with scene_on(stack, "flood") as scene:
                for first in range(0, COUNT, BATCH):
                    await send(stack.nats_server.port, *(hostile(first + n, draw) for n in range(BATCH)))
                ended = time.monotonic()

                async def ready() -> bool:
                    return all([await process.ready() for process in services(stack)])

                await until(ready, "all services are ready", timeout_s=READY_S)
                print(f"ready {time.monotonic() - ended:.1f} s after {COUNT} hostile messages")
                await scene.ask("s1", "r1")
                await scene.delivered("s1", "r1")

        asyncio.run(scenario())
        for process in services(stack):
            assert process.running
            assert "InvalidStateError" not in process.text() and "Traceback" not in process.text(), process.name
            assert "NATS connection lost" not in process.text(), process.name


def services(stack: Stack):  # type: ignore[no-untyped-def]
    return [process for service in ("synth", "ws_bridge", "http_bridge", "gateway") for process in stack[service]]
