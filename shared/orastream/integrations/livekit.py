"""A TTS of LiveKit Agents that speaks through a node. Needs the extra `livekit`. See docs/guide/voice-agents.md.

    session = AgentSession(tts=orastream.integrations.livekit.TTS(voice="ko"), …)

The base classes are those of livekit-agents 1.8: https://docs.livekit.io/reference/python/livekit/agents/tts/
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Literal

from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    APIConnectionError,
    APIConnectOptions,
    APIError,
    APIStatusError,
    APITimeoutError,
    tts,
)
from livekit.agents.types import NOT_GIVEN, NotGivenOr, TimedString
from livekit.agents.utils import is_given

from orastream.client.async_client import Client
from orastream.client.complete_audio import SpeechFailed
from orastream.contract.errors import (
    Code,
    NodeUnavailable,
    OrastreamError,
    SettingsError,
    UtteranceEnded,
    WaitTimeout,
)
from orastream.contract.messages import MAX_TTL_S, MIN_TTL_S
from orastream.integrations.speech import NodeSpeech, SpeechNode

SAMPLE_RATE_HZ = 24_000
IDLE_S = 60.0
"""How long the node waits for more text of an LLM: its longest time, as a reply may stop while a tool runs."""
SILENCE_S = 0.02
"""Silence for a text that has nothing to say, such as an emoji: LiveKit takes a reply without audio for a failure."""
CLOSED = 499
"""LiveKit ends a stream with this status without an error: somebody has cancelled the request."""
_STATUS: dict[Code, int] = {"invalid_request": 400, "audio_too_long": 413, "overloaded": 429}
_TIMEOUTS: tuple[Code, ...] = ("expired", "synth_stalled", "text_stalled")


def api_error(exc: Exception, request_id: str | None = None) -> APIError:
    """Return the error of LiveKit for one of the node, with its text, and `retryable` as the node says. Pure."""
    text = str(exc)
    match exc:
        case UtteranceEnded():
            return APIStatusError(text, status_code=CLOSED, request_id=request_id)
        case SettingsError():
            return APIConnectionError(text, retryable=False)
        case NodeUnavailable():
            return APIConnectionError(text)
        case WaitTimeout():
            return APITimeoutError(f"the node has sent no audio for {exc.waited_s:g} s after all audio was heard")
        case TimeoutError():
            return APITimeoutError("the node has not stored the request in time; is NATS reachable?")
        case SpeechFailed():
            code, retryable = exc.error.code, exc.error.retryable
        case OrastreamError():
            code, retryable = exc.code, exc.retryable
        case _:
            return APIError(text, retryable=False)
    if code in _TIMEOUTS:
        return APITimeoutError(f"{code}: {text}", retryable=retryable)
    return APIStatusError(
        f"{code}: {text}", status_code=_STATUS.get(code, 502), request_id=request_id, retryable=retryable
    )


class TTS(tts.TTS[Literal["metrics_collected", "error"]]):
    """Speech of an orastream node for an AgentSession. For one event loop.

    The connection opens at `prewarm`, or at the first speech; it reconnects by itself, and `aclose` closes it.
    """

    def __init__(  # noqa: PLR0913 - options of the public interface, all with defaults, by keyword
        self,
        *,
        voice: str | None = None,
        language: str | None = None,
        speed: float | None = None,
        engine: str | None = None,
        pronunciations: Mapping[str, str] | None = None,
        sample_rate: int = SAMPLE_RATE_HZ,
        session_id: str | None = None,
        phone_id: str | None = None,
        client: Client | None = None,
        **connection: Any,
    ) -> None:
        """`voice` to `pronunciations` are fields of a request; None takes the node's default (`language`: ko-KR).

        `sample_rate` is in Hz, 8 000 to 48 000. `session_id` and `phone_id` name the conversation in the node's
        reports. `connection` are the parameters of `Client` (`url`, `creds`, `nkey_seed`, `ca` …), by default from
        NATS_URL, NATS_CREDS and so on; a `client` is used as it is, and stays open at `aclose`.

        Raises TypeError for an unknown parameter, ValueError for a wrong `prefix`. The node checks the other fields at
        each speech: a wrong one is an APIStatusError with status 400, which names the field.
        """
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=True, aligned_transcript=True),
            sample_rate=sample_rate,
            num_channels=1,
        )
        self._node = SpeechNode(session_id=session_id, phone_id=phone_id, client=client, **connection)
        self._fields: dict[str, Any] = {
            "voice": voice,
            "language": language,
            "speed": speed,
            "engine": engine,
            "pronunciations": pronunciations,
        }
        self._streams = weakref.WeakSet[tts.ChunkedStream | tts.SynthesizeStream]()

    @property
    def model(self) -> str:
        """The voice, for LiveKit's metrics."""
        return str(self._fields["voice"] or "default")

    @property
    def provider(self) -> str:
        """`orastream`."""
        return "orastream"

    @property
    def session_id(self) -> str:
        """The session in the node's reports: `orastream watch SESSION` shows them."""
        return self._node.session_id

    def update_options(
        self,
        *,
        voice: NotGivenOr[str | None] = NOT_GIVEN,
        language: NotGivenOr[str | None] = NOT_GIVEN,
        speed: NotGivenOr[float | None] = NOT_GIVEN,
        engine: NotGivenOr[str | None] = NOT_GIVEN,
        pronunciations: NotGivenOr[Mapping[str, str] | None] = NOT_GIVEN,
    ) -> None:
        """Change fields for the speech that begins from now on; None takes the node's default again."""
        given = {
            "voice": voice,
            "language": language,
            "speed": speed,
            "engine": engine,
            "pronunciations": pronunciations,
        }
        self._fields |= {name: value for name, value in given.items() if is_given(value)}

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> OrastreamChunkedStream:
        """Speak a whole text. `conn_options.timeout` bounds, in seconds, each wait for the node."""
        stream = OrastreamChunkedStream(tts=self, input_text=text, conn_options=conn_options)
        self._streams.add(stream)
        return stream

    def stream(self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> OrastreamSynthesizeStream:
        """Speak a text while it is pushed: one segment, as LiveKit uses it. `conn_options` as in `synthesize`."""
        stream = OrastreamSynthesizeStream(tts=self, conn_options=conn_options)
        self._streams.add(stream)
        return stream

    def prewarm(self) -> None:
        """Open the connection in the background. Does nothing without a running event loop."""
        self._node.prewarm()

    async def aclose(self) -> None:
        """Cancel what is being spoken, and close the connection. A later speech opens it again."""
        for stream in list(self._streams):
            await stream.aclose()
        await self._node.aclose()

    def _begun(self, text: str, fields: Mapping[str, Any], conn_options: APIConnectOptions) -> NodeSpeech:
        """An utterance that no synth takes within the timeout expires: an agent cannot use a reply that comes later."""
        given = {name: value for name, value in fields.items() if value is not None}
        ttl_s = min(max(conn_options.timeout, MIN_TTL_S), MAX_TTL_S)
        return self._node.utterance(text, sample_rate=self.sample_rate, ttl_seconds=ttl_s, idle_seconds=IDLE_S, **given)


class OrastreamChunkedStream(tts.ChunkedStream):
    """A whole text that is spoken. Made by `TTS.synthesize`."""

    def __init__(self, *, tts: TTS, input_text: str, conn_options: APIConnectOptions) -> None:
        self._orastream, self._fields = tts, dict(tts._fields)  # before super(), which starts the task
        super().__init__(tts=tts, input_text=input_text, conn_options=conn_options)

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        speech = self._orastream._begun(self._input_text, self._fields, self._conn_options)
        _initialize(output_emitter, speech, self._orastream, stream=False)
        await _speak(speech, _nothing_more(), output_emitter, self._orastream, self._conn_options)


class OrastreamSynthesizeStream(tts.SynthesizeStream):
    """A text that is spoken while it is pushed. Made by `TTS.stream`."""

    def __init__(self, *, tts: TTS, conn_options: APIConnectOptions) -> None:
        self._orastream, self._fields = tts, dict(tts._fields)  # before super(), which starts the task
        super().__init__(tts=tts, conn_options=conn_options)

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        async with contextlib.aclosing(self._texts()) as texts:
            first = await anext(texts, None)  # the node waits only IDLE_S for text, so the request is stored late
            speech = self._orastream._begun(first or "", self._fields, self._conn_options)
            _initialize(output_emitter, speech, self._orastream, stream=True)
            if first is None:
                return
            self._mark_started()
            output_emitter.start_segment(segment_id=speech.request_id)
            await _speak(speech, texts, output_emitter, self._orastream, self._conn_options)

    async def _texts(self) -> AsyncGenerator[str, None]:
        """The pushed text up to the end of the segment, from the channel of this attempt."""
        has_text = False
        async for data in self._input_ch:
            if isinstance(data, str):
                has_text = True
                yield data
            elif has_text:
                return  # flush(): LiveKit takes no second segment


def _initialize(emitter: tts.AudioEmitter, speech: NodeSpeech, owner: TTS, *, stream: bool) -> None:
    emitter.initialize(
        request_id=speech.request_id,
        sample_rate=owner.sample_rate,
        num_channels=1,
        mime_type="audio/pcm",
        stream=stream,
    )


async def _nothing_more() -> AsyncGenerator[str, None]:
    return
    yield ""  # makes it a generator


async def _speak(
    speech: NodeSpeech,
    texts: AsyncIterator[str],
    emitter: tts.AudioEmitter,
    owner: TTS,
    conn_options: APIConnectOptions,
) -> None:
    """Write the texts and push the audio, at the same time. Cancelled: so is the request.

    Raises only APIError: LiveKit would not report another error to the session.
    """
    try:
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(conn_options.timeout):
                await stack.enter_async_context(speech)
            async with asyncio.TaskGroup() as group:
                group.create_task(_write(speech, texts, conn_options.timeout))
                group.create_task(_push(speech, emitter, owner.sample_rate))
    except ExceptionGroup as failures:
        first = failures.exceptions[0]
        raise api_error(first, speech.request_id) from first
    except Exception as exc:
        raise api_error(exc, speech.request_id) from exc


async def _write(speech: NodeSpeech, texts: AsyncIterator[str], silence_s: float) -> None:
    with contextlib.suppress(UtteranceEnded):  # the reader knows why
        async for text in texts:
            await speech.write(text)
    await speech.end(silence_s)


async def _push(speech: NodeSpeech, emitter: tts.AudioEmitter, sample_rate_hz: int) -> None:
    is_silent = True
    async with contextlib.aclosing(aiter(speech)) as parts:
        async for part in parts:
            for word in part.words:
                emitter.push_timed_transcript(TimedString(word.text, word.begin_ms / 1000, word.end_ms / 1000))
            if part.audio:
                is_silent = False
                emitter.push(part.audio)
    if is_silent:
        emitter.push(bytes(2 * round(sample_rate_hz * SILENCE_S)))
