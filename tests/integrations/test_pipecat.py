"""`OrastreamTTSService` in a real Pipecat pipeline, on a real node: speaks, is interrupted, goes on."""

from __future__ import annotations

import asyncio
import runpy
import time
import wave
from pathlib import Path

import pytest
from pipecat.frames.frames import (
    AggregatedTextFrame,
    BotStartedSpeakingFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData, TTSUsageMetricsData
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.tts_service import TextAggregationMode
from pipecat.transcriptions.language import Language

from orastream.client.async_client import Client
from orastream.integrations.pipecat import OrastreamTTSService
from tests.integrations.pipecat_talk import RATE, WAV_HEADER, Loudspeaker, final, talk
from tests.support.scenes import reference
from tests.support.services import REPOSITORY, Stack
from tests.support.tcp_server import serving

pytestmark = [
    pytest.mark.integrations,
    pytest.mark.filterwarnings("default"),  # what the package and its libraries deprecate is not this project's
]

TOKENS = ("안녕하세요", ". ", "오늘은 ", "날씨가 ", "맑", "습니다. ", "산책을 ", "가시겠어요?")
TEXT = "".join(TOKENS)
LONG = "어제는 비가 왔지만 지금은 하늘이 아주 파랗습니다. " * 8
Settings = OrastreamTTSService.Settings


async def test_a_response_is_spoken_while_it_is_written(client: Client) -> None:
    tts = OrastreamTTSService(client=client)
    async with talk(tts, RATE) as it:
        await it.begin(*TOKENS[:4])
        await it.down.until(lambda: bool(it.of(TTSAudioRawFrame)))  # the second sentence is not complete
        await it.send(*map(LLMTextFrame, TOKENS[4:]), LLMFullResponseEndFrame())
        context = await it.stopped(1)
    assert it.errors == []
    assert it.audio(context) == (await reference(TEXT))[WAV_HEADER:]
    assert [frame.sample_rate for frame in it.of(TTSAudioRawFrame)][:1] == [RATE]
    (report,) = await final(client, tts)
    assert (report.status, report.transport, report.characters) == ("delivered", "none", len(TEXT))
    assert [data.value for data in it.metrics(TTSUsageMetricsData)] == [len(TEXT)]
    assert all(0 < data.value < 10 for data in it.metrics(TTFBMetricsData)) and it.metrics(TTFBMetricsData)


async def test_word_frames_have_the_text_as_written_and_the_times_of_the_words(client: Client) -> None:
    tokens = ("Hello", " there", ", my", " friend", ". ", "Today is", " sunny! ", "Shall ", "we walk", "?")
    tts = OrastreamTTSService(client=client, settings=Settings(language=Language.EN_US))
    async with talk(tts, RATE) as it:
        context = await it.say(*tokens)
    assert it.words(context) == "Hello there, my friend. Today is sunny! Shall we walk?".split()
    times = [frame.pts for frame in it.of(TTSTextFrame, context)]
    seconds = [(at - times[0]) / 1e9 for at in times]
    length_s = len(it.audio(context)) / (2 * RATE)
    assert seconds == sorted(seconds) and seconds[0] == 0 and 0.5 * length_s < seconds[-1] < length_s
    kinds = [type(f) for f in it.down.frames if getattr(f, "context_id", None) == context]
    kinds = [kind for kind in kinds if kind in (TTSStartedFrame, TTSAudioRawFrame, TTSTextFrame, TTSStoppedFrame)]
    assert kinds[0] is TTSStartedFrame and kinds[-1] is TTSStoppedFrame
    assert {frame.text for frame in it.of(AggregatedTextFrame) if frame.will_be_spoken} >= {"Hello there, my friend."}


async def test_an_interruption_cancels_the_request_and_the_talk_goes_on(client: Client) -> None:
    tts = OrastreamTTSService(client=client)
    async with talk(tts, RATE) as it:
        await it.begin(LONG)  # the LLM still writes
        await it.down.until(lambda: bool(it.of(TTSAudioRawFrame)))
        began = time.monotonic()
        await it.send(InterruptionFrame())
        await it.down.until(lambda: bool(it.of(InterruptionFrame)))
        assert time.monotonic() - began < 1
        context = await it.say("네, ", "말씀하세요.")
        before = it.down.frames[: it.down.frames.index(it.of(InterruptionFrame)[0])]
        assert [f for f in it.of(TTSAudioRawFrame) if f not in before] == it.of(TTSAudioRawFrame, context)
        assert it.audio(context) == (await reference("네, 말씀하세요."))[WAV_HEADER:]
        # A text that is complete, and whose audio is still made, is cancelled too.
        await it.send(TTSSpeakFrame(LONG))
        heard = len(it.of(TTSAudioRawFrame))
        await it.down.until(lambda: len(it.of(TTSAudioRawFrame)) > heard)
        await it.send(InterruptionFrame())
    assert [report.status for report in await final(client, tts, 3)] == ["cancelled", "delivered", "cancelled"]
    assert it.errors == []


async def test_what_is_not_interruptible_is_spoken_to_its_end(client: Client) -> None:
    tts, frame = OrastreamTTSService(client=client), TTSSpeakFrame("이 안내는 끝까지 말합니다.")
    frame.interruptible = False
    async with talk(tts, RATE) as it:
        await it.send(frame)
        await it.down.until(lambda: bool(it.of(TTSAudioRawFrame)))
        await it.send(InterruptionFrame())
        context = await it.stopped(1)
    assert it.audio(context) == (await reference("이 안내는 끝까지 말합니다."))[WAV_HEADER:]
    assert len(it.of(InterruptionFrame)) == 1


async def test_the_connection_opens_with_the_pipeline_which_does_not_wait_for_it() -> None:
    connected = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()

    async with serving(silent) as port, asyncio.timeout(10):
        tts = OrastreamTTSService(url=f"nats://127.0.0.1:{port}", connection={"connect_timeout_s": 0.2})
        async with talk(tts, RATE) as it:
            await connected.wait()
    assert it.errors == []


async def test_a_pipeline_that_is_cancelled_cancels_its_request(client: Client, node: Stack) -> None:
    tts = OrastreamTTSService(url=node.nats_server.url)
    async with talk(tts) as it:
        await it.send(TTSSpeakFrame(LONG))
        await it.down.until(lambda: bool(it.of(TTSAudioRawFrame)))
        await it.cancel()
    assert [report.status for report in await final(client, tts)] == ["cancelled"]


async def test_an_interruption_before_the_request_is_stored_leaves_nothing_on_the_node(client: Client) -> None:
    tts = OrastreamTTSService(client=client)
    async with talk(tts, RATE) as it:
        for count in range(1, 5):
            await it.begin("이것은 ", "중단됩니다. ", "끝")
            await it.down.until(lambda count=count: len(it.of(TTSStartedFrame)) == count)
            await it.send(InterruptionFrame())
            await it.down.until(lambda count=count: len(it.of(InterruptionFrame)) == count)
        await it.say("끝났습니다.")
    assert [report.status for report in await final(client, tts, 5)] == ["cancelled"] * 4 + ["delivered"]


async def test_the_context_of_the_llm_has_what_was_heard_before_an_interruption(client: Client) -> None:
    text = "One two three four. Five six seven eight. Nine ten eleven twelve."
    context = LLMContext()
    tts = OrastreamTTSService(client=client, settings=Settings(language=Language.EN_US))
    async with talk(tts, 24_000, Loudspeaker(), LLMContextAggregatorPair(context).assistant()) as it:
        await it.begin(text)
        await it.send(LLMFullResponseEndFrame())
        await it.down.until(lambda: bool(it.of(BotStartedSpeakingFrame)))
        await asyncio.sleep(1.5)
        await it.send(InterruptionFrame())
        await it.down.until(lambda: bool(it.of(InterruptionFrame)))
    (message,) = context.get_messages()
    heard = message["content"]
    assert text.startswith(heard) and heard.startswith("One two three") and len(heard) < 0.8 * len(text)
    assert it.errors == []


async def test_settings_that_change_in_a_turn_are_those_of_the_text_after_it(client: Client) -> None:
    tts = OrastreamTTSService(client=client)
    async with talk(tts, RATE) as it:
        await it.begin("하나 둘 셋. ")
        await it.send(TTSUpdateSettingsFrame(delta=Settings(speed=2.0)), LLMTextFrame("하나 둘 셋."))
        await it.send(LLMFullResponseEndFrame())
        context = await it.stopped(1)
    first, second = await final(client, tts, 2)
    assert it.words(context) == ["하나", "둘", "셋."] * 2
    assert second.audio_seconds < 0.7 * first.audio_seconds
    times = [frame.pts for frame in it.of(TTSTextFrame, context)]
    assert times == sorted(times) and (times[3] - times[0]) / 1e9 == pytest.approx(first.audio_seconds, abs=0.1)


async def test_sentences_are_requests_when_pipecat_cuts_the_text(client: Client) -> None:
    tts = OrastreamTTSService(client=client, text_aggregation_mode=TextAggregationMode.SENTENCE)
    async with talk(tts, RATE) as it:
        context = await it.say(*TOKENS)
    assert " ".join(it.words(context)) == TEXT
    assert [report.characters for report in await final(client, tts, 3)] == [6, 13, 10]


async def test_the_node_waits_while_the_llm_does(client: Client) -> None:
    """The service writes empty pieces: without them the request would end as `text_stalled` after 4 s."""
    tts = OrastreamTTSService(client=client, settings=Settings(extra={"idle_seconds": 4}))
    async with talk(tts, RATE) as it:
        await it.begin("잠시만 ", "기다려 주세요. ")
        await asyncio.sleep(5)
        await it.send(LLMTextFrame("찾았습니다."), LLMFullResponseEndFrame())
        context = await it.stopped(1)
    assert it.audio(context) == (await reference("잠시만 기다려 주세요. 찾았습니다."))[WAV_HEADER:]
    assert [report.status for report in await final(client, tts)] == ["delivered"]


async def test_texts_outside_of_a_turn_and_the_end_of_a_pipeline_end_what_is_written(client: Client) -> None:
    tts = OrastreamTTSService(client=client)
    async with talk(tts, RATE) as it:
        await it.send(LLMTextFrame("혼자 있는 글입니다."))
        await it.stopped(1)
        await it.begin("끝나지 ", "않은 말")
    assert it.words(it.of(TTSStoppedFrame)[0].context_id) == ["혼자", "있는", "글입니다."]
    assert it.words(it.of(TTSStoppedFrame)[1].context_id) == ["끝나지", "않은 말"]
    assert [report.status for report in await final(client, tts, 2)] == ["delivered", "delivered"]


async def test_the_connection_of_its_own_survives_a_restart_of_nats(
    node: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_URL", node.nats_server.url)
    async with talk(OrastreamTTSService(sample_rate=8_000)) as it:
        first = await it.say("처음입니다.")
        node.nats_server.kill()
        await it.begin("다시 ", "말합니다.")
        await it.send(LLMFullResponseEndFrame())
        await asyncio.sleep(1)
        await node.nats_server.start()
        second = await it.stopped(2)
    assert it.words(first) == ["처음입니다."] and " ".join(it.words(second)) == "다시 말합니다."
    assert it.audio(second) != b"" and it.errors == []
    assert it.of(TTSAudioRawFrame)[0].sample_rate == 8_000


async def test_the_example_speaks_into_a_file_without_keys(
    node: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_URL", node.nats_server.url)
    example = runpy.run_path(str(REPOSITORY / "examples" / "pipecat_agent.py"))
    spoken_s = await example["speak_into"](str(tmp_path / "hello.wav"), "안녕하세요.")
    with wave.open(str(tmp_path / "hello.wav")) as file:
        assert file.getframerate() == 24_000 and 0.5 < file.getnframes() / 24_000 < 3
        assert spoken_s == pytest.approx(file.getnframes() / 24_000)
    monkeypatch.setenv("TTS_VOICE", "nobody")
    assert await example["speak_into"](str(tmp_path / "silent.wav"), "안녕하세요.") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["hello.wav"]
