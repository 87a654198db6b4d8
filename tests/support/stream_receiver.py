"""A small receiver of protocol v2 that keeps all rules, or breaks the one that a test plants.

It shares no code with the services.
"""

# length: one receiver with all its faults, to be read in one place

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import pickle
import re
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgpack
from aiohttp import WSMsgType, web

StreamFault = Literal[
    "selects the first",
    "hello after that of the bridge",
    "v2 without being selected",
    "v2 alone",
    "token of v1 alone",
    "hello without formats",
    "second hello",
    "opened only if fresh",
    "acks every 2 s",
    "does not count hello",
    "acks by time alone",
    "no size",
    "no idle acks",
    "upto over a gap",
    "stays at a gap",
    "ranges of what did not come",
    "every range",
    "stores what is damaged",
    "later bytes win",
    "limit falls",
    "limit never rises",
    "one full stream stops all",
    "ten streams",
    "numbers of all connections",
    "waits for the lower one",
    "calls cut ones complete",
    "forgets at a break",
    "resumes at what it saw",
    "forgets what is whole",
    "no fence",
    "late frames count",
    "cleared without names",
    "cleared of known sessions alone",
    "cleared if something ends",
    "forgets cancels",
    "ASCII ids",
    "formats less one",
    "words end",
    "each text is a sentence",
    "the last words alone",
    "words come twice",
    "words of another begin",
    "16 KiB frames",
    "unknown types",
    "unknown keys",
    "one end",
    "failed counts as complete",
    "ignores text frames",
    "ignores bad frames",
    "ignores unknown streams",
    "no limit",
    "no size limit",
    "another size",
    "closes without error",
    "stores nothing",
]
RestartFault = Literal["acks before it stores", "forgets its fence", "claims too much", "memory"]
V1, V2 = "orastream.v1", "orastream.v2"
CREDIT, MAX_RANGES, ACK_S, IDLE_S, ACK_BYTES, TICK_S = 262_144, 64, 0.25, 2.0, 64 << 10, 0.02
LATE_S = 0.5
"""How long after its ack the fault `acks before it stores` stores."""
FORMATS = ["wav", "pcm16", "mulaw", "alaw", "opus", "flac", "mp3", "aac"]
NEEDED: dict[str, dict[str, type]] = {
    "hello": {"version": int, "node": str},
    "open": {"s": int, "session": str, "phone": str, "request": str, "seq": int, "epoch": int, "try": int},
    "text": {"s": int, "n": int, "ms": int, "text": str},
    "audio": {"s": int, "at": int, "data": bytes},
    "end": {"s": int, "status": str, "size": int, "ms": int},
    "cancel": {"session": str, "epoch": int},
}
OTHERS = {"t", "bridge", "software", "acked", "format", "rate", "channels", "engine", "language", "fresh", "from", "to"}
OTHERS |= {"words", "crc", "code", "before", "seq", "ms"}
Frame = dict[str, Any]


class FatalProblem(Exception):
    """The connection must end."""


@dataclass
class KeptUtterance:
    """The bytes of an utterance; `have` has a 1 for each one that is stored."""

    phone: str
    request: str
    data: bytearray = field(default_factory=bytearray)
    have: bytearray = field(default_factory=bytearray)
    size: int | None = None
    status: str = ""
    cancelled: bool = False
    cut: bool = False
    sentences: list[Frame] = field(default_factory=list)

    @property
    def upto(self) -> int:
        found = self.have.find(0)
        return len(self.have) if found < 0 else found

    @property
    def whole(self) -> bool:
        return self.size is not None and self.upto == self.size

    def ranges(self) -> list[list[int]]:
        return [list(found.span()) for found in re.finditer(b"\x01+", self.have) if found.start() > self.upto]

    def store(self, at: int, data: bytes, *, again: bool) -> None:
        more = at + len(data) - len(self.have)
        self.data += bytes(max(more, 0))
        self.have += bytes(max(more, 0))
        for number, byte in enumerate(data, at):
            if again or not self.have[number]:
                self.data[number] = byte
        self.have[at : at + len(data)] = b"\x01" * len(data)


@dataclass
class KeptSession:
    """What is kept of a session. `owner` is its only stream whose frames count."""

    fence: tuple[int, int] = (0, -1)
    before: int = 0
    cancelled: set[int] = field(default_factory=set)
    utterances: dict[int, KeptUtterance] = field(default_factory=dict)
    owner: OpenedStream | None = None

    def covers(self, seq: int) -> bool:
        return seq < self.before or seq in self.cancelled


@dataclass(eq=False)
class OpenedStream:
    """One stream of a connection."""

    number: int
    session: KeptSession
    said: KeptUtterance
    acked_at: float
    limit: int = CREDIT
    unacked: int = 0
    waits: bool = False
    ended: bool = False
    received: int = 0
    acks: int = 0


class StreamReceiver:
    """Takes speech of v2 on `/ws`, and lists it on `/received`. `url` is set while it listens."""

    def __init__(
        self,
        fault: StreamFault | RestartFault | None = None,
        *,
        token: str | None = None,
        crc: bool = True,
        in_order: bool = False,
        folder: Path | None = None,
    ) -> None:
        """`in_order`: it drops what leaves a gap, which is allowed. `folder`: for a later process."""
        self.url = ""
        self.fault, self.token, self.crc, self.in_order, self.folder = fault, token, crc, in_order, folder
        self.sessions: dict[tuple[str, str], KeptSession] = {}
        self.numbers: dict[int, OpenedStream] = {}
        self.restored = folder is not None and fault != "memory" and (folder / "state").exists()
        if folder is not None and self.restored:
            self.sessions = pickle.loads((folder / "state").read_bytes())  # noqa: S301 - the test's own file

    @property
    def websocket_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}/ws"

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.get("/ws", self._websocket), web.get("/received", self._received)])
        return app

    def save(self) -> None:
        """Store everything for a later process."""
        if self.fault == "acks before it stores":
            asyncio.get_running_loop().call_later(LATE_S, self._save)
        else:
            self._save()

    def _save(self) -> None:
        if self.folder is None:
            return
        kept = {
            name: KeptSession(
                (0, -1) if self.fault == "forgets its fence" else each.fence,
                each.before,
                each.cancelled,
                each.utterances,
            )
            for name, each in self.sessions.items()
        }
        (self.folder / "next").write_bytes(pickle.dumps(kept))
        os.replace(self.folder / "next", self.folder / "state")

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        authorized = self.token is None or request.headers.get("Authorization") == f"Bearer {self.token}"
        if not authorized and not (self.fault == "token of v1 alone" and V2 in offered):
            return web.Response(status=401)
        if self.fault == "v2 alone" and V2 not in offered:
            return web.Response(status=400)
        protocols = (V1, V2) if self.fault == "selects the first" else (V2,)
        socket: web.WebSocketResponse[bool] = web.WebSocketResponse(protocols=protocols, compress=False, timeout=0.5)
        await socket.prepare(request)
        if socket.ws_protocol == V2:
            await BridgeSocket(self, socket).serve()
            return socket
        if self.fault == "v2 without being selected":
            await socket.send_bytes(msgpack.packb({"t": "hello", "version": 2}))
        async for _ in socket:
            pass  # v1: this receiver only answers pings
        return socket

    async def _received(self, request: web.Request) -> web.Response:
        found = [
            {
                "sessionId": session,
                "phoneId": said.phone,
                "requestId": said.request,
                "bytes": said.upto,
                "complete": self._complete(said),
                "sha256": hashlib.sha256(said.data[: said.upto]).hexdigest(),
                "sentences": said.sentences,
            }
            for (_, session), kept in self.sessions.items()
            for said in kept.utterances.values()
            if session == request.query["session"] and self.fault != "stores nothing"
        ]
        return web.json_response({"utterances": found})

    def _complete(self, said: KeptUtterance) -> bool:
        if said.cut:
            return self.fault == "calls cut ones complete"
        failed_counts = self.fault == "failed counts as complete"
        return said.whole and (said.status == "complete" or failed_counts) and not said.cancelled


class BridgeSocket:
    """One connection of v2."""

    def __init__(self, receiver: StreamReceiver, socket: web.WebSocketResponse[bool]) -> None:
        self.receiver, self.socket, self.fault = receiver, socket, receiver.fault
        self.node: str | None = None
        self.seen = 0
        self.top = 0
        self.streams: dict[int, OpenedStream] = {}
        self.clock = asyncio.get_running_loop().time

    async def serve(self) -> None:
        """Serve until the connection ends."""
        ticking = asyncio.create_task(self._tick())
        try:
            if self.fault != "hello after that of the bridge":
                await self._hello()
            async for message in self.socket:
                if message.type is WSMsgType.TEXT and self.fault != "ignores text frames":
                    raise FatalProblem("a text frame")
                if message.type is WSMsgType.BINARY:
                    self.seen += 1
                    await self._frame(message.data)
        except FatalProblem as exc:
            with contextlib.suppress(ConnectionError):
                if self.fault != "closes without error":
                    await self._send(t="error", code="protocol", message=str(exc), fatal=True)
                await self.socket.close(code=1002)
        except ConnectionError:
            pass
        finally:
            ticking.cancel()
            for stream in self.streams.values():
                if self.fault == "forgets at a break" and not stream.said.whole:
                    stream.said.data.clear()
                    stream.said.have.clear()

    async def _send(self, **frame: object) -> None:
        await self.socket.send_bytes(msgpack.packb(frame))

    async def _hello(self) -> None:
        formats = [] if self.fault == "hello without formats" else FORMATS
        terms: Frame = {"credit": CREDIT, "streams": 100, "formats": formats, "keep_ms": 600_000}
        await self._send(t="hello", version=2, **terms, crc=self.receiver.crc)

    async def _tick(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(TICK_S)
                for stream in list(self.streams.values()):
                    if not self._counts(stream) or (stream.said.whole and not stream.waits):
                        continue
                    due_s = ACK_S if stream.waits and self.fault != "acks every 2 s" else IDLE_S
                    if self.clock() >= stream.acked_at + due_s and (stream.waits or self.fault != "no idle acks"):
                        await self._ack(stream)

    def _counts(self, stream: OpenedStream) -> bool:
        return stream.session.owner is stream or self.fault == "late frames count"

    # ---- frames

    async def _frame(self, payload: bytes) -> None:
        try:
            frame = self._checked(payload)
        except FatalProblem:
            if self.fault == "ignores bad frames":
                return
            raise
        kind = frame["t"]
        if kind not in NEEDED:
            if self.fault == "unknown types":
                raise FatalProblem(f"unknown type {kind}")
            return
        if kind == "hello":
            self.node = frame["node"]
            if self.fault in ("second hello", "hello after that of the bridge"):
                await self._hello()
        elif self.node is None:
            raise FatalProblem("no hello")
        elif kind == "open":
            await self._open(frame, self.node)
        elif kind == "cancel":
            await self._cancel(frame, self.node)
        else:
            await self._of_stream(frame)

    def _checked(self, payload: bytes) -> Frame:
        try:
            frame = msgpack.unpackb(payload)
        except Exception:  # noqa: BLE001 - whatever the library raises
            raise FatalProblem("no msgpack") from None
        if not isinstance(frame, dict) or not isinstance(frame.get("t"), str):
            raise FatalProblem("no map with t")
        needed = NEEDED.get(frame["t"], {})
        for key, kind in needed.items():
            if not isinstance(frame.get(key), kind):
                raise FatalProblem(f"no {key}")
        if self.fault == "unknown keys" and needed and frame.keys() - needed.keys() - OTHERS:
            raise FatalProblem("unknown keys")
        return frame

    async def _open(self, frame: Frame, node: str) -> None:
        number, seq = frame["s"], frame["seq"]
        if number <= self.top:
            raise FatalProblem("a number that was used")
        self.top = number
        session = self.receiver.sessions.setdefault((node, frame["session"]), KeptSession())
        refused = self._refused(frame, session)
        if refused is not None:
            await self._send(t="error", s=number, code=refused)
            return
        for lower in [each for name, each in session.utterances.items() if name < seq]:
            if not lower.whole and not lower.cancelled:
                lower.size, lower.cut = lower.upto, True
                del lower.data[lower.upto :], lower.have[lower.upto :]
        said = session.utterances.get(seq)
        if said is None or (said.whole and self.fault == "forgets what is whole"):
            said = session.utterances[seq] = KeptUtterance(frame["phone"], frame["request"])
        stream = OpenedStream(number, session, said, self.clock(), limit=said.upto + CREDIT)
        self.streams[number] = session.owner = self.receiver.numbers[number] = stream
        self.receiver.save()
        upto = said.upto
        if self.fault == "resumes at what it saw":
            upto = len(said.have)
        elif self.fault == "claims too much" and self.receiver.restored:
            upto = len(said.have) + 500
        more = {} if said.size is None or self.fault == "no size" else {"size": said.size}
        if frame.get("fresh") or self.fault != "opened only if fresh":
            await self._send(t="opened", s=number, upto=upto, limit=stream.limit, ranges=self._ranges(said), **more)
        if said.whole:
            await self._ack(stream)

    def _refused(self, frame: Frame, session: KeptSession) -> str | None:
        fence = (frame["epoch"], frame["try"])
        if fence <= session.fence and self.fault != "no fence":
            return "stale_epoch"
        session.fence = max(fence, session.fence)
        session.owner = None if self.fault != "late frames count" else session.owner
        if session.covers(frame["seq"]) and self.fault != "forgets cancels":
            return "cancelled"
        if self.fault == "ASCII ids" and not frame["session"].isascii():
            return "refused"
        if self.fault == "formats less one" and frame["format"] == "opus":
            return "refused"
        if self.fault == "ten streams" and sum(not each.said.whole for each in self.streams.values()) >= 10:
            return "busy"
        lower = [each for name, each in session.utterances.items() if name < frame["seq"]]
        if self.fault == "waits for the lower one" and not all(each.whole or each.cancelled for each in lower):
            return "busy"
        return None

    async def _of_stream(self, frame: Frame) -> None:
        number = frame["s"]
        if number > self.top and self.fault != "ignores unknown streams":
            raise FatalProblem("a stream that was never opened")
        streams = self.receiver.numbers if self.fault == "numbers of all connections" else self.streams
        stream = streams.get(number)
        if stream is None or not self._counts(stream) or stream.said.cancelled:
            return
        full = [each for each in self.streams.values() if each.received >= CREDIT and not each.ended]
        if self.fault == "one full stream stops all" and full and stream not in full:
            return
        stream.waits = True
        if frame["t"] == "audio":
            await self._audio(stream, frame)
        elif frame["t"] == "end":
            await self._end(stream, frame)
        elif frame["t"] == "text":
            self._text(stream.said, frame)

    def _text(self, said: KeptUtterance, frame: Frame) -> None:
        words = frame.get("words") or []
        if self.fault == "words end" and words:
            raise FatalProblem("words")
        known = next((one for one in said.sentences if one["n"] == frame["n"]), None)
        if known is None or self.fault == "each text is a sentence":
            said.sentences.append({key: frame[key] for key in ("n", "ms", "text")} | {"words": words})
            return
        before = known["words"]
        if (
            known["ms"] != frame["ms"] and self.fault != "words of another begin"
        ) or self.fault == "the last words alone":
            before = []
        last_begin = before[-1][2] if before and self.fault != "words come twice" else -1
        known |= {"ms": frame["ms"], "text": frame["text"]}
        known["words"] = before + [word for word in words if word[2] > last_begin]

    async def _audio(self, stream: OpenedStream, frame: Frame) -> None:
        said, at, data = stream.said, frame["at"], frame["data"]
        past = at + len(data)
        damaged = self.receiver.crc and zlib.crc32(data) != frame.get("crc")
        if damaged and self.fault != "stores what is damaged":
            await self._ack(stream)
            return
        if self.fault == "16 KiB frames" and len(data) > 16 << 10:
            raise FatalProblem("a large frame")
        if past > stream.limit:
            if self.fault == "no limit":
                return
            raise FatalProblem("above the limit")
        if said.size is not None and past > said.size:
            if self.fault == "no size limit":
                return
            raise FatalProblem("above the size")
        before, gaps = said.upto, bool(said.ranges())
        if at <= before or not self.receiver.in_order:
            said.store(at, data, again=self.fault == "later bytes win")
        stream.received += len(data)
        stream.unacked += len(data)
        self.receiver.save()
        many = stream.unacked >= ACK_BYTES and self.fault != "acks by time alone"
        if at > before or gaps or many or said.whole:
            await self._ack(stream)

    async def _end(self, stream: OpenedStream, frame: Frame) -> None:
        said, size = stream.said, frame["size"]
        if stream.ended and self.fault == "one end":
            raise FatalProblem("a second end")
        if said.size not in (None, size) and self.fault != "another size":
            raise FatalProblem("another size")
        stream.ended = True
        said.size, said.status = size, frame["status"]
        self.receiver.save()
        await self._ack(stream)

    async def _cancel(self, frame: Frame, node: str) -> None:
        name, before, seq = frame["session"], frame.get("before"), frame.get("seq")
        known = (node, name) in self.receiver.sessions
        session = self.receiver.sessions.setdefault((node, name), KeptSession())
        if frame["epoch"] < session.fence[0] and self.fault != "no fence":
            await self._send(t="error", session=name, code="stale_epoch")
            return
        session.fence = max(session.fence, (frame["epoch"], 0))
        session.before = max(session.before, before or 0)
        session.cancelled |= {seq} - {None}
        ended = []
        for number, said in session.utterances.items():
            if (number == seq or number < (before or 0)) and not said.whole and not said.cancelled:
                said.cancelled = True
                ended.append([said.request, number, 0])
        self.receiver.save()
        if (self.fault == "cleared of known sessions alone" and not known) or (
            self.fault == "cleared if something ends" and not ended
        ):
            return
        which = {"before": before} if before is not None else {"seq": seq}
        names = [] if self.fault == "cleared without names" else ended
        await self._send(t="cleared", session=name, utterances=names, **which)

    # ---- acks

    def _ranges(self, said: KeptUtterance) -> list[list[int]]:
        found = said.ranges()
        if self.fault == "ranges of what did not come" and found:
            return [[found[0][0], found[-1][1]]]
        return found if self.fault == "every range" else found[:MAX_RANGES]

    async def _ack(self, stream: OpenedStream) -> None:
        said = stream.said
        stream.acks += 1
        stream.acked_at, stream.unacked, stream.waits = self.clock(), 0, False
        if self.fault != "limit never rises":
            stream.limit = max(stream.limit, said.upto + CREDIT)
        upto, ranges = said.upto, self._ranges(said)
        if self.fault == "upto over a gap":
            upto, ranges = len(said.have), []
        elif self.fault == "stays at a gap" and stream.acks > 1 and said.size is None:
            upto = min(upto, 500)
        frame: Frame = {"upto": upto, "limit": stream.limit, "ranges": ranges}
        frame["seen"] = self.seen - (self.fault == "does not count hello")
        if self.fault == "limit falls" and stream.acks % 2:
            frame["limit"] -= 1_000
        if said.size is not None and self.fault != "no size":
            frame["size"] = said.size
        await self._send(t="ack", s=stream.number, **frame)


@contextlib.asynccontextmanager
async def stream_receiving(
    fault: StreamFault | RestartFault | None = None,
    *,
    token: str | None = None,
    port: int = 0,
    crc: bool = True,
    in_order: bool = False,
    folder: Path | None = None,
) -> AsyncIterator[StreamReceiver]:
    """A receiver of v2 that listens on loopback inside the context."""
    receiver = StreamReceiver(fault, token=token, crc=crc, in_order=in_order, folder=folder)
    runner = web.AppRunner(receiver.application(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield receiver
    finally:
        await runner.cleanup()


async def main() -> None:
    """Receive until killed: `python -m tests.support.stream_receiver PORT FOLDER [FAULT]`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("fault", nargs="?")
    given = parser.parse_args()
    async with stream_receiving(given.fault, port=given.port, folder=given.folder):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
