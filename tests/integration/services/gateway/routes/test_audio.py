"""Finished files of the gateway: their length, their parts and their entity tag, of real speech and of stored audio."""

from __future__ import annotations

import asyncio
import io
import wave

import aiohttp
import av
import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.audio import FORMATS, PcmSpec, wav_header
from orastream.contract.audio_messages import AudioChunk, AudioEnd
from orastream.jetstream.api import JetStream
from tests.integration.services.gateway.routes.test_live import PIECES, SentRequest, error_of, say
from tests.support.names import NAMES
from tests.support.services import ServiceProcess, Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

TEXT = "안녕하세요. 오늘은 날씨가 아주 맑습니다."
FILE = b"".join(PIECES)


async def part(http: aiohttp.ClientSession, url: str, value: str, **more: str) -> tuple[int, bytes, str]:
    """Status, body and Content-Range of the answer to this Range."""
    headers = {"Range": value, **{name.replace("_", "-"): text for name, text in more.items()}}
    async with http.get(url, headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers.get("Content-Range", "")


async def finished(http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream, request: str) -> SentRequest:
    """A request whose audio is complete, and stored in another order than that of the file."""
    sent = await say(http, gateway, js, request)
    await sent.starts("pcm16")
    for index in (0, 2, 1):
        await sent.chunk(index)
    await sent.ends()
    return sent


async def test_finished_speech_of_each_format_has_its_length_and_parts_that_fit_together(
    stack: Stack, client: Client, http: aiohttp.ClientSession, gateway: ServiceProcess
) -> None:
    await stack.start("synth")
    (other,) = await stack.start("gateway")
    for fmt in FORMATS:
        rate = {} if fmt in ("wav", "flac", "pcm16", "mulaw", "alaw") else {"sample_rate": 24_000}
        accepted = await client.say(
            TEXT,
            session_id="s",
            phone_id="p",
            request_id=fmt,
            transport="none",
            fire_and_forget=True,
            format=fmt,
            **rate,
        )
        assert isinstance(accepted, Acceptance)
        messages = [m async for m in client.audio("s", fmt, accepted.request_seq)]
        stored = b"".join(m.audio for m in messages if isinstance(m, AudioChunk))
        end = messages[-1]
        assert isinstance(end, AudioEnd)
        assert (await client.wait("s", fmt, 20)).status == "delivered"
        path = f"/api/audio/s/{fmt}"
        async with http.get(gateway.url + path) as answer:
            file, headers = await answer.read(), answer.headers
        assert int(headers["Content-Length"]) == len(file) == len(stored)
        assert (headers["Accept-Ranges"], headers["X-Audio-Format"]) == ("bytes", fmt)
        assert file[44:] == stored[44:] and (file == stored) is (fmt not in ("wav", "flac"))
        async with http.head(other.url + path) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
            for name in ("Content-Length", "Content-Type", "ETag", "Accept-Ranges", "X-Sample-Rate", "Cache-Control"):
                assert answer.headers[name] == headers[name], "the same file at each gateway"
        step = len(file) // 5 + 1
        parts = []
        for at in range(0, len(file), step):
            url = (gateway, other)[at // step % 2].url + path
            status, body, said = await part(http, url, f"bytes={at}-{at + step - 1}", If_Range=headers["ETag"])
            assert (status, said) == (206, f"bytes {at}-{at + len(body) - 1}/{len(file)}")
            parts.append(body)
        assert b"".join(parts) == file
        assert (await part(http, gateway.url + path, "bytes=-7"))[1] == file[-7:]
        if fmt == "wav":
            with wave.open(io.BytesIO(file)) as read:
                assert read.getnframes() == round(end.audio_seconds * read.getframerate()) == (len(file) - 44) // 2
        elif fmt == "flac":
            with av.open(io.BytesIO(file)) as container:
                stream = container.streams.audio[0]
                assert stream.duration == round(end.audio_seconds * stream.rate)
                decoded = sum(frame.samples for frame in container.decode(audio=0))
            assert decoded == stream.duration


async def test_parts_of_stored_audio_and_conditions(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    sent = await finished(http, gateway, js, "r1")
    await sent.final("delivered")
    url = gateway.url + sent.path
    for first in range(len(FILE)):
        last = min(first + 9, len(FILE) - 1)
        expected = (206, FILE[first : last + 1], f"bytes {first}-{last}/{len(FILE)}")
        assert await part(http, url, f"bytes={first}-{first + 9}") == expected
    for value in ("bytes=0-1,4-5", "bytes=5-4", "seconds=0-1", f"bytes={'9' * 5000}-"):
        assert await part(http, url, value) == (200, FILE, "")
    assert (await part(http, url, "bytes=3-", If_Range='"another file"'))[:2] == (200, FILE)
    status, body, said = await part(http, url, f"bytes={len(FILE)}-")
    assert (status, said) == (416, f"bytes */{len(FILE)}") and b"invalid_range" in body
    async with http.get(url, headers={"Range": "bytes=2-"}) as answer:
        etag = answer.headers["ETag"]
    async with http.get(url, headers={"If-None-Match": etag}) as answer:
        assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", etag)
    async with http.get(url, headers={"If-Match": '"another"'}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (412, "precondition_failed")
    async with http.head(url, headers={"Range": "bytes=2-3"}) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(FILE)))
    async with http.head(f"{gateway.url}/api/audio/s1/unknown") as answer:
        assert (answer.status, await answer.read()) == (404, b"")
    async with http.head(f"{gateway.url}/api/reports/s1/r1") as answer:
        assert answer.status == 405
    assert await gateway.metric("orastream_gateway_in_flight") == 0


async def test_audio_that_is_still_made_has_no_parts_yet(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    """A range is ignored until the end is stored. After it the file has parts, also before the report is final."""
    sent = await say(http, gateway, js)
    await sent.starts("pcm16")
    await sent.chunk(0)
    url = gateway.url + sent.path
    async with http.head(url) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert not {"Content-Length", "ETag", "Accept-Ranges"} & set(answer.headers)
    async with http.get(url, headers={"Range": "bytes=3-5"}) as answer:
        assert answer.status == 200 and not {"Content-Length", "ETag", "Accept-Ranges"} & set(answer.headers)
        await sent.chunk(1)
        await sent.chunk(2)
        await sent.ends()
        assert await answer.read() == FILE
    assert (await part(http, url, "bytes=3-5"))[:2] == (206, FILE[3:6])
    await sent.final("delivered")
    assert (await part(http, url, "bytes=3-5"))[:2] == (206, FILE[3:6])


async def test_wav_that_was_cancelled_has_the_sizes_of_what_was_made(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    sent = await say(http, gateway, js)
    await sent.starts()
    await sent.put(AudioChunk(sent.attempt, 0, 0, 0, wav_header(PcmSpec(22_050)) + b"\1\0" * 500))
    await sent.ends("cancelled", 1)
    await sent.final("cancelled")
    async with http.get(gateway.url + sent.path) as answer:
        with wave.open(io.BytesIO(await answer.read())) as read:
            assert (read.getnframes(), read.readframes(501)) == (500, b"\1\0" * 500)


async def test_audio_that_is_deleted_is_gone_and_breaks_off_an_answer_that_has_begun(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    sent = await finished(http, gateway, js, "gone")
    await sent.final("delivered")
    url = gateway.url + sent.path
    assert (await part(http, url, "bytes=0-"))[1] == FILE
    (first, *_) = await js.read(NAMES.audio_stream, NAMES.audio("s1", "gone"), 0)
    await js.purge(NAMES.audio_stream, below=first.sequence + 2)  # as the age limit does: the oldest first
    assert await error_of(http, url) == (410, "audio_expired")
    await js.purge(NAMES.audio_stream, NAMES.audio("s1", "gone"))
    for _ in range(2):
        status, body, _ = await part(http, url, "bytes=5-")
        assert status == 410 and b"audio_expired" in body

    long = await say(http, gateway, js, "long")
    await long.starts("pcm16")
    piece = b"\1\0" * 100_000
    for index in range(100):
        last = await long.put(AudioChunk(long.attempt, index, 0, 0, piece))
    await long.put(AudioEnd(long.attempt, "complete", 100, 100 * len(piece), 1.0))
    async with http.get(gateway.url + long.path) as answer:
        assert answer.headers["Content-Length"] == str(100 * len(piece))
        await answer.content.readexactly(1000)
        await js.purge(NAMES.audio_stream, below=last)
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(answer.read(), 30)
    assert "Traceback" not in gateway.text()


@pytest.mark.parametrize(("method", "header"), [("HEAD", "X-Any"), ("GET", "If-None-Match")])
async def test_answer_without_a_body_is_given_only_while_the_audio_is_stored(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream, method: str, header: str
) -> None:
    """The gateway keeps the index of a file that it has read; a player that asks for the headers must not believe it.

    The request was cancelled, which is no reason to say that it never had any audio.
    """
    sent = await finished(http, gateway, js, "r1")
    await sent.final("cancelled")
    async with http.head(gateway.url + sent.path) as answer:
        etag = answer.headers["ETag"]
    await js.purge(NAMES.audio_stream, NAMES.audio("s1", "r1"))
    async with http.request(method, gateway.url + sent.path, headers={header: etag}) as answer:
        assert answer.status == 410
        assert method == "HEAD" or (await answer.json())["error"]["code"] == "audio_expired"


async def test_many_readers_of_one_file_get_the_same_bytes(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    sent = await finished(http, gateway, js, "r1")
    await sent.final("delivered")

    async def read(first: int) -> bytes:
        return (await part(http, gateway.url + sent.path, f"bytes={first}-"))[1]

    got = await asyncio.gather(*(read(first) for first in range(len(FILE)) for _ in range(3)))
    assert [len(body) for body in got] == [len(FILE) - first for first in range(len(FILE)) for _ in range(3)]
    assert all(FILE.endswith(body) for body in got)
