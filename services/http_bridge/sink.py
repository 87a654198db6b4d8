"""The HTTP way to OraServer: one POST with the whole file per utterance. The only file that sends HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp

from orastream.delivery.effects import Rules
from orastream.delivery.sink import LinkLost, Speech
from orastream.packets import AudioChunk, AudioStart
from services.http_bridge.body import Body
from services.http_bridge.settings import HttpBridgeSettings

IDLE_S = 5.0
CONNECT_S = 5.0
SILENCE_S = 30.0


class HttpLink:
    """A place to collect an utterance. It breaks when its POST fails; the next try collects anew from the stream."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url
        self._speech: Speech | None = None
        self._body: Body | None = None
        self._post: asyncio.Task[None] | None = None
        self.lost: LinkLost | None = None

    @property
    def room(self) -> bool:
        """Memory is the limit: an utterance of at most TTS_MAX_TEXT_CHARS."""
        return True

    def begin(self, speech: Speech) -> None:
        """The next chunks are this utterance's."""
        self._speech, self._body = speech, None

    def write(self, start: AudioStart, chunk: AudioChunk) -> None:
        """Keep a chunk."""
        if self._body is None:
            assert self._speech is not None, "begin() comes first"
            self._body = Body(self._speech, start)
        self._body.add(chunk)

    def complete(self, start: AudioStart, total_chunks: int) -> None:
        """All is there."""
        assert self._body is not None, "an utterance has at least one chunk"
        self._body.finish()

    async def confirm(self) -> None:
        """POST the file; return when OraServer answered 2xx. Raises LinkLost; `refused` for a 4xx."""
        body, self._body = self._body, None
        assert body is not None, "complete() comes first"
        self._post = asyncio.create_task(self._send(body))
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
            self._post = None

    async def _send(self, body: Body) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for piece in body.pieces():
                yield piece

        headers = {"Content-Type": "application/json", "Content-Length": str(body.content_length)}
        try:
            async with self._client.post(self._url, data=pieces(), headers=headers, allow_redirects=False) as answer:
                status = answer.status
                await answer.read()
        except (aiohttp.ClientError, OSError) as exc:
            raise LinkLost(f"the POST failed ({type(exc).__name__})") from exc
        except TimeoutError as exc:
            raise LinkLost(f"the POST was not answered for {SILENCE_S:g} s") from exc
        if not 200 <= status < 300:
            raise LinkLost(f"the POST was answered by HTTP {status}", refused=400 <= status < 500)

    async def abandon(self) -> None:
        """Nothing more of the utterance leaves: a POST under way is cut."""
        self._body = None
        if self._post is not None:
            self.lost = LinkLost("cut: the utterance was ended while it was sent")
            self._post.cancel()

    async def close(self) -> None:
        """Forget everything."""
        await self.abandon()


class HttpSink:
    """Opens links over one pooled HTTP client."""

    def __init__(self, settings: HttpBridgeSettings, client: aiohttp.ClientSession) -> None:
        self._url = settings.oraserver_http_url
        self._client = client
        self.rules = Rules(
            confirm_every=None,
            most_unconfirmed_bytes=None,
            max_retries=settings.websocket_max_retries,
            stall_s=settings.synth_stall_seconds,
            audio_retention_s=settings.tts_audio_retention_seconds,
        )
        self.idle_s = IDLE_S
        self.link_per_utterance = False

    async def connect(self, session_id: str, phone_id: str, wake: Callable[[], None]) -> HttpLink:
        """A new place to collect; the connection itself is made, or reused, by the POST."""
        return HttpLink(self._client, self._url)


def http_client(settings: HttpBridgeSettings) -> aiohttp.ClientSession:
    """A client with pooled connections, to be closed by `async with`."""
    headers = {"Authorization": f"Bearer {settings.oraserver_token}"} if settings.oraserver_token else {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
    return aiohttp.ClientSession(headers=headers, timeout=timeout)
