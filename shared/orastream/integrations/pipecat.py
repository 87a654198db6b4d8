"""Text to speech for Pipecat: `OrastreamTTSService`, a `TTSService` that speaks through a node.

    tts = OrastreamTTSService(settings=OrastreamTTSService.Settings(voice="ko"))
    pipeline = Pipeline([transport.input(), stt, user, llm, tts, transport.output(), assistant])

Written against `pipecat.services.tts_service.TTSService` of pipecat-ai 1.14 (extra `pipecat`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TextAggregationMode, TTSService
from pipecat.transcriptions.language import Language
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.types import NOT_GIVEN, NotGiven

from orastream.base import tasks
from orastream.client.async_client import Client
from orastream.contract.errors import UtteranceEnded
from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS
from orastream.integrations.pipecat_frames import SpokenWords, failure_of
from orastream.integrations.pipecat_turns import SpokenTurn, TurnRequest
from orastream.integrations.speech import NodeSpeech, SpeechNode

SILENCE_S = 40.0
"""How long to wait for audio or a report once a text is complete. The node's own limit for a claim is 30 s."""
WRITE_AGAIN_S = 3.0
"""An empty piece is written after so long without text. The node ends a text after `idleSeconds` (10) without one."""
NO_SPEECH_S = 0.02
"""Silence that stands for a text with nothing to say: Pipecat takes a context without audio for a failure."""


@dataclass
class OrastreamTTSSettings(TTSSettings):
    """What can be changed while a pipeline runs. `extra` holds other fields of a request, such as `ttl_seconds`.

    A change takes effect at the next piece of text: what was written before is spoken as it was asked for.
    """

    speed: float | None | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    """0.5 to 2.0; None: 1.0."""
    engine: str | None | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    """The engine that must speak; None: that of the node."""
    pronunciations: Mapping[str, str] | None | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    """How to say words: word → reading, before those of the node's lexicon."""


class OrastreamTTSService(TTSService):
    """Speaks through a node, with `transport: "none"`. The node cuts the text into sentences, so it takes tokens.

    A turn of the LLM, or a TTSSpeakFrame, is one request, which begins to be spoken while the LLM writes. At an
    interruption the request is cancelled. Word frames follow the audio: words if the engine knows their times, else
    sentences. What fails comes as an ErrorFrame with the code and text of the node.

    With `TextAggregationMode.SENTENCE`, for text transforms that need whole sentences, each sentence is a request.
    """

    Settings = OrastreamTTSSettings
    _settings: OrastreamTTSSettings

    def __init__(
        self,
        *,
        url: str | None = None,
        connection: Mapping[str, Any] | None = None,
        client: Client | None = None,
        session_id: str | None = None,
        phone_id: str | None = None,
        settings: OrastreamTTSSettings | None = None,
        **options: Any,
    ) -> None:
        """`connection` are further parameters of `Client`, such as `nkey_seed`. Those that are absent, and `url`, come
        from NATS_URL and its siblings. With `client`, which its owner opens and closes, several conversations of a
        process share a connection.

        `session_id` and `phone_id` name the conversation in the node's reports. `options` are those of `TTSService`,
        such as `sample_rate` (else the pipeline's). Raises TypeError for a parameter that Client does not have, and for
        `client` together with `url` or `connection`; ValueError for a wrong `prefix`.
        """
        stored = self.Settings(model=None, voice=None, language=None, speed=None, engine=None, pronunciations=None)
        if settings is not None:
            stored.apply_update(settings)
        defaults: dict[str, Any] = {
            "text_aggregation_mode": TextAggregationMode.TOKEN,
            "max_consecutive_zero_audio_contexts": 0,  # the node says what fails; while it restarts, do not give up
            "stop_frame_timeout_s": SILENCE_S + 5,  # contexts are ended here, after SILENCE_S at the latest
        }
        super().__init__(push_text_frames=False, push_start_frame=True, settings=stored, **{**defaults, **options})
        given = {"url": url, **(connection or {})}
        self._node = SpeechNode(session_id=session_id, phone_id=phone_id, client=client, **given)
        self._max_text_chars: int = (
            client.max_text_chars if client is not None else given.get("max_text_chars", DEFAULT_MAX_TEXT_CHARS)
        )
        self._turns: dict[str, SpokenTurn] = {}
        self._speaking: set[asyncio.Task[Any]] = set()
        self._order = asyncio.Lock()

    @property
    def session_id(self) -> str:
        """The session of its requests, in the node's reports."""
        return self._node.session_id

    @property
    def supports_processing_metrics(self) -> bool:
        """False: `run_tts` returns before the speech is made."""
        return False

    def can_generate_metrics(self) -> bool:
        """True: time to first byte and usage."""
        return True

    def language_to_service_language(self, language: Language) -> str | None:
        """The BCP 47 tag, as requests have it."""
        return str(language.value)

    # ---- life

    async def start(self, frame: StartFrame) -> None:
        """Begin to open the connection, without waiting for it."""
        await super().start(frame)
        self._node.prewarm()

    async def stop(self, frame: EndFrame) -> None:
        """Play what is written so far to its end."""
        for context_id in list(self._turns):
            await self.flush_audio(context_id)
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """Cancel all requests."""
        self._drop_all()
        await super().cancel(frame)

    async def cleanup(self) -> None:
        """Cancel what is left, wait up to 5 s until the cancels are stored, and close the connection."""
        self._drop_all()
        await tasks.end(*self._speaking)
        await super().cleanup()  # type: ignore[no-untyped-call]
        await self._node.aclose()

    # ---- text

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Pass text on to the request of its context. The audio follows through the context."""
        turn = self._turns.setdefault(context_id, SpokenTurn())
        if not turn.failed:
            if request := turn.write(text, self._fields(), self._max_text_chars):
                task = self.create_task(self._run(turn, context_id, request), f"speech {context_id}")
                for running in (turn.tasks, self._speaking):
                    running.add(task)
                    task.add_done_callback(running.discard)
            if not self._is_streaming_tokens:
                turn.end_request()
            await self.start_tts_usage_metrics(text)
        if context_id != self._turn_context_id:  # text outside of a turn: Pipecat does not end its context
            await self.flush_audio(context_id)
        yield None

    def _fields(self) -> dict[str, Any]:
        """The fields of a request that the settings decide."""
        given = {name: value for name, value in self._settings.given_fields().items() if value is not None}
        given.pop("model", None)  # every service has it; the node's is the engine
        return given

    async def flush_audio(self, context_id: str | None = None) -> None:
        """The text of a context is complete."""
        context_id = context_id or self.get_active_audio_context_id()
        if context_id is None:
            return
        # Pipecat itself does this at the end of a turn. Else it would not show the words of the last sentence.
        sentence = await self._aggregated_frame_sequencer.finalize(context_id)
        await self._push_sequencer_frames(sentence, context_id)
        turn = self._turns.setdefault(context_id, SpokenTurn(failed=True))  # absent: the service was not usable
        turn.end_request()
        turn.complete = True
        await self._finish(turn, context_id)

    async def _update_settings(self, delta: TTSSettings) -> dict[str, Any]:  # type: ignore[override]
        changed = await super()._update_settings(delta)
        if changed:
            for turn in self._turns.values():
                turn.end_request()
        return changed

    # ---- audio

    async def _run(self, turn: SpokenTurn, context_id: str, request: TurnRequest) -> None:
        """Speak a request after those before it: a session is spoken in order, and Pipecat plays contexts in order."""
        try:
            async with self._order:
                if not turn.failed:
                    await self._speak(turn, context_id, request)
        except UtteranceEnded:  # somebody else has cancelled it: that is no error
            turn.failed = True
        except Exception as exc:  # noqa: BLE001 - the pipeline gets it, and the context ends at once
            turn.failed = True
            await self._report(context_id, exc)
        if task := asyncio.current_task():
            turn.tasks.discard(task)
        await self._finish(turn, context_id)

    async def _speak(self, turn: SpokenTurn, context_id: str, request: TurnRequest) -> None:
        """Have one request spoken. Raises OrastreamError, SpeechFailed, TypeError for a field that is none."""
        words = SpokenWords(request.options.get("language"))
        begun_s = turn.seconds
        utterance = self._node.utterance(request.first, sample_rate=self.sample_rate, **request.options)
        try:
            async with utterance as speech, asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(speech, request))
                async with contextlib.aclosing(aiter(speech)) as parts:
                    async for part in parts:
                        await self._play(turn, context_id, part.audio)
                        spoken = words.add(part.words)
                        await self._show(context_id, spoken, begun_s, words.has_spaces)
                await self._show(context_id, words.rest(), begun_s, words.has_spaces)
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _pass_on(self, speech: NodeSpeech, request: TurnRequest) -> None:
        """Write the text of a request as it comes, then end it."""
        with contextlib.suppress(UtteranceEnded):  # the audio says why
            while True:
                try:
                    async with asyncio.timeout(WRITE_AGAIN_S):
                        text = await request.more.get()
                except TimeoutError:
                    text = ""
                if text is None:
                    break
                await speech.write(text)
            await speech.end(SILENCE_S)

    async def _play(self, turn: SpokenTurn, context_id: str, audio: bytes) -> None:
        if audio:
            turn.seconds += len(audio) / (2 * self.sample_rate)
            frame = TTSAudioRawFrame(audio, self.sample_rate, 1, context_id=context_id)
            await self.append_to_audio_context(context_id, frame)

    async def _show(self, context_id: str, words: list[tuple[str, float]], begun_s: float, has_spaces: bool) -> None:
        times = [(word, begun_s + at_s) for word, at_s in words]
        await self.add_word_timestamps(times, context_id, includes_inter_frame_spaces=not has_spaces)

    async def _report(self, context_id: str, exc: Exception) -> None:
        """Push the error, behind the audio that comes before it."""
        message, category = failure_of(exc)
        frame = ErrorFrame(error=message, exception=exc, category=ErrorCategory(category))
        if self.audio_context_available(context_id):
            await self.append_to_audio_context(context_id, frame)
        else:
            await self.push_error_frame(frame)

    async def _finish(self, turn: SpokenTurn, context_id: str) -> None:
        """End the audio context once all its text has been spoken."""
        if turn.ended and self._turns.get(context_id) is turn:
            del self._turns[context_id]
            if not self.audio_context_available(context_id):
                return
            if turn.seconds == 0 and not turn.failed:
                await self._play(turn, context_id, bytes(2 * int(self.sample_rate * NO_SPEECH_S)))
            await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
            await self.remove_audio_context(context_id)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Cancel the requests of a context, without waiting for the node."""
        self._drop(context_id)
        await self.stop_all_metrics()  # type: ignore[no-untyped-call]
        await super().on_audio_context_interrupted(context_id)

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Drop a context that Pipecat has ended because nothing came for long."""
        self._drop(context_id)
        await super().on_audio_context_completed(context_id)

    def _drop_all(self) -> None:
        for context_id in list(self._turns):
            self._drop(context_id)

    def _drop(self, context_id: str) -> None:
        turn = self._turns.pop(context_id, None)
        if turn is not None:
            for task in turn.tasks:
                task.cancel()  # leaving the block of its utterance cancels the request
