"""A bridge of protocol v2 that tests drive by hand, and an application of oraserver-node that records its calls."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from orastream.contract.oraserver.from_bridge import AudioRange, BridgeHello, OpenStream, StreamEnd
from orastream.contract.oraserver.from_server import ServerHello, StreamAck, StreamOpened, unpack_from_server
from orastream.contract.oraserver.wire import WireMessage
from tests.support.processes import Logs, Process, free_port

EPOCH = 1_764_496_805_120_000
SEQ = 1_764_496_805_123_457
WAIT_S = 15.0

M = TypeVar("M", bound=WireMessage)


class NodeApplication(Process):
    """The receiver with an application that appends each call to `calls`, a file that survives SIGKILL."""

    def __init__(self, build: Path, folder: Path, logs: Logs, **rules: object) -> None:
        self.port = free_port()
        self.calls = folder / "calls.jsonl"
        logs["node-application"] = folder / "node-application.log"
        program = build / "dist" / "test" / "v2" / "application.js"
        argv = [str(shutil.which("node")), program, folder / "received", self.calls, str(self.port)]
        env = {"PATH": os.environ["PATH"], "RULES": json.dumps(rules)}
        super().__init__("node-application", argv, env=env, cwd=folder, log=logs["node-application"])

    @property
    def url(self) -> str:
        """Where bridges connect to."""
        return f"ws://127.0.0.1:{self.port}/ws/tts"

    async def start(self) -> None:
        """Start it; returns when it accepts connections. Raises ProcessFailed."""
        self.launch()
        await self.until_ready(self._listens)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    def called(self, request: str | None = None) -> list[dict[str, Any]]:
        """The calls for a request, or all of them, with those of its starts."""
        if not self.calls.exists():
            return []
        calls = [json.loads(line) for line in self.calls.read_text().splitlines()]
        return [call for call in calls if request is None or call.get("request") in (request, None)]

    def names(self, request: str) -> list[str]:
        """What was called for a request, without the audio."""
        return [call["call"] for call in self.called(request) if call["call"] not in ("audio", "start")]

    def audio(self, request: str) -> bytes:
        """The audio of a request. Raises AssertionError if a byte came twice or was left out."""
        heard = b""
        for call in self.called(request):
            if call["call"] == "audio":
                assert call["at"] == len(heard), f"{request}: {call['at']} came after {len(heard)} bytes"
                heard += base64.b64decode(call["data"])
        return heard


class NodeBridge:
    """One connection of a bridge."""

    def __init__(self, socket: ClientConnection, hello: ServerHello) -> None:
        self.hello = hello
        self.sent = 0
        """Binary frames that were sent."""
        self._socket = socket
        self._received: list[WireMessage] = []
        self._ended = False
        self._more = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, url: str, *, node: str = "tts") -> AsyncIterator[NodeBridge]:
        """A connection of v2, after both `hello`. It is aborted at the end."""
        offer = [Subprotocol("orastream.v1"), Subprotocol("orastream.v2")]
        async with connect(url, subprotocols=offer, compression=None) as socket:
            assert socket.subprotocol == "orastream.v2"
            first = await asyncio.wait_for(socket.recv(), WAIT_S)
            assert isinstance(first, bytes)
            hello = unpack_from_server(first)
            assert isinstance(hello, ServerHello)
            bridge = cls(socket, hello)
            await bridge.send(BridgeHello(2, node, "ws_bridge-test", "orastream/0.1.0"))
            try:
                yield bridge
            finally:
                await bridge.abort()

    async def abort(self) -> None:
        """Reset the connection, as a bridge that is killed."""
        self._socket.transport.abort()
        await asyncio.wait([self._reader])

    async def send(self, *messages: WireMessage) -> None:
        """Send messages, one behind the other."""
        for message in messages:
            self.sent += 1
            await self._socket.send(message.pack())

    async def open(self, stream: int, request: str, **more: Any) -> StreamOpened:
        """Open a stream and return OraServer's answer."""
        await self.send(opening(stream, request, **more))
        return await self.wait_for(StreamOpened, stream=stream)

    async def audio(self, stream: int, file: bytes, at: int, to: int, *, damaged: bool = False) -> None:
        """Send a range of the file, with its checksum or a wrong one."""
        piece = file[at:to]
        crc = zlib.crc32(piece)
        await self.send(AudioRange(stream, at, piece, crc=crc ^ 1 if damaged else crc))

    async def deliver(self, stream: int, file: bytes, opened: StreamOpened, *, frame: int = 3_000) -> StreamAck:
        """Send the rest of a file within the limits; returns the `ack` for the whole file."""
        at, limit = opened.upto, opened.limit
        while at < len(file):
            to = min(at + frame, limit, len(file))
            if to > at:
                await self.audio(stream, file, at, to)
                at = to
            else:
                limit = (await self.wait_for(StreamAck, stream=stream, above=limit)).limit
        await self.send(StreamEnd(stream, "complete", len(file), 100))
        return await self.wait_for(StreamAck, stream=stream, upto=len(file), size=len(file))

    async def wait_for(self, kind: type[M], *, above: int | None = None, **fields: object) -> M:
        """The first message of this kind with these fields, and a `limit` above that one. Raises AssertionError."""

        def found() -> M | None:
            for message in self._received:
                if isinstance(message, kind) and all(getattr(message, key) == value for key, value in fields.items()):
                    if above is None or message.limit > above:  # type: ignore[attr-defined]  # only acks are asked so
                        return message
            return None

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S), self._more:
                await self._more.wait_for(lambda: found() is not None or self._ended)
        message = found()
        assert message is not None, f"no {kind.__name__} with {fields}, but {self._received}"
        return message

    async def closed(self) -> int | None:
        """Wait until OraServer has closed the connection; returns the code."""
        await asyncio.wait_for(asyncio.shield(self._reader), WAIT_S)
        return self._socket.close_code

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for payload in self._socket:
                assert isinstance(payload, bytes)
                message = unpack_from_server(payload)
                assert message is not None
                async with self._more:
                    self._received.append(message)
                    self._more.notify_all()
        self._ended = True
        async with self._more:
            self._more.notify_all()


def opening(stream: int, request: str, **more: Any) -> OpenStream:
    """An `open` of a session with the name of the request, unless `more` says otherwise."""
    fields: dict[str, Any] = {
        "session": f"session of {request}",
        "phone": "전화",
        "seq": SEQ,
        "epoch": EPOCH,
        "attempt": 1,
    }
    fields |= {"acked": 0, "format": "wav", "rate": 22_050, "channels": 1, "engine": "espeak", "language": "ko-KR"}
    return OpenStream(stream=stream, request=request, **(fields | more))
