"""The smallest OraServer that a ws_bridge can deliver to: protocol v2 if it may select it, else v1. All in memory."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from orastream.contract.oraserver.from_bridge import (
    AudioRange,
    BridgeHello,
    CancelUtterances,
    OpenStream,
    StreamEnd,
    unpack_from_bridge,
)
from orastream.contract.oraserver.from_server import ServerHello, StreamAck, StreamOpened, UtterancesCleared

CREDIT_BYTES = 1 << 20
V2 = Subprotocol("orastream.v2")


@dataclass
class Arrived:
    """One utterance, as far as it has arrived."""

    format: str
    """As `open` says, over v1 the extension of the file's name."""
    protocol: str
    rate_hz: int | None = None
    """As `open` says."""
    audio: bytearray = field(default_factory=bytearray)
    complete: bool = False


class SmallOraServer:
    """Lists `formats` over protocol v2; without any it speaks v1. `arrived` has the utterances by request id."""

    def __init__(self, formats: Sequence[str]) -> None:
        self.formats = tuple(formats)
        self.arrived: dict[str, Arrived] = {}
        self.frames: list[bytes] = []
        """All frames of v2 that came."""
        self.url = ""
        """`http://HOST:PORT`; it takes WebSockets at every path."""
        self._open: set[ServerConnection] = set()

    def _selected(self, _connection: ServerConnection, offered: Collection[Subprotocol]) -> Subprotocol | None:
        return V2 if self.formats and V2 in offered else None

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[SmallOraServer]:
        """Listen inside the context. Port 0 takes a free one."""
        async with serve(
            self._connected, "127.0.0.1", port, subprotocols=[V2], select_subprotocol=self._selected, compression=None
        ) as server:
            self.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            yield self

    async def restart(self, formats: Sequence[str]) -> None:
        """Break all connections, and list these formats from now on."""
        self.formats = tuple(formats)
        await asyncio.gather(*(connection.close(1012) for connection in tuple(self._open)))

    async def _connected(self, connection: ServerConnection) -> None:
        self._open.add(connection)
        try:
            if connection.subprotocol == V2:
                await self._speak_v2(connection)
            else:
                await self._speak_v1(connection)
        except ConnectionClosed:
            pass
        finally:
            self._open.discard(connection)

    async def _speak_v2(self, connection: ServerConnection) -> None:
        await connection.send(ServerHello(2, CREDIT_BYTES, 100, self.formats, 60_000).pack())
        streams: dict[int, Arrived] = {}
        seen = 0
        async for frame in connection:
            assert isinstance(frame, bytes), "v2 has only binary frames"
            self.frames.append(frame)
            seen += 1
            match unpack_from_bridge(frame):
                case OpenStream() as opened:
                    new = Arrived(opened.format, "v2", opened.rate)
                    said = streams[opened.stream] = self.arrived.setdefault(opened.request, new)
                    limit = len(said.audio) + CREDIT_BYTES
                    await connection.send(StreamOpened(opened.stream, len(said.audio), limit).pack())
                case AudioRange() as part:
                    said = streams[part.stream]
                    assert part.at <= len(said.audio), "nothing is lost on this connection"
                    said.audio += part.data[len(said.audio) - part.at :]
                    await connection.send(self._ack(part.stream, said, seen).pack())
                case StreamEnd() as end:
                    said = streams[end.stream]
                    said.complete = end.status == "complete" and end.size == len(said.audio)
                    await connection.send(self._ack(end.stream, said, seen, end.size).pack())
                case CancelUtterances() as cancel:
                    answer = UtterancesCleared(cancel.session, (), cancel.before, cancel.seq)
                    await connection.send(answer.pack())
                case BridgeHello() | _:
                    pass

    def _ack(self, stream: int, said: Arrived, seen: int, size: int | None = None) -> StreamAck:
        return StreamAck(stream, len(said.audio), len(said.audio) + CREDIT_BYTES, seen, size=size)

    async def _speak_v1(self, connection: ServerConnection) -> None:
        """The library answers pings by itself, after the frames before them."""
        async for text in connection:
            frame = json.loads(text)
            if "metadata" not in frame:
                continue
            request = frame["metadata"]["requestId"]
            if "audioDataBase64" in frame:
                extension = frame["fileName"].rpartition(".")[2]
                said = self.arrived.setdefault(request, Arrived(extension, "v1"))
                said.audio += base64.b64decode(frame["audioDataBase64"])
            elif frame["status"] == "complete":
                self.arrived[request].complete = True
