"""Stored chunks of a real synth: offsets sum up, and their sentences and words cover the request's text in order."""

from __future__ import annotations

import itertools
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract import subjects
from orastream.contract.audio import FORMATS, Format
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.sentence_start import SentenceStart, chunk_message_bytes
from orastream.contract.word_time import WordTime
from orastream.jetstream.api import JetStream
from tests.support.inprocess import running_node
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.services import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

NOWHERE = "http://127.0.0.1:1"
KOREAN = "안녕하세요, 반갑습니다 😊. 오늘은 3.14 킬로미터를 걸었습니다.\n\n네. The weather was fine!  내일 또 만나요"
KOREAN_SENTENCES = [
    "안녕하세요, 반갑습니다 😊.",
    "오늘은 3.14 킬로미터를 걸었습니다.",
    "네.",
    "The weather was fine!",
    "내일 또 만나요",
]
SSML = (
    "<?xml version='1.0'?><speak>\n  <break time='500ms'/>가나 &amp; 다라.\n  <p>하나<emphasis>둘</emphasis>\n 셋.</p>"
    "<desc>설명</desc><sub alias='세계보건기구'>WHO</sub>입니다. <break time='1s'/>끝.</speak>"
)
SSML_SENTENCES = [
    ("가나 & 다라.", "가나 &amp; 다라."),
    ("하나둘 셋.", "하나<emphasis>둘</emphasis>\n 셋."),
    ("WHO입니다.", "WHO</sub>입니다."),
    ("끝.", "끝."),
]
IDS: dict[str, Any] = {"session_id": "s", "phone_id": "p", "transport": "none", "fire_and_forget": True}

Parts = tuple[list[AudioStart], list[AudioChunk], AudioEnd]


async def audio_of(client: Client, accepted: Acceptance) -> Parts:
    """The stored starts, chunks and end of a request."""
    messages = [m async for m in client.audio(accepted.session_id, accepted.request_id, accepted.request_seq)]
    chunks = [message for message in messages if isinstance(message, AudioChunk)]
    end = messages[-1]
    assert isinstance(end, AudioEnd) and end.status == "complete", end
    return [message for message in messages if isinstance(message, AudioStart)], chunks, end


async def say(client: Client, text: str, request: str, **options: Any) -> Acceptance:
    accepted = await client.say(text, request_id=request, **IDS, **options)
    assert isinstance(accepted, Acceptance)
    return accepted


def checked(chunks: list[AudioChunk], end: AudioEnd, *, slack_ms: int = 0) -> list[SentenceStart]:
    """The sentences of the chunks, after a check of offsets and times."""
    offset = 0
    for chunk in chunks:
        assert chunk.offset == offset
        offset += len(chunk.audio)
    assert offset == end.total_bytes
    ends_ms = [*(chunk.pts_ms for chunk in chunks[1:]), int(end.audio_seconds * 1000)]
    for chunk, end_ms in zip(chunks, ends_ms, strict=True):
        for start in chunk.sentences:
            assert chunk.pts_ms <= start.ms <= end_ms + slack_ms
    starts = [start for chunk in chunks for start in chunk.sentences]
    assert [start.number for start in starts] == list(range(len(starts)))
    assert [start.ms for start in starts] == sorted({start.ms for start in starts})
    check_words(chunks, starts, ends_ms, slack_ms)
    return starts


def words_of(chunks: list[AudioChunk]) -> list[WordTime]:
    """All words, in order."""
    return [word for chunk in chunks for word in chunk.words]


def check_words(chunks: list[AudioChunk], starts: list[SentenceStart], ends_ms: list[int], slack_ms: int) -> None:
    """Each word is in its sentence, after the word before, and in the chunk in which it ends."""
    for chunk, end_ms in zip(chunks, ends_ms, strict=True):
        for word in chunk.words:
            assert chunk.pts_ms <= word.end_ms + 1 + slack_ms and word.end_ms <= end_ms + 1 + slack_ms
            start = starts[word.sentence]
            assert start.first is not None and start.end is not None
            assert start.first <= word.first <= word.end <= start.end and start.ms <= word.begin_ms + 1
    for word, following in itertools.pairwise(words_of(chunks)):
        assert word.begin_ms < word.end_ms <= following.begin_ms
        assert word.first <= following.first and word.end <= following.end


def check_covered(text: str, chunks: list[AudioChunk]) -> None:
    """Each letter and digit of the text is in a word."""
    covered = {at for word in words_of(chunks) for at in range(word.first, word.end)}
    missing = {at for at, char in enumerate(text) if char.isalnum()} - covered
    assert not missing, "".join(text[at] for at in sorted(missing))


async def test_sentences_of_a_korean_text_in_every_format(
    nats_server: NatsServer, js: JetStream, client: Client
) -> None:
    async with running_node(nats_server.url, NOWHERE, ("synth",)):
        accepted: dict[Format, Acceptance] = {}
        for fmt in FORMATS:
            accepted[fmt] = await say(client, KOREAN, fmt, format=fmt)
        times: list[list[int]] = []
        words: list[list[WordTime]] = []
        for request in accepted.values():
            _, chunks, end = await audio_of(client, request)
            starts = checked(chunks, end)
            assert [start.text for start in starts] == KOREAN_SENTENCES
            assert [KOREAN[start.first : start.end] for start in starts] == KOREAN_SENTENCES
            times.append([start.ms for start in starts])
            words.append(words_of(chunks))
            check_covered(KOREAN, chunks)
        assert all(abs(a - b) <= 1 for other in times for a, b in zip(times[0], other, strict=True)), (
            "the same speech has other times in another format"
        )
        assert all(other == words[0] for other in words), "the same words have other times in another format"


async def test_sentences_of_ssml_are_in_the_document(nats_server: NatsServer, client: Client) -> None:
    async with running_node(nats_server.url, NOWHERE, ("synth",)):
        _, chunks, end = await audio_of(client, await say(client, SSML, "r", ssml=True, sample_rate=16_000))
        starts = checked(chunks, end)
    assert [(start.text, SSML[start.first : start.end]) for start in starts] == SSML_SENTENCES
    assert starts[0].ms == 500, "the silence before the first sentence is not part of it"
    words = [SSML[word.first : word.end] for word in words_of(chunks)]
    assert words[0] == "가나" and "WHO</sub>입니다" in words and words[-1] == "끝", words


@pytest.mark.parametrize("beginning", ["", "앞. 그 "])
async def test_sentences_of_a_streamed_text_are_in_all_pieces_joined(
    nats_server: NatsServer, client: Client, beginning: str
) -> None:
    async with running_node(nats_server.url, NOWHERE, ("synth",)):
        ids = {"session_id": "s", "phone_id": "p", "request_id": "r", "transport": "none"}
        async with client.utterance(text=beginning, **ids) as utterance:
            for at in range(0, len(KOREAN), 3):
                await utterance.write(KOREAN[at : at + 3])
        report = await client.wait("s", "r", 30)
        _, chunks, end = await audio_of(client, Acceptance("r", "s", report.request_seq))
    starts = checked(chunks, end)
    assert end.text == beginning + KOREAN
    assert [end.text[start.first : start.end] for start in starts] == [start.text for start in starts]
    assert "".join("".join(start.text for start in starts).split()) == "".join(end.text.split())
    for chunk in chunks:
        assert all(start.text == chunk.text for start in chunk.sentences), "a chunk has the text of one sentence"
        assert {word.sentence for word in chunk.words} <= {chunk.sentence}, "a word has come with a later sentence"
    check_covered(end.text, chunks)


async def test_another_synth_goes_on_at_any_chunk_with_the_same_sentences(
    nats_server: NatsServer, js: JetStream, client: Client
) -> None:
    """What a synth stored before it died is there, and the next one has the same engine."""
    async with running_node(nats_server.url, NOWHERE, ("synth",)):
        (start,), whole, end = await audio_of(client, await say(client, KOREAN, "whole"))
    expected = checked(whole, end)
    requests: list[Acceptance] = []
    for stored in range(1, len(whole), 3):
        requests.append(await say(client, KOREAN, f"r{stored}"))
        subject = NAMES.put_audio("s", subjects.token(f"r{stored}"))
        ours = replace(start, request_seq=requests[-1].request_seq)
        attempt = (await js.store(subject, ours.pack())).sequence
        for chunk in whole[:stored]:
            await js.store(subject, replace(chunk, attempt=attempt).pack())
    async with running_node(nats_server.url, NOWHERE, ("synth",)):
        for request in requests:
            starts, chunks, ended = await audio_of(client, request)
            assert len(starts) > 1, "no other attempt was made"
            assert checked(chunks, ended) == expected
            assert words_of(chunks) == words_of(whole)
            assert b"".join(chunk.audio for chunk in chunks) == b"".join(chunk.audio for chunk in whole)


@pytest.mark.parametrize("options", [{"format": "wav", "sample_rate": 16_000}, {"format": "opus"}, {"ssml": True}])
async def test_words_are_the_same_after_kill_9(client: Client, stack: Stack, options: dict[str, Any]) -> None:
    """Two synths die, each after its first chunks; the third one finishes. Another request is spoken in one piece."""
    text = SSML if options.get("ssml") else KOREAN
    accepted = await say(client, text, "killed", **options)
    for number in (1, 2):
        synth = stack.add("synth", TTS_ENGINE_RTF=0.5, SYNTH_SLOTS=1)
        await synth.start()
        async with aclosing(client.audio(accepted.session_id, "killed", accepted.request_seq)) as messages:
            attempts = 0
            async for message in messages:
                attempts += isinstance(message, AudioStart)
                assert not isinstance(message, AudioEnd), "the synth has finished before it was killed"
                if attempts == number and isinstance(message, AudioChunk) and message.index >= 4 * number:
                    break
        synth.kill()
    await stack.start("synth", SYNTH_SLOTS=1)
    whole = await audio_of(client, await say(client, text, "whole", **options))
    starts, chunks, end = await audio_of(client, accepted)
    assert len(starts) == 3
    checked(whole[1], whole[2])
    checked(chunks, end, slack_ms=500 if options.get("format") == "opus" else 0)  # times of chunks after an attempt
    assert words_of(chunks) == words_of(whole[1]) != []
    assert b"".join(chunk.audio for chunk in chunks) == b"".join(chunk.audio for chunk in whole[1])


@pytest.mark.parametrize("old", [False, True])
async def test_redelivered_audio_has_offsets_and_the_sentences_that_are_stored(
    nats_server: NatsServer, js: JetStream, client: Client, old: bool
) -> None:
    """`old`: the audio is from a synth without these fields."""
    async with running_node(nats_server.url, NOWHERE, ("synth",)):
        (start,), whole, end = await audio_of(client, await say(client, KOREAN, "r"))
        await client.wait("s", "r", 30)
        if old:
            subject = NAMES.put_audio("s", subjects.token("r"))
            for message in await js.read(NAMES.audio_stream, NAMES.audio("s", subjects.token("r")), 0):
                await js.delete(NAMES.audio_stream, message.sequence)
            attempt = (await js.store(subject, start.pack())).sequence
            for chunk in whole:
                await js.store(subject, replace(chunk, attempt=attempt, offset=None, sentences=(), words=()).pack())
            await js.store(subject, replace(end, attempt=attempt).pack())
        ids = {"sessionId": "s", "phoneId": "p", "requestId": "again", "redeliverOf": "r", "transport": "none"}
        again, _ = await client.submit(ids)
        _, chunks, ended = await audio_of(client, again)
    assert checked(chunks, ended) == ([] if old else checked(whole, end))
    assert words_of(chunks) == ([] if old else words_of(whole))
    assert [(c.index, c.offset, c.audio) for c in chunks] == [(c.index, c.offset, c.audio) for c in whole]


async def test_no_chunk_is_larger_than_its_bound(nats_server: NatsServer, js: JetStream, client: Client) -> None:
    """The content of a `sub` is one sentence, of any length; many short ones begin in one chunk without the ramp."""
    long = f"<speak><sub alias='네'>{'긴 문장 ' * 900}</sub></speak>"
    size = 65_536
    async with running_node(nats_server.url, NOWHERE, ("synth",), websocket_chunk_size=size, chunk_ramp=False):
        _, (chunk,), _ = await audio_of(client, await say(client, long, "long", ssml=True))
        assert len(chunk.sentences[0].text) > 4_000
        assert long[chunk.sentences[0].first : chunk.sentences[0].end] == "긴 문장 " * 900
        _, chunks, end = await audio_of(client, await say(client, "네.\n" * 300, "many", format="opus"))
        assert len(checked(chunks, end)) == 300 and len(words_of(chunks)) == 300
    for request in ("long", "many"):
        for message in await js.read(NAMES.audio_stream, NAMES.audio("s", subjects.token(request)), 0):
            assert len(message.data) + 1_024 < chunk_message_bytes(size, 5_000)
