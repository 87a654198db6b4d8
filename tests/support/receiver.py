"""A small receiver of protocol v1 that keeps all rules, or breaks the one that a test plants."""

# length: one receiver with all its faults, to be read in one place

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aiohttp import WSMsgType, web

Fault = Literal[
    "early pongs",
    "other payload",
    "token not checked",
    "500 for a wrong token",
    "ids of the headers",
    "request ids as paths",
    "constant text",
    "stores repeats",
    "seven formats less one",
    "one phone",
    "waits for complete",
    "32 KiB frames",
    "128 KiB frames",
    "forgets at a break",
    "older connection wins",
    "older connection goes on",
    "forgets at complete",
    "impatient",
    "409 for a repeat",
    "1 MiB bodies",
    "answers early",
    "takes half a body",
    "unknown keys",
    "unknown frames",
    "refuses after the handshake",
    "takes a missing token",
    "completes what was cancelled",
    "stores nothing",
    "stores after the answer",
]
METADATA_KEYS = {"sessionId", "requestId", "phoneId", "text", "engine", "language"}
MAX_FRAME_BYTES, MAX_BODY_BYTES = 4 << 20, 256 << 20
STORING_S = 0.3
"""How long the faults `early pongs` and `stores after the answer` store behind their confirmation."""
IMPATIENT_S = 0.2
Frame = dict[str, Any]


@dataclass
class Received:
    """One utterance."""

    phone: str
    text: str
    audio: bytearray = field(default_factory=bytearray)
    next: int = 0
    complete: bool = False


class ReceiverWithFault:
    """Takes speech on `/ws` and `/tts`, and lists it on `/received`. `url` is set while it listens."""

    def __init__(self, fault: Fault | None = None, *, token: str | None = None, folder: Path | None = None) -> None:
        """`folder`: what is stored is kept there, for a later process."""
        self.url = ""
        self._fault = fault
        self._token = token
        self._folder = folder
        self._utterances: dict[tuple[str, str], Received] = {}
        self._speaking: dict[tuple[str, str], str] = {}
        self._current: dict[tuple[str, str], web.WebSocketResponse[bool]] = {}
        self._storing: set[asyncio.Task[None]] = set()
        if folder is not None:
            self._read(folder)

    @property
    def websocket_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}/ws"

    @property
    def http_url(self) -> str:
        return f"{self.url}/tts"

    def application(self) -> web.Application:
        app = web.Application(client_max_size=1 << 20 if self._fault == "1 MiB bodies" else MAX_BODY_BYTES)
        app.add_routes(
            [web.get("/ws", self._websocket), web.post("/tts", self._post), web.get("/received", self._received)]
        )
        return app

    def _refused(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization")
        if self._token is None or given == f"Bearer {self._token}" or self._fault == "token not checked":
            return None
        if given is None and self._fault == "takes a missing token":
            return None
        return web.Response(status=500 if self._fault == "500 for a wrong token" else 401)

    # ---- WebSocket

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused(request)) is not None and self._fault != "refuses after the handshake":
            return refused
        limits: dict[Fault | None, int] = {"32 KiB frames": 32 << 10, "128 KiB frames": 128 << 10}
        socket: web.WebSocketResponse[bool] = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=limits.get(self._fault, MAX_FRAME_BYTES), timeout=0.5
        )
        await socket.prepare(request)
        if refused is not None:
            await socket.close(code=4401)
            return socket
        key = ("", "")
        try:
            while True:
                async with asyncio.timeout(IMPATIENT_S if self._fault == "impatient" else None):
                    message = await socket.receive()
                if message.type is WSMsgType.PING:
                    await socket.pong(b"other" if self._fault == "other payload" else message.data)
                elif message.type is not WSMsgType.TEXT:
                    break
                elif (frame := json.loads(message.data)).get("type") == "init":
                    key = self._ids(frame, request)
                    if not await self._begin(key, socket):
                        break
                elif self._current.get(key) is not socket and self._fault != "older connection goes on":
                    break
                elif not await self._frame(frame, key):
                    break
        except TimeoutError:
            pass
        self._ended(key, socket)
        await socket.close()
        return socket

    def _ids(self, init: Frame, request: web.Request) -> tuple[str, str]:
        if self._fault == "ids of the headers":
            return request.headers["session-id"], request.headers["phone-id"]
        return init["session_id"], "" if self._fault == "one phone" else init["phone_id"]

    async def _begin(self, key: tuple[str, str], socket: web.WebSocketResponse[bool]) -> bool:
        older = self._current.get(key)
        if older is not None and self._fault == "older connection wins":
            return False
        self._current[key] = socket
        if older is not None and self._fault != "older connection goes on":
            await older.close()
        return True

    def _ended(self, key: tuple[str, str], socket: web.WebSocketResponse[bool]) -> None:
        if self._current.get(key) is socket:
            del self._current[key]
        if self._fault == "forgets at a break":
            for name in [name for name, each in self._utterances.items() if name[0] == key[0] and not each.complete]:
                del self._utterances[name]

    async def _frame(self, frame: Frame, key: tuple[str, str]) -> bool:
        """Handle a chunk or `complete`; whether the connection may go on."""
        metadata = frame["metadata"]
        session = key[0] if self._fault == "ids of the headers" else metadata["sessionId"]
        name = session, metadata["requestId"]
        if self._fault == "early pongs":
            task = asyncio.ensure_future(self._store_later(frame, name))
            self._storing.add(task)
            task.add_done_callback(self._storing.discard)
            return True
        return self._store(frame, name)

    async def _store_later(self, frame: Frame, name: tuple[str, str]) -> None:
        await asyncio.sleep(STORING_S)
        self._store(frame, name)

    def _store(self, frame: Frame, name: tuple[str, str]) -> bool:
        metadata = frame["metadata"]
        if self._fault == "unknown keys" and metadata.keys() != METADATA_KEYS:
            return False
        if frame.get("status") == "complete":
            return self._complete(name)
        if "status" in frame:
            return self._fault != "unknown frames"
        if self._fault == "seven formats less one" and frame["fileName"].endswith(".opus"):
            return False
        before = self._speaking.get(name)
        if self._fault == "waits for complete" and any(
            other != name and other[0] == name[0] and not each.complete for other, each in self._utterances.items()
        ):
            return False
        if self._fault == "completes what was cancelled":
            for other, each in self._utterances.items():
                each.complete |= other != name and other[0] == name[0]
        said = self._utterances.setdefault(name, Received(metadata["phoneId"], metadata["text"]))
        self._speaking[name] = before or metadata["text"]
        if self._fault == "constant text" and metadata["text"] != said.text:
            return False
        if self._fault == "request ids as paths" and ("/" in name[1] or name[1] in ("..", "CON")):
            return False
        if frame["chunkIndex"] > said.next:
            return False  # a chunk is missing: this receiver has lost what it had confirmed
        if frame["chunkIndex"] == said.next or self._fault == "stores repeats":
            said.audio += base64.b64decode(frame["audioDataBase64"])
            said.next = max(said.next, frame["chunkIndex"] + 1)
        self._write(name)
        return True

    def _complete(self, name: tuple[str, str]) -> bool:
        said = self._utterances.get(name)
        if said is None or (said.complete and self._fault == "forgets at complete"):
            return False
        said.complete = True
        self._write(name)
        return True

    # ---- HTTP

    async def _post(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        if self._fault == "answers early":
            return web.Response(status=200)
        if self._fault == "takes half a body":
            read = bytearray()
            with contextlib.suppress(ConnectionError):
                async for piece in request.content.iter_any():
                    read += piece
            body = json.loads(bytes(read) if read.endswith(b"}}") else bytes(read) + b"}")
        else:
            body = json.loads(await request.read())
        metadata = body["metadata"]
        name = metadata["sessionId"], metadata["requestId"]
        if self._fault == "request ids as paths" and "/" in name[1]:
            return web.Response(status=400)
        if self._fault == "seven formats less one" and body["fileName"].endswith(".opus"):
            return web.Response(status=415)
        if name in self._utterances:
            return web.Response(status=409 if self._fault == "409 for a repeat" else 200)
        audio = bytearray(base64.b64decode(body["audioDataBase64"]))
        received = Received(metadata["phoneId"], metadata["text"], audio, 1, True)
        if self._fault == "stores after the answer":
            asyncio.get_running_loop().call_later(STORING_S, self._utterances.__setitem__, name, received)
        else:
            self._utterances[name] = received
        return web.Response()

    # ---- what is stored

    async def _received(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        utterances = [
            {
                "sessionId": session,
                "phoneId": said.phone,
                "requestId": name,
                "bytes": len(said.audio),
                "complete": said.complete,
                "sha256": hashlib.sha256(said.audio).hexdigest(),
            }
            for (session, name), said in self._utterances.items()
            if session == request.query["session"] and self._fault != "stores nothing"
        ]
        return web.json_response({"utterances": utterances})

    def _write(self, name: tuple[str, str]) -> None:
        if self._folder is None:
            return
        said = self._utterances[name]
        fields = {"name": name, "phone": said.phone, "text": said.text, "next": said.next, "complete": said.complete}
        record = json.dumps(fields | {"audio": base64.b64encode(said.audio).decode()})
        (self._folder / hashlib.sha256(repr(name).encode()).hexdigest()).write_text(record)

    def _read(self, folder: Path) -> None:
        for path in folder.iterdir():
            record = json.loads(path.read_text())
            audio = bytearray(base64.b64decode(record["audio"]))
            name = record["name"][0], record["name"][1]
            self._utterances[name] = Received(
                record["phone"], record["text"], audio, record["next"], record["complete"]
            )


@contextlib.asynccontextmanager
async def receiving(
    fault: Fault | None = None, *, token: str | None = None, port: int = 0, folder: Path | None = None
) -> AsyncIterator[ReceiverWithFault]:
    """A receiver that listens on loopback inside the context."""
    receiver = ReceiverWithFault(fault, token=token, folder=folder)
    runner = web.AppRunner(receiver.application(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield receiver
    finally:
        await runner.cleanup()


async def main() -> None:
    """Receive until killed: `python -m tests.support.receiver PORT FOLDER [FAULT]`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("fault", nargs="?")
    given = parser.parse_args()
    async with receiving(given.fault, port=given.port, folder=given.folder):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
