"""Delivery over HTTP: one POST with the whole file per utterance. No other file of the bridge sends HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Literal, cast

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from orastream.base.reset import reset
from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.delivery.sink import LinkLost, Speech
from services.http_bridge.body import Body
from services.http_bridge.settings import HttpBridgeSettings

IDLE_S = 5.0
CONNECT_S = 5.0
STALL_S = 10.0
"""How long OraServer may read nothing of the body before the POST fails."""
SILENCE_S = 30.0
"""How long OraServer may take to answer after it has read the whole body."""
MAX_ANSWER_BYTES = 4096
PERMISSION_S = 10.0
"""How long a POST may wait for the permission to complete its body."""
POLL_S = 0.01
"""How often it looks whether it may complete the body."""
SEND_BUFFER_BYTES = 128 << 10
"""The kernel's send buffer. A small one, so that little audio is in flight at a barge-in."""

_running: ContextVar[HttpLink] = ContextVar("running")
"""The link whose POST runs in this task."""


class HttpLink:
    """Collects one utterance at a time and POSTs it. A failed POST ends the link; a retry reads the audio again."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url
        self._speech: Speech | None = None
        self._body: Body | None = None
        self._post: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        """The connection of the running POST."""
        self.lost: LinkLost | None = None

    @property
    def room(self) -> bool:
        """Always true: the chunks go to memory, and TTS_MAX_TEXT_CHARS limits the size of an utterance."""
        return True

    def begin(self, speech: Speech) -> None:
        """Begin an utterance: the next chunks belong to it."""
        self._speech, self._body = speech, None

    def write(self, start: AudioStart, chunk: AudioChunk) -> None:
        """Add a chunk to the body."""
        if self._body is None:
            assert self._speech is not None, "begin() comes first"
            self._body = Body(self._speech, start)
        self._body.add(chunk)

    def complete(self, start: AudioStart, total_chunks: int, text: str | None = None) -> None:
        """Finish the body: all chunks were written."""
        assert self._body is not None, "an utterance has at least one chunk"
        self._body.finish(text)

    async def confirm(self, may_write: Callable[[], bool]) -> None:
        """POST the file; returns when OraServer has answered 2xx. Raises LinkLost, with `refused` for a 4xx.

        The end of the body, without which OraServer has no utterance, is sent only when `may_write` returns True: a
        bridge that was frozen during the POST, and whose session another bridge has taken, does not complete it.
        """
        body, self._body = self._body, None
        assert body is not None, "complete() comes first"
        self._post = asyncio.create_task(self._send(body, may_write))
        try:
            await self._post
        except asyncio.CancelledError:
            self._post.cancel()
            if self.lost is None:
                raise
            raise self.lost from None
        except LinkLost as exc:
            self.lost = exc
            raise
        finally:
            self._post = self._transport = None

    async def _send(self, body: Body, may_write: Callable[[], bool]) -> None:
        _running.set(self)
        loop = asyncio.get_running_loop()
        awaited = f"took nothing for {CONNECT_S + STALL_S:g} s"

        async def pieces() -> AsyncIterator[bytes]:
            """Yield the body, with a new time limit for each piece: aiohttp's sock_read starts after the last one."""
            nonlocal awaited
            transport = self._transport
            assert transport is not None, "aiohttp has connected"
            for piece in body.pieces():
                awaited = f"took nothing for {STALL_S:g} s"
                self._allow(limit, loop.time() + STALL_S)
                yield piece
            # Bytes that the kernel has not taken would be sent after a freeze before `may_write` could be asked again.
            await asyncio.sleep(0)  # uvloop passes what was written to the kernel at the end of its round
            unsent = None
            while (left := transport.get_write_buffer_size()) or not may_write():
                if left != unsent:
                    unsent = left
                    awaited = f"took nothing for {STALL_S:g} s" if left else f"has had no lease for {PERMISSION_S:g} s"
                    self._allow(limit, loop.time() + (STALL_S if left else PERMISSION_S))
                await asyncio.sleep(POLL_S)
            yield body.end
            awaited = f"was not answered for {SILENCE_S:g} s"
            self._allow(limit, loop.time() + SILENCE_S)

        headers = {"Content-Type": "application/json", "Content-Length": str(body.content_length)}
        posting = self._client.post(self._url, data=pieces(), headers=headers, allow_redirects=False)
        try:
            async with asyncio.timeout(CONNECT_S + STALL_S) as limit, posting as answer:
                status = answer.status
                unread = MAX_ANSWER_BYTES  # the body is read, so that the connection can be used again
                while unread > 0 and (piece := await answer.content.read(unread)):
                    unread -= len(piece)
        except TimeoutError as exc:
            raise LinkLost(f"the POST {awaited}") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise LinkLost(f"the POST failed ({type(exc).__name__})") from exc
        if not 200 <= status < 300:
            raise LinkLost(f"the POST was answered by HTTP {status}", refused=400 <= status < 500)

    @staticmethod
    def _allow(limit: asyncio.Timeout, until: float) -> None:
        if not limit.expired():
            limit.reschedule(until)

    def abandon(self) -> None:
        """Send nothing more of the utterance: a running POST is cancelled and its connection is reset.

        aiohttp alone would still send the part of the body that it has buffered, and that may be the rest of it.
        """
        self._body = None
        if self._post is not None:
            self.lost = LinkLost("cut: the utterance was ended while it was sent")
            if self._transport is not None:
                reset(self._transport)
            self._post.cancel()

    def cut(self) -> None:
        """The same as `abandon`: no audio is sent before the POST."""
        self.abandon()

    def uses(self, transport: asyncio.Transport | None) -> None:
        """Note the connection over which the running POST is sent."""
        self._transport = transport

    async def close(self) -> None:
        """Drop the collected audio and cancel a running POST."""
        self.abandon()


class HttpSink:
    """Opens links over one pooled HTTP client."""

    def __init__(self, settings: HttpBridgeSettings, client: aiohttp.ClientSession) -> None:
        self._url = settings.oraserver_http_url
        self._client = client
        self.transport: Literal["http"] = "http"
        self.rules = DeliveryRules(
            confirm_every=None,
            max_unconfirmed_bytes=None,
            max_retries=settings.websocket_max_retries,
            stall_s=settings.synth_stall_seconds,
            audio_retention_s=settings.tts_audio_retention_seconds,
        )
        self.idle_s = IDLE_S
        self.link_per_utterance = False

    async def connect(self, session_id: str, phone_id: str, wake: Callable[[], None]) -> HttpLink:
        """A new link. The POST itself opens a connection, or reuses one of the pool."""
        return HttpLink(self._client, self._url)


def http_client(settings: HttpBridgeSettings) -> aiohttp.ClientSession:
    """An HTTP client with pooled connections. The caller closes it (`async with`)."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
    # With a limit, POSTs that OraServer answers slowly would block those of other sessions.
    unlimited = _Connector(limit=0, socket_factory=_small_buffer)
    return aiohttp.ClientSession(headers=settings.authorization, timeout=timeout, connector=unlimited)


class _Connector(aiohttp.TCPConnector):
    """Passes the connection of each POST to its link, which resets it when the utterance is cancelled."""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        if (link := _running.get(None)) is not None:
            link.uses(cast(asyncio.Transport, connection.transport))
        return connection


def _small_buffer(address: aiohttp.AddrInfoType) -> socket.socket:
    sock = socket.socket(*address[:3])
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return sock
