"""The server under test, as the checks see it: connections, POSTs and its listing, by the bridges' own code."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from orastream.cli.checks.oraserver.listing import MISSING, Sent, StoredUtterance, difference, read_listing
from orastream.cli.checks.oraserver.outcomes import CheckFailed, CheckImpossible
from orastream.cli.checks.oraserver.utterances import RATE_HZ, Utterance, cut, tone
from orastream.contract.audio import PcmSpec, wav_header
from orastream.delivery.post.link import HttpLink
from orastream.delivery.post.sink import HttpSink, http_client
from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.delivery.websocket.link import WebSocketLink
from orastream.tls import ClientTls

PHONE = "orastream-check"
CHUNK_BYTES = 4_096
ROOM_S = 15.0
"""How long a check waits until the server takes more; the connection itself gives up after 10 s without progress."""
LISTING_S = 10.0
STORED_S, MAX_STORED_S, LOOK_EVERY_S = 2.0, 30.0, 0.1
"""How long the listing may stay without a change while it lacks something; how long in all; how often it is read."""
MAX_LISTING_BYTES = 16 << 20
FAST_HZ, UNCONFIRMED_S = 48_000, 3.0


@dataclass(frozen=True)
class ServerUnderTest:
    """The addresses of the server, and the options of the command."""

    websocket_url: str | None
    http_url: str | None
    client_tls: ClientTls
    token: str | None = None
    received_url: str | None = None
    restart: str | None = None
    """A shell command that starts the server again, and kills it before, unless `pid_file` is given."""
    pid_file: Path | None = None
    """A file with the pid of the server, which is killed at the moment of a pong or an `ack`."""
    idle_s: float = 30.0
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    """Part of each session id, so that a server may keep what it has of an earlier run."""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(time.time_ns() // 1_000))
    """Sequences, epochs and tries of protocol v2: each is higher than all before, also than those of earlier runs."""
    stream_formats: list[str] = field(default_factory=list)
    """The formats of the server's `hello`, once it is known; empty if it does not say any."""

    def session(self, name: str) -> str:
        """The session of the check with this name."""
        return f"check-{self.run}-{name}"

    def utterance(self, name: str, *, chunks: int = 10, request: str = "r1", phone: str = PHONE) -> Utterance:
        """An utterance of PCM in chunks of CHUNK_BYTES, in the session of a check."""
        parts = cut(tone(chunks * CHUNK_BYTES / 44_100 + 0.1), CHUNK_BYTES)[:chunks]
        return Utterance(self.session(name), phone, request, "pcm16", parts)

    def realtime_utterance(self, name: str) -> Utterance:
        """The most that a bridge writes to a server whose speed it does not know yet: 3 s of speech, as a WAV."""
        file = wav_header(PcmSpec(FAST_HZ)) + tone(UNCONFIRMED_S * FAST_HZ / RATE_HZ)
        return Utterance(self.session(name), PHONE, "r1", "wav", cut(file, CHUNK_BYTES), sample_rate_hz=FAST_HZ)

    def headers(self, token: str | None = None) -> dict[str, str]:
        """The headers with this token, or without one if it is empty; None: with that of the server."""
        token = self.token if token is None else token
        return {"Authorization": f"Bearer {token}"} if token else {}

    # ---- WebSocket

    @asynccontextmanager
    async def connection(
        self, session: str, phone: str = PHONE, *, token: str | None = None
    ) -> AsyncIterator[SpeechConnection]:
        """A connection on which `init` was sent; closed at the end. Raises LinkLost."""
        assert self.websocket_url is not None
        opened = SpeechConnection()
        opened.link = await WebSocketLink.open(
            self.websocket_url,
            session,
            phone,
            opened.wake,
            headers=self.headers(token),
            client_tls=self.client_tls,
        )
        try:
            yield opened
        finally:
            await opened.link.close()

    # ---- HTTP

    @asynccontextmanager
    async def poster(self, *, token: str | None = None) -> AsyncIterator[HttpSink]:
        """A client that POSTs utterances."""
        assert self.http_url is not None
        async with http_client(self.headers(token)) as client:
            yield HttpSink(client, self.http_url, DeliveryRules(), self.client_tls)

    async def post(self, utterance: Utterance, *, token: str | None = None) -> None:
        """POST an utterance, and return when it was answered with 2xx. Raises LinkLost."""
        async with self.poster(token=token) as sink:
            await (await filled(sink, utterance)).confirm(_always)

    # ---- the listing

    async def stored(self, session: str) -> list[StoredUtterance]:
        """What the server has stored of the session. Raises CheckImpossible."""
        where = shown(self.received_url or "")
        try:
            status, body = await self._listing(session)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            raise CheckImpossible(f"--received: {where} cannot be read ({type(exc).__name__})") from None
        if status == 404:  # of a session of which nothing is stored
            return []
        if status != 200:
            raise CheckImpossible(f"--received: {where} answers HTTP {status}")
        if len(body) > MAX_LISTING_BYTES:
            raise CheckImpossible(f"--received: the answer of {where} has more than {MAX_LISTING_BYTES >> 20} MiB")
        try:
            return [each for each in read_listing(body).utterances if each.session == session]
        except ValueError as exc:
            raise CheckImpossible(f"--received: the answer of {where} cannot be used: {exc}") from None

    async def _listing(self, session: str) -> tuple[int, bytes]:
        assert self.received_url is not None
        timeout = aiohttp.ClientTimeout(total=LISTING_S)
        context = self.client_tls.context() if self.received_url.startswith("https://") else True
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=self.headers()) as http,
            http.get(self.received_url, params={"session": session}, ssl=context) as answer,
        ):
            body = bytearray()
            async for piece in answer.content.iter_chunked(1 << 16):
                body += piece
                if len(body) > MAX_LISTING_BYTES:
                    answer.close()
                    break
            return answer.status, bytes(body)

    async def must_have(self, *sent: Sent) -> None:
        """Compare the listing with what was sent. Raises CheckFailed and CheckImpossible.

        A server that stores late is not judged here, but by the checks `pongs` and `post`: it gets STORED_S after the
        last change of the difference.
        """
        loop = asyncio.get_running_loop()
        begun = changed = loop.time()
        before: str | None = None
        while (found := await self.difference(*sent)) is not None:
            now = loop.time()
            if found != before:
                before, changed = found, now
            if now > changed + STORED_S or now > begun + MAX_STORED_S:
                late = f", {now - begun:.0f} s after it was confirmed" if MISSING in found else ""
                raise CheckFailed(found + late)
            await asyncio.sleep(LOOK_EVERY_S)

    async def difference(self, *sent: Sent) -> str | None:
        """How the listing differs from what was sent at this moment; None if it does not. Raises CheckImpossible."""
        listed = [await self.stored(session) for session in {each.utterance.session for each in sent}]
        return difference(sent, list(itertools.chain.from_iterable(listed)))


@dataclass
class SpeechConnection:
    """One WebSocket, written to as ws_bridge does."""

    link: WebSocketLink = field(init=False)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """The link has room again, or has ended."""
        self._woken.set()

    async def send(
        self, utterance: Utterance, first: int = 0, stop: int | None = None, *, complete: bool = False
    ) -> None:
        """Write chunks from `first` up to but not including `stop`, then `complete` if asked for. Raises LinkLost."""
        self.link.begin(utterance.speech)
        for chunk in utterance.chunks(first, stop):
            await self._room()
            self.link.write(utterance.start, chunk)
        if complete:
            await self._room()
            self.link.complete(utterance.start, utterance.end)

    async def _room(self) -> None:
        while not self.link.room:
            if self.link.lost is not None:
                raise self.link.lost
            self._woken.clear()
            async with asyncio.timeout(ROOM_S):
                await self._woken.wait()

    async def confirmed(self) -> float:
        """Send a ping and wait for its pong; returns the seconds until it came. Raises LinkLost."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        await self.link.confirm(_always)
        return loop.time() - asked


async def filled(sink: HttpSink, utterance: Utterance) -> HttpLink:
    """A link that has the whole utterance; `confirm` POSTs it."""
    link = await sink.connect(utterance.session, utterance.phone, _nothing)
    link.begin(utterance.speech)
    for chunk in utterance.chunks():
        link.write(utterance.start, chunk)
    link.complete(utterance.start, utterance.end)
    return link


def shown(url: str) -> str:
    """Return an address without user, password and query, which may be secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _always() -> bool:
    return True


def _nothing() -> None:
    """Nobody waits for room: a POST is collected in memory."""
