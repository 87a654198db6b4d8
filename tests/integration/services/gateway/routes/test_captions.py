"""Captions of the gateway: of real speech, and of audio that a test stores as synth does."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.audio import with_true_sizes
from orastream.contract.audio_messages import AudioChunk, AudioEnd
from orastream.contract.messages import ReportError
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.word_time import WordTime
from orastream.jetstream.api import JetStream
from services.gateway.captions.caption_files import ESTIMATED_NOTE
from tests.integration.services.gateway.routes.test_live import PIECES, SentRequest, error_of, say
from tests.support.caption_parser import ReadCue, read_subrip, read_webvtt
from tests.support.names import NAMES
from tests.support.processes import until
from tests.support.services import ServiceProcess, Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

TEXT = (
    "3명이 2025년에 왔어요. 오늘은 3.14 킬로미터를 걸었고, 내일은 친구 5명과 함께 부산까지 기차를 타고 "
    "가려고 합니다!\n\n"
    'The 3 dogs cost $25 & "barked" <3 times --> at 7 cats, because nobody had fed them for 2 days. 네.'
)
SSML = (
    "<speak>3명이 <emphasis>2025년</emphasis>에 왔어요.<break time='300ms'/> "
    "<sub alias='세계보건기구'>WHO</sub> &amp; 나.</speak>"
)
KEY = "shop-secret-0123"
SENTENCES = (SentenceStart(0, 0, "하나 둘.", 0, 5), SentenceStart(1, 150, "셋 넷 다섯.", 6, 13))
WORDS = (WordTime(0, 0, 2, 0, 50), WordTime(0, 3, 4, 50, 100))


async def webvtt_of(http: aiohttp.ClientSession, url: str, **headers: str) -> tuple[list[str], list[ReadCue]]:
    """Comments and cues of the WebVTT file, after a check of these headers."""
    async with http.get(url, params={"captions": "vtt"}) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"] == "text/vtt; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for name, value in headers.items():
            assert answer.headers[f"X-{name.replace('_', '-')}"] == value
        return read_webvtt((await answer.read()).decode())


async def until_in_flight(gateway: ServiceProcess) -> None:
    async def in_flight() -> bool:
        return await gateway.metric("orastream_gateway_in_flight") == 1

    await until(in_flight, "the request is in flight")


def joined(cues: list[ReadCue]) -> str:
    return "".join("".join(cue.text for cue in cues).split())


async def chunks_of(client: Client, accepted: Acceptance) -> tuple[list[AudioChunk], AudioEnd]:
    messages = [m async for m in client.audio(accepted.session_id, accepted.request_id, accepted.request_seq)]
    end = messages[-1]
    assert isinstance(end, AudioEnd) and end.status == "complete"
    return [message for message in messages if isinstance(message, AudioChunk)], end


@pytest.mark.parametrize("options", [{}, {"format": "opus"}, {"ssml": True}])
async def test_captions_of_speech_are_the_text_as_it_was_written(
    stack: Stack, client: Client, http: aiohttp.ClientSession, gateway: ServiceProcess, options: dict[str, object]
) -> None:
    """Asked for before anything is spoken: the answer comes with the end of the audio."""
    text = SSML if "ssml" in options else TEXT
    accepted = await client.say(
        text, session_id="s", phone_id="p", request_id="r", transport="none", fire_and_forget=True, **options
    )
    assert isinstance(accepted, Acceptance)
    url = f"{gateway.url}/api/audio/s/r"
    early = asyncio.create_task(webvtt_of(http, url, Caption_Times="words", Audio_Status="complete"))
    await stack.start("synth")
    notes, cues = await early
    assert notes == []
    chunks, end = await chunks_of(client, accepted)
    sentences = [start for chunk in chunks for start in chunk.sentences]
    assert joined(cues) == "".join("".join(start.text for start in sentences).split())
    assert "3명이2025년에왔어요." in joined(cues)
    if not options.get("ssml"):
        assert joined(cues) == "".join(TEXT.split())
    assert {start.ms for start in sentences} <= {cue.begin_ms for cue in cues}
    words = [word for chunk in chunks for word in chunk.words]
    assert cues[-1].end_ms == words[-1].end_ms <= end.audio_seconds * 1000
    times = {word.begin_ms for word in words}
    shown = [ms for cue in cues for _, ms in cue.words]
    assert len(shown) >= 3 and set(shown) <= times
    async with http.get(url, params={"captions": "srt"}) as answer:
        assert answer.headers["Content-Type"] == "application/x-subrip; charset=utf-8"
        assert answer.headers["X-Caption-Times"] == "words"
        subrip = read_subrip((await answer.read()).decode())
    assert [(cue.begin_ms, cue.end_ms) for cue in subrip] == [(cue.begin_ms, cue.end_ms) for cue in cues]
    assert joined(subrip) == joined(cues)
    file = bytearray().join(chunk.audio for chunk in chunks)
    async with http.get(url) as answer:  # the audio is as before
        assert await answer.read() == (file if options.get("format") else with_true_sizes(file))


async def test_captions_of_a_streamed_text(
    stack: Stack, client: Client, http: aiohttp.ClientSession, gateway: ServiceProcess
) -> None:
    await stack.start("synth")
    ids = {"session_id": "s", "phone_id": "p", "request_id": "r", "transport": "none"}
    async with client.utterance(text="앞. 그 ", **ids) as utterance:
        early = asyncio.create_task(webvtt_of(http, f"{gateway.url}/api/audio/s/r", Caption_Times="words"))
        for at in range(0, len(TEXT), 7):
            await utterance.write(TEXT[at : at + 7])
    notes, cues = await early
    assert (notes, joined(cues)) == ([], "앞.그" + "".join(TEXT.split()))


async def test_times_without_words_are_estimated_and_the_file_says_so(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    sent = await say(http, gateway, js)
    url = gateway.url + sent.path
    reading = asyncio.create_task(webvtt_of(http, url, Caption_Times="estimated", Audio_Status="complete"))
    await sent.starts()
    await sent.chunk(0, sentences=SENTENCES[:1])
    await sent.chunk(2)  # chunks may be stored in another order than their indexes
    await sent.chunk(1, sentences=SENTENCES[1:])
    await asyncio.sleep(0.3)
    assert not reading.done(), "the answer has come before the end of the audio"
    await sent.ends()
    expected = [ReadCue(0, 150, "하나 둘."), ReadCue(150, 300, "셋 넷 다섯.")]
    assert await reading == ([ESTIMATED_NOTE], expected)
    async with http.get(url, params={"captions": "srt"}) as answer:
        assert answer.headers["X-Caption-Times"] == "estimated"


async def test_captions_of_cut_audio_are_those_of_what_was_made(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    for status, words, text in (("cancelled", WORDS[:1], "하나"), ("failed", WORDS, "하나 둘.")):
        sent = await say(http, gateway, js, status)
        url = gateway.url + sent.path
        reading = asyncio.create_task(webvtt_of(http, url, Audio_Status=status, Caption_Times="words"))
        await sent.starts()
        await sent.chunk(0, sentences=SENTENCES[:1], words=words)
        if status == "cancelled":
            await sent.ends("cancelled", 1)
        else:
            await sent.final("failed", error=ReportError.of("synth_stalled", "no sign of synthesis"))
        (note,), (cue,) = await reading
        assert status in note and cue.text == text
        assert (cue.begin_ms, cue.end_ms) == (0, words[-1].end_ms)


async def test_audio_of_an_older_synth_has_no_captions(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    sent = await say(http, gateway, js)
    await sent.starts()
    for index in range(len(PIECES)):
        await sent.chunk(index)
    await sent.ends()
    notes, cues = await webvtt_of(http, gateway.url + sent.path)
    assert (notes, cues) == (["The stored audio has no sentences."], [])


async def test_captions_are_refused_as_audio_is(stack: Stack, http: aiohttp.ClientSession, js: JetStream) -> None:
    (gateway,) = await stack.start("gateway", GATEWAY_WAIT_SECONDS=1)
    base = f"{gateway.url}/api/audio/s1"
    assert await error_of(http, f"{base}/r1?captions=vtt") == (404, "not_found")
    assert await error_of(http, f"{base}?captions=vtt") == (404, "not_found")
    assert await error_of(http, f"{base}/%00?captions=srt") == (422, "invalid_request")
    for wrong in ("", "VTT", "ass"):
        async with http.get(f"{base}/r1", params={"captions": wrong}) as answer:
            assert (answer.status, (await answer.json())["error"]["field"]) == (422, "captions")
    for request, error, expected in (
        ("gone", None, (410, "audio_expired")),
        ("failed", ReportError.of("engine_error", "broken"), (502, "engine_error")),
    ):
        ended = await say(http, gateway, js, request)
        await ended.final("failed" if error else "delivered", error=error)
        assert await error_of(http, f"{gateway.url}{ended.path}?captions=vtt") == expected
    waits = await say(http, gateway, js, "waits")
    assert await error_of(http, f"{gateway.url}{waits.path}?captions=vtt") == (504, "wait_timeout")
    await waits.starts()
    await waits.chunk(0, sentences=SENTENCES[:1])
    assert await error_of(http, f"{gateway.url}{waits.path}?captions=vtt") == (504, "wait_timeout"), "no end has come"


async def test_caller_that_leaves_frees_its_place_and_cancels_nothing(
    stack: Stack, http: aiohttp.ClientSession, js: JetStream
) -> None:
    (gateway,) = await stack.start("gateway", GATEWAY_API_KEYS=f"shop={KEY}", GATEWAY_CONCURRENT=1)
    assert await error_of(http, f"{gateway.url}/api/audio/s1/r1?captions=vtt") == (401, "unauthorized")
    http.headers["X-API-Key"] = KEY
    sent: SentRequest = await say(http, gateway, js)
    await sent.starts()
    await sent.chunk(0, sentences=SENTENCES[:1])
    url = f"{gateway.url}{sent.path}?captions=vtt"

    reading = asyncio.create_task(http.get(url))
    await until_in_flight(gateway)
    assert await error_of(http, url) == (429, "rate_limited")
    reading.cancel()

    async def free() -> bool:
        return await error_of(http, f"{gateway.url}/api/audio/s1/unknown") == (404, "not_found")

    await until(free, "the place of the caller is free")
    assert await gateway.metric("orastream_gateway_in_flight") == 0
    reading = asyncio.create_task(http.get(url))
    await until_in_flight(gateway)
    await sent.ends("complete", 1)
    async with await reading as answer:
        assert answer.status == 200
    assert await js.last(NAMES.sessions_stream, NAMES.session_cancel("s1")) is None


async def test_gateway_that_ends_does_not_wait_for_the_audio(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    sent = await say(http, gateway, js)
    await sent.starts()
    await sent.chunk(0)
    reading = asyncio.create_task(error_of(http, f"{gateway.url}{sent.path}?captions=vtt"))
    await until_in_flight(gateway)
    assert await gateway.stop() == 0
    assert await reading == (503, "unavailable")
