"""`python -m tests.chaos.composed.receiver`: the reference OraServer, which also writes a log of each frame it reads.

A line is written before the frame is handed on, so before its pong or answer: what was confirmed is in the log, also
after `kill -9`. `POST /discard` with a number of seconds makes it confirm what it gets, and discard it, for so long.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from orastream.service import logging
from services.oraserver.app import OraServer, serve
from services.oraserver.frames import Chunk, CompleteFrame, parse, parse_post
from services.oraserver.rules import Book, ConnectionRules
from services.oraserver.settings import OraServerSettings
from services.oraserver.settings import parse as parse_settings
from tests.chaos.composed.history import digest

FRAMES = "frames.jsonl"

_peer: contextvars.ContextVar[int] = contextvars.ContextVar("peer")


class FrameLog:
    """The log, and whether frames are dropped now."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._discards_until = 0.0

    def write(self, **fields: Any) -> None:
        """Write one line with the time."""
        os.write(self._file, json.dumps({"at": time.time(), **fields}).encode() + b"\n")

    def discard(self, seconds: float) -> None:
        """Discard all frames for so long."""
        self._discards_until = time.monotonic() + seconds

    @property
    def discards(self) -> bool:
        """Whether frames are dropped now."""
        return time.monotonic() < self._discards_until


class RecordingRules(ConnectionRules):
    """Logs each text frame of a connection with its number on the connection, `init` included."""

    def __init__(self, book: Book, headers: Mapping[str, str], log: FrameLog) -> None:
        super().__init__(book, headers)
        self._log = log
        self._port = _peer.get()
        self._number = 0

    def receive(self, payload: bytes, now: float) -> bool:
        """See ConnectionRules."""
        frame, _ = parse(payload)
        about = {"port": self._port, "n": self._number}
        self._number += 1
        keeps = not self._log.discards
        if isinstance(frame, Chunk):
            ids = {"s": frame.metadata.session_id, "r": frame.metadata.request_id}
            size, name = len(frame.audio), digest(frame.audio)
            self._log.write(kind="chunk", **about, **ids, i=frame.index, size=size, digest=name, kept=keeps)
        elif isinstance(frame, CompleteFrame):
            ids = {"s": frame.metadata.session_id, "r": frame.metadata.request_id}
            self._log.write(kind="complete", **about, **ids, i=frame.total_chunks, size=0, digest="", kept=keeps)
        else:
            keeps = True
        return super().receive(payload, now) if keeps else isinstance(frame, Chunk)


class RecordingBook(Book):
    """A book whose connections write the log."""

    log: FrameLog

    def connect(self, headers: Mapping[str, str]) -> ConnectionRules:
        """See Book."""
        return RecordingRules(self, headers, self.log)


class RecordingOraServer(OraServer):
    """The reference OraServer with a log of frames and POSTs."""

    def __init__(self, settings: OraServerSettings, log: FrameLog) -> None:
        super().__init__(
            settings.oraserver_data_dir,
            token=settings.token,
            faults=settings.oraserver_misbehave,
            terms=settings.terms,
        )
        book = RecordingBook(self._keep, next_number=self.store.next_number())
        book.log = log
        book.replay(self.store.replay())
        self.book = book
        self._log = log
        self._posts: dict[Any, int] = {}

    def application(self) -> web.Application:
        """See OraServer."""
        app = super().application()
        app.add_routes([web.post("/discard", self._discard)])
        return app

    async def _discard(self, request: web.Request) -> web.Response:
        self._log.discard(float(await request.text()))
        return web.Response(status=204)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        _peer.set(_port(request))
        return await super()._websocket(request)

    async def _post(self, request: web.Request) -> web.Response:
        number = self._posts[request.transport] = self._posts.get(request.transport, -1) + 1
        about = {"port": _port(request), "n": number}
        post, _ = parse_post(await request.read())
        keeps = not self._log.discards
        if post is not None:
            ids = {"s": post.metadata.session_id, "r": post.metadata.request_id}
            size, name = len(post.audio), digest(post.audio)
            self._log.write(kind="post", **about, **ids, i=0, size=size, digest=name, kept=keeps)
        answer = await super()._post(request) if keeps else web.json_response({"status": "received"})
        self._log.write(kind="answer", **about, status=answer.status)
        return answer


def _port(request: web.Request) -> int:
    assert request.transport is not None
    return int(request.transport.get_extra_info("peername")[1])


async def run(settings: OraServerSettings) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings.oraserver_data_dir.mkdir(parents=True, exist_ok=True)
    log = FrameLog(settings.oraserver_data_dir / FRAMES)
    async with serve(RecordingOraServer(settings, log), host=settings.tts_host, port=settings.oraserver_port):
        await stop.wait()


if __name__ == "__main__":
    settings_of_process = parse_settings()
    logging.configure("oraserver", level="WARNING", style="json", directory=None)
    sys.exit(uvloop.run(run(settings_of_process)))
