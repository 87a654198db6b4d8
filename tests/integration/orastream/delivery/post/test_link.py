"""Delivery over HTTP to real sockets that stall: each stall has its time limit, and does not delay other POSTs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.delivery.post import link as link_module
from orastream.delivery.post.link import HttpLink
from orastream.delivery.post.sink import HttpSink, http_client
from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.delivery.sink import LinkLost, Speech
from tests.support.tcp_server import serving

pytestmark = pytest.mark.integration

START = AudioStart(1, "pcm16", 22_050, 1, "espeak", "ko-KR")
MANY = 130
"""More connections than aiohttp opens by default (100)."""
SMALL_BYTES = 4 << 10
"""What a slow OraServer takes at a time, and its receive buffer."""

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def oraserver(handler: Handler, *, listening: socket.socket | None = None) -> AsyncIterator[HttpSink]:
    """A sink whose OraServer calls `handler` for each connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.transport.abort()

    async with serving(handle, listening=listening, limit=SMALL_BYTES) as port:
        async with http_client({}) as client:
            yield HttpSink(client, f"http://127.0.0.1:{port}/api/tts", DeliveryRules())


async def link_with(to: HttpSink, chunks: int) -> HttpLink:
    """A link with a complete utterance of this number of chunks of 64 KiB."""
    link = await to.connect("s", "p", lambda: None)
    link.begin(Speech("s", "p", "r", "r", "Hello."))
    for index in range(chunks):
        link.write(START, AudioChunk(1, index, 0, 0, bytes(1 << 16)))
    link.complete(START, AudioEnd(1, "complete", chunks, 0, 0.0))
    return link


async def post(to: HttpSink, *, chunks: int = 1, may_write: Callable[[], bool] = lambda: True) -> None:
    """Deliver such an utterance. Raises LinkLost."""
    await (await link_with(to, chunks)).confirm(may_write)


async def taken(reader: asyncio.StreamReader) -> None:
    """Read one complete request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


async def test_post_fails_when_oraserver_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "STALL_S", 0.3)

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with oraserver(deaf) as to, asyncio.timeout(20):
        with pytest.raises(LinkLost, match=r"took nothing for 0\.3 s"):
            await post(to, chunks=400)


async def test_post_succeeds_when_oraserver_takes_it_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """When aiohttp has passed all to the kernel, that sends for some more seconds: several times STALL_S."""
    monkeypatch.setattr(link_module, "STALL_S", 0.5)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BYTES)  # its connections get it too

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        left = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while left:
            left -= len(await reader.read(SMALL_BYTES))
            await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    async with oraserver(slow, listening=listening) as to, asyncio.timeout(30):
        await post(to, chunks=3)


async def test_post_fails_when_oraserver_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "SILENCE_S", 0.3)

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await taken(reader)
        await asyncio.sleep(30)

    async with oraserver(mute) as to, asyncio.timeout(20):
        with pytest.raises(LinkLost, match=r"was not answered for 0\.3 s"):
            await post(to)


@pytest.mark.parametrize("rest", ["endless", "no end", "too short"])
async def test_post_succeeds_whatever_the_body_of_the_answer(rest: str) -> None:
    async def talks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await taken(reader)
        if rest == "too short":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nOK")
            return
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while rest == "endless":
            writer.write(bytes(1 << 16))
            await writer.drain()
        await asyncio.sleep(30)

    async with oraserver(talks) as to, asyncio.timeout(20):
        await post(to)


async def test_a_post_is_completed_only_when_the_bridge_may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then OraServer has all of the body but its end. That it waits is not OraServer's fault."""
    monkeypatch.setattr(link_module, "STALL_S", 0.1)
    allowed, got = False, bytearray()

    async def takes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal allowed
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while piece := await reader.read(1 << 16):
                    got.extend(piece)
        assert len(got) < length
        with pytest.raises(ValueError, match="Unterminated|Expecting"):
            json.loads(bytes(got))
        allowed = True
        got.extend(await reader.readexactly(length - len(got)))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    async with oraserver(takes) as to, asyncio.timeout(20):
        await post(to, chunks=8, may_write=lambda: allowed)
    assert len(base64.b64decode(json.loads(bytes(got))["audioDataBase64"])) == 8 << 16


async def test_a_post_that_has_timed_out_is_not_received_later() -> None:
    """Its kernel would send the rest. By then the utterance may be cancelled, and the next one heard."""
    read, got = asyncio.Event(), bytearray()
    ended = asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's transport of a server can read
        await read.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        try:
            while piece := await reader.read(1 << 16):
                got.extend(piece)
        except ConnectionError:
            got.clear()
        ended.set()

    async with oraserver(late) as to, asyncio.timeout(20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(link_module, "SILENCE_S", 0.3)
            with pytest.raises(LinkLost, match=r"was not answered for 0\.3 s"):
                await post(to)
        read.set()
        await ended.wait()
    assert not got, "the connection was not reset"


@pytest.mark.parametrize("status", [200, 503])
async def test_a_post_that_is_answered_before_it_was_sent_is_not_delivered(status: int) -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d Hasty\r\nContent-Length: 0\r\n\r\n" % status)
        await writer.drain()
        await asyncio.sleep(5)

    async with oraserver(hasty) as to, asyncio.timeout(20):
        with pytest.raises(LinkLost, match=f"HTTP {status}"):
            await post(to, chunks=64)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nunfinished", "the POST was answered by HTTP 403"),
        (b"HTTP/1.1 401 No\r\n\r\n", "the POST was answered by HTTP 401"),
        (
            b"HTTP/1.1 413 No\r\n\r\n",
            "the POST was answered by HTTP 413: OraServer does not take a body of 87537 bytes",
        ),
    ],
)
@pytest.mark.parametrize("read", [True, False])
async def test_a_refusal_is_final_whatever_follows_its_first_line(answer: bytes, reason: str, read: bool) -> None:
    """Also one that OraServer sends before it has read the body."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (taken(reader) if read else reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.write_eof()
        await reader.read()

    async with oraserver(refuse) as to, asyncio.timeout(20):
        with pytest.raises(LinkLost) as caught:
            await post(to)
    assert str(caught.value) == reason and caught.value.refused


async def test_slow_posts_do_not_delay_others() -> None:
    release = asyncio.Event()
    arrived = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        await taken(reader)
        arrived += 1
        if arrived == MANY:
            release.set()
        await release.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    async with oraserver(slow) as to, asyncio.timeout(30):
        await asyncio.gather(*(post(to) for _ in range(MANY)))


async def test_an_abandoned_file_does_not_arrive_whole() -> None:
    """OraServer begins to read after the cancel. It gets what its own kernel has, and then a reset."""
    arrived, read = asyncio.Event(), asyncio.Event()
    got = bytearray()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's transport of a server can read
        arrived.set()
        await read.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1 << 16):
                got.extend(piece)
        read.clear()

    async with oraserver(late) as to, asyncio.timeout(20):
        link = await link_with(to, 8)
        posting = asyncio.ensure_future(link.confirm(lambda: True))
        await arrived.wait()
        await asyncio.sleep(0.3)  # aiohttp and the kernels hold as much of the body as they take
        link.abandon()
        with pytest.raises(LinkLost, match="cut"):
            await posting
        read.set()
        while read.is_set():
            await asyncio.sleep(0.01)
    assert len(got) < 8 * (1 << 16)
