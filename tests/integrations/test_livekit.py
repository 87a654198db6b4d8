"""`orastream.integrations.livekit` with the real livekit-agents and a real node."""

from __future__ import annotations

import asyncio
import sys
import time
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import (
    Agent,
    AgentSession,
    APIConnectionError,
    APIConnectOptions,
    APIError,
    APIStatusError,
    APITimeoutError,
    llm,
)
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities, TimedString

from orastream.client.async_client import Client
from orastream.client.complete_audio import SpeechFailed
from orastream.contract.errors import (
    RETRYABLE,
    Code,
    InvalidRequest,
    NodeUnavailable,
    Overloaded,
    SettingsError,
    UtteranceEnded,
)
from orastream.contract.messages import Report, ReportError
from orastream.integrations.livekit import TTS, api_error
from tests.support.processes import until
from tests.support.services import REPOSITORY, Stack, environment

pytestmark = pytest.mark.integrations

LONG = "One two three four five six seven eight nine ten. " * 12
"""About 40 s of speech, 8 s of synthesis."""
ONCE = APIConnectOptions(max_retry=0, timeout=5)


@pytest.fixture
async def speech(node: Stack) -> AsyncIterator[TTS]:
    tts = TTS(url=node.nats_server.url, language="en-US")
    yield tts
    await tts.aclose()


async def final_reports(client: Client, tts: TTS, count: int) -> list[Report]:
    """The final reports of what a TTS has asked, in the order of the requests."""
    found: dict[str, Report] = {}
    async with asyncio.timeout(20):
        async for report in client.reports(tts.session_id, history=True):
            if report.final:
                found[report.request_id] = report
            if len(found) == count:
                break
    return sorted(found.values(), key=lambda report: report.request_seq)


# ---- the streams


async def test_a_text_is_spoken_while_it_is_pushed_with_its_words(speech: TTS, client: Client) -> None:
    pieces = ["Good mor", "ning, dear ", "friends. How are", " you to", "day?"]
    audio, words, request_ids = 0.0, list[TimedString](), set[str]()
    async with speech.stream() as stream:
        for piece in pieces[:3]:
            stream.push_text(piece)
        first = await anext(stream)  # before the text is complete
        for piece in pieces[3:]:
            stream.push_text(piece)
        stream.end_input()
        finals = 0
        async for event in _chained(first, stream):
            audio += event.frame.duration
            words += event.frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, [])
            request_ids.add(event.request_id)
            finals += event.is_final
            assert (event.frame.sample_rate, event.frame.num_channels) == (24_000, 1)
    assert finals == 1
    assert "".join(words) == "".join(pieces) and words[1] == "morning, "
    starts = [float(word.start_time) for word in words]  # type: ignore[arg-type]
    assert starts == sorted(starts) and starts[0] < 0.3 and starts[-1] > 1
    (report,) = await final_reports(client, speech, 1)
    assert (report.status, report.transport, {report.request_id}) == ("delivered", "none", request_ids)
    assert report.audio_seconds == pytest.approx(audio, abs=0.002)


async def _chained(first: Any, rest: Any) -> AsyncIterator[Any]:
    yield first
    async for event in rest:
        yield event


async def test_streams_follow_each_other_and_options_count_from_the_next_one(speech: TTS, client: Client) -> None:
    durations = []
    for speed in (1.0, 2.0):
        speech.update_options(speed=speed)
        async with speech.stream() as stream:
            stream.push_text("This sentence is spoken at two speeds.")
            stream.flush()
            durations.append(sum([event.frame.duration async for event in stream]))
    assert durations[1] < 0.7 * durations[0]
    assert [report.status for report in await final_reports(client, speech, 2)] == ["delivered"] * 2


async def test_a_whole_text_is_synthesized(speech: TTS, client: Client) -> None:
    frame = await speech.synthesize("Hello there, and good bye.").collect()
    (report,) = await final_reports(client, speech, 1)
    assert frame.duration == pytest.approx(report.audio_seconds, abs=0.002)
    assert any(frame.data)


@pytest.mark.parametrize("text", ["\U0001f642", "…", " "])
async def test_a_reply_with_nothing_to_say_is_no_failure(speech: TTS, text: str) -> None:
    async with speech.stream(conn_options=ONCE) as stream:
        stream.push_text(text)
        stream.end_input()
        frames = [event.frame async for event in stream]
    assert not any(any(frame.data) for frame in frames)


async def test_a_stream_without_text_asks_nothing(speech: TTS, client: Client) -> None:
    async with speech.stream() as stream:
        stream.end_input()
        assert [event async for event in stream] == []
    assert [report async for report in _reports_until_now(client, speech)] == []


async def _reports_until_now(client: Client, tts: TTS) -> AsyncIterator[Report]:
    for stored in await client.reads.stored(tts.session_id):
        yield Report.decode(stored.data)


@pytest.mark.parametrize("whole", [True, False])
async def test_closing_a_stream_cancels_the_request(speech: TTS, client: Client, whole: bool) -> None:
    stream = speech.synthesize(LONG) if whole else speech.stream()
    if not whole:
        stream.push_text(LONG)  # type: ignore[union-attr]
    await anext(stream)
    closing = time.monotonic()
    await stream.aclose()
    assert time.monotonic() - closing < 0.2
    (report,) = await final_reports(client, speech, 1)
    assert report.status == "cancelled" and report.error is None


# ---- errors


async def test_an_unknown_voice_is_a_status_error_that_is_not_tried_again(node: Stack) -> None:
    tts, errors = TTS(url=node.nats_server.url, voice="nobody"), list[Any]()
    tts.on("error", errors.append)
    async with tts.stream() as stream:
        stream.push_text("Hello.")
        stream.end_input()
        with pytest.raises(APIStatusError, match="nobody") as refused:
            await anext(stream)
    assert (refused.value.status_code, refused.value.retryable) == (400, False)
    assert [error.recoverable for error in errors] == [False]
    with pytest.raises(APIStatusError, match="speed"):
        tts.update_options(voice=None, speed=9.0)
        await tts.synthesize("Hello.").collect()
    await tts.aclose()


async def test_a_text_that_is_too_long_is_an_error(speech: TTS) -> None:
    async with speech.stream(conn_options=ONCE) as stream:
        stream.push_text("x" * 3000)
        stream.push_text("x" * 3000)
        with pytest.raises(APIStatusError, match="text: would have more than 5000 characters"):
            async for _ in stream:
                pass


async def test_a_node_that_does_not_answer_is_a_connection_error() -> None:
    tts = TTS(url="nats://127.0.0.1:9", connect_timeout_s=0.2)
    tts.prewarm()
    with pytest.raises(APIConnectionError, match="no NATS server answers"):
        await tts.synthesize("Hello.", conn_options=ONCE).collect()
    await tts.aclose()


async def test_a_client_that_is_not_open_is_an_error_that_the_session_sees() -> None:
    tts, errors = TTS(client=Client()), list[Any]()
    tts.on("error", errors.append)
    with pytest.raises(APIError, match="the client is not open"):
        await tts.synthesize("Hello.").collect()
    assert [error.recoverable for error in errors] == [False]


async def test_a_node_that_stalls_is_a_timeout_and_speaks_nothing_later(
    speech: TTS, client: Client, node: Stack
) -> None:
    speech.prewarm()
    assert (await speech.synthesize("Hello.").collect()).duration > 0.2
    node.nats_server.freeze()
    try:
        with pytest.raises(APITimeoutError, match="the node has"):
            await speech.synthesize(LONG, conn_options=APIConnectOptions(max_retry=0, timeout=0.3)).collect()
    finally:
        node.nats_server.thaw()
    reports = await final_reports(client, speech, 2)
    assert reports[0].status == "delivered"
    assert reports[1].status in ("cancelled", "expired")  # no synth may have taken it within its second


async def test_a_cancel_by_an_operator_ends_the_stream_without_an_error(speech: TTS, client: Client) -> None:
    async with speech.stream(conn_options=ONCE) as stream:
        stream.push_text(LONG)
        stream.end_input()
        await anext(stream)
        await client.cancel(speech.session_id)
        audio = sum([event.frame.duration async for event in stream])
    assert audio < 30


def _failed(code: Code) -> SpeechFailed:
    return SpeechFailed(ReportError.of(code, "because"))


@pytest.mark.parametrize("code", RETRYABLE)
def test_livekit_tries_again_exactly_what_the_node_calls_retryable(code: Code) -> None:
    error = api_error(_failed(code), "r1")
    assert isinstance(error, APIStatusError | APITimeoutError)
    assert error.retryable == RETRYABLE[code] and code in str(error) and "because" in str(error)


@pytest.mark.parametrize(
    ("exc", "kind", "status", "retryable"),
    [
        (InvalidRequest("voice", "is unknown"), APIStatusError, 400, False),
        (Overloaded("full"), APIStatusError, 429, True),
        (UtteranceEnded("s", "r", "cancelled"), APIStatusError, 499, True),
        (NodeUnavailable("away"), APIConnectionError, None, True),
        (SettingsError("creds: no such file"), APIConnectionError, None, False),
        (TimeoutError(), APITimeoutError, None, True),
        (ValueError("what"), APIError, None, False),
    ],
)
def test_each_error_has_its_kind(exc: Exception, kind: type[APIError], status: int | None, retryable: bool) -> None:
    error = api_error(exc, "r1")
    assert type(error) is kind and error.retryable is retryable
    assert getattr(error, "status_code", None) == status


# ---- a session


class ScriptedLLM(llm.LLM[Any]):
    """An LLM that writes the next of its replies, word by word."""

    def __init__(self, *replies: str) -> None:
        super().__init__()
        self.replies = list(replies)

    def chat(self, *, chat_ctx: llm.ChatContext, tools: Any = None, conn_options: Any = ONCE, **_: Any) -> Any:
        return ScriptedStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class ScriptedStream(llm.LLMStream):
    async def _run(self) -> None:
        assert isinstance(self._llm, ScriptedLLM)
        for word in self._llm.replies.pop(0).split(" "):
            delta = llm.ChoiceDelta(role="assistant", content=f"{word} ")
            self._event_ch.send_nowait(llm.ChatChunk(id="c", delta=delta))
            await asyncio.sleep(0)


class Speaker(AudioOutput):
    """Plays faster than real time, keeps what it has played, and stops at `clear_buffer`."""

    def __init__(self) -> None:
        super().__init__(label="test", capabilities=AudioOutputCapabilities(pause=False))
        self.played_s = 0.0
        self.interruptions = 0
        self._has_begun = False

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._has_begun:
            self._has_begun = True
            self.on_playback_started(created_at=time.time())
        self.played_s += frame.duration

    def flush(self) -> None:
        super().flush()
        self._has_begun = False
        if self._pending_playback_count:
            self.on_playback_finished(playback_position=self.played_s, interrupted=False)

    def clear_buffer(self) -> None:
        self.interruptions += 1
        self._has_begun = False
        if self._pending_playback_count:
            self.on_playback_finished(playback_position=self.played_s, interrupted=True)


async def test_a_session_speaks_is_interrupted_and_goes_on(speech: TTS, client: Client, node: Stack) -> None:
    speaker = Speaker()
    session: AgentSession[None] = AgentSession(
        llm=ScriptedLLM("Good morning. How are you?", LONG.strip(), "Of course, I stop."),
        tts=speech,
        use_tts_aligned_transcript=True,
    )
    session.output.audio = speaker
    await session.start(Agent(instructions="Be short."))
    try:
        await session.generate_reply(user_input="Hello")
        assert speaker.played_s > 1
        reply, before = session.generate_reply(user_input="Count for me"), speaker.played_s

        async def has_said_some() -> bool:
            return speaker.played_s > before + 2

        await until(has_said_some, "2 s of the reply", poll_s=0.01)
        await session.interrupt()
        await asyncio.wait_for(reply.wait_for_playout(), 5)
        before = speaker.played_s
        await session.generate_reply(user_input="Stop")
        assert speaker.played_s > before
        reports = await final_reports(client, speech, 3)
    finally:
        await session.aclose()
    assert [report.status for report in reports] == ["delivered", "cancelled", "delivered"]
    assert speaker.interruptions
    said = [
        (item.text_content or "", item.interrupted)
        for item in session.history.items
        if item.type == "message" and item.role == "assistant"
    ]
    (greeting, _), (counted, was_interrupted), (last, _) = said
    assert (greeting.strip(), last.strip()) == ("Good morning. How are you?", "Of course, I stop.")
    assert was_interrupted and LONG.startswith(counted.strip()) and 2 < len(counted.split()) < 100


async def test_speech_goes_on_over_a_restart_of_nats(speech: TTS, client: Client, node: Stack) -> None:
    async with speech.stream(conn_options=ONCE) as stream:
        stream.push_text("One two three. Four five six. Seven eight nine.")
        first = await anext(stream)
        node.nats_server.kill()
        await node.nats_server.start()
        stream.push_text(" And ten.")
        stream.end_input()
        audio = first.frame.duration + sum([event.frame.duration async for event in stream])
    assert (await speech.synthesize("And after.").collect()).duration > 0.2
    reports = await final_reports(client, speech, 2)
    assert [report.status for report in reports] == ["delivered"] * 2
    assert reports[0].audio_seconds == pytest.approx(audio, abs=0.002)


async def run_example(node: Stack, folder: Path, **variables: str) -> tuple[int | None, str]:
    """Have the example speak into `hello.wav` in a folder. Returns its exit code and what it printed."""
    example = REPOSITORY / "examples/livekit_agent.py"
    env = environment({"NATS_URL": node.nats_server.url, **variables})
    words = ("wav", "hello.wav", "안녕하세요. 무엇을 도와드릴까요?")
    child = await asyncio.create_subprocess_exec(
        sys.executable, example, *words, cwd=folder, env=env, stderr=asyncio.subprocess.PIPE
    )
    _, printed = await asyncio.wait_for(child.communicate(), 60)
    return child.returncode, printed.decode()


async def test_the_example_speaks_into_a_file(node: Stack, tmp_path: Path) -> None:
    code, printed = await run_example(node, tmp_path)
    assert code == 0, printed
    with wave.open(str(tmp_path / "hello.wav")) as file:
        assert (file.getframerate(), file.getnchannels()) == (24_000, 1)
        assert 1.5 < file.getnframes() / 24_000 < 10 and any(file.readframes(24_000))


async def test_the_example_says_that_nothing_was_spoken(node: Stack, tmp_path: Path) -> None:
    code, printed = await run_example(node, tmp_path, TTS_VOICE="nobody")
    assert code == 1 and "nobody" in printed and "nothing was spoken; the log says why\n" in printed
    assert not list(tmp_path.iterdir())
