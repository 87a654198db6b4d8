"""An http_bridge is frozen in the middle of its POSTs. It must not complete them after another one has taken over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orastream.client.async_client import Client
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.scenes import TEXT
from tests.support.services import Stack
from tests.support.tcp_server import serving

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

SESSIONS = 20


class Receiver:
    """An OraServer that reads no body while `deaf`. It counts the utterances of complete POSTs."""

    def __init__(self) -> None:
        self.url = ""
        self.deaf = True
        self.waiting = 0
        self.complete: Counter[str] = Counter()
        self._reads = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen inside the context, with a small receive buffer."""
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        async with serving(self._handle, listening=listening, limit=1 << 14) as port:
            self.url = f"http://127.0.0.1:{port}/api/tts"
            yield

    def hear(self) -> None:
        """Read all bodies from now on."""
        self._reads.set()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if self.deaf:
                self.waiting += 1
                await self._reads.wait()
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            self.complete[body["metadata"]["requestId"]] += 1
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()


async def test_a_bridge_does_not_complete_its_posts_after_it_was_frozen(
    nats_server: NatsServer, tmp_path: Path, logs: Logs
) -> None:
    """The bodies have many sizes, so that for some of them the kernel has taken all but the last bytes."""
    receiver = Receiver()
    async with receiver.running(), Client(nats_server.url) as client:
        stack = Stack(nats_server, tmp_path, logs, ORASERVER_HTTP_URL=receiver.url)
        try:
            await stack.start("synth")
            (frozen,) = await stack.start("http_bridge")
            names = [f"r{number}" for number in range(SESSIONS)]
            for number, name in enumerate(names):
                text = TEXT[: 20 + 2 * number]
                await client.say(
                    text, session_id=name, request_id=name, phone_id="p", use_websocket=False, fire_and_forget=True
                )

            async def posting() -> bool:
                return receiver.waiting == SESSIONS

            await until(posting, "all POSTs wait for OraServer")
            await asyncio.sleep(0.5)  # the kernel takes as much of the bodies as it can
            frozen.freeze()
            receiver.deaf = False
            await stack.start("http_bridge")
            for name in names:
                assert (await client.wait(name, name, 45)).status == "delivered"
            receiver.hear()
            await asyncio.sleep(0.5)
            complete = dict(receiver.complete)  # the kernel had the whole of some bodies: no process can take it back
            assert complete.keys() == set(names)
            frozen.thaw()
            await asyncio.sleep(3)
            assert frozen.running
            assert receiver.complete == complete
        finally:
            stack.kill()
