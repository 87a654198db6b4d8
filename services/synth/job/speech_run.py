"""The audio of one attempt while it is made: lines, speaker and chunks, without NATS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable

from orastream.contract.audio import Format
from orastream.contract.messages import SpeakRequest
from orastream.contract.stored_requests import StoredRequest
from services.synth.audio.pcm_chunker import Cutting
from services.synth.job.attempt import Attempt
from services.synth.job.context import SynthContext
from services.synth.queue.turns import SlotTurn
from services.synth.settings import SynthSettings
from services.synth.speech.audio_limits import AudioLimits
from services.synth.speech.metered_speaker import MeteredSpeaker
from services.synth.speech.pausing_speaker import PausingSpeaker
from services.synth.speech.resume import FIRST_ATTEMPT, Resume
from services.synth.speech.speak import Made, SpokenUtterance, speak_utterance
from services.synth.text.script import ScriptLine, script_of
from services.synth.text.text_rules import rules_of


def voice_of(request: SpeakRequest | None, settings: SynthSettings) -> str | None:
    """The voice of all attempts at a request. None: the engine chooses it by the language."""
    return (request.voice if request is not None else None) or settings.tts_voice


def utterance_of(request: SpeakRequest, fmt: Format, settings: SynthSettings) -> SpokenUtterance:
    """The parameters for the engine; the same for all attempts at a request.

    `fmt` is what `SynthContext.formats` has chosen for the first attempt, and for a later one that of the stored audio.
    """
    return SpokenUtterance(
        voice=voice_of(request, settings),
        language=request.language,
        speed=request.speed,
        format=fmt,
        sample_rate_hz=request.sample_rate,
        limits=AudioLimits(settings.tts_max_sentence_audio_seconds, settings.tts_max_utterance_audio_seconds),
    )


class SpeechRun:
    """The audio of one attempt at a request, as it is made: `pieces`, with `meter` and `made`. For one event loop.

    It may begin before the attempt is opened. Then `attempt` is set later, and the first sentence is spoken without
    asking `turn`.
    """

    def __init__(  # noqa: PLR0913 - what an attempt needs, by keyword
        self,
        context: SynthContext,
        stored: StoredRequest,
        turn: SlotTurn,
        utterance: SpokenUtterance,
        lines: AsyncIterable[ScriptLine],
        *,
        resume: Resume = FIRST_ATTEMPT,
        by_sentence: bool = False,
        attempt: Attempt | None = None,
    ) -> None:
        settings = context.settings
        age_s = context.js.clock.age_s(stored.stored_at_s)
        until = asyncio.get_running_loop().time() + settings.tts_audio_retention_seconds / 2 - age_s
        self._pause = _Pause(turn, until, attempt)
        self.meter = MeteredSpeaker(PausingSpeaker(context.speaker, self._pause.before_sentence))
        self.made = Made()
        cutting = Cutting(settings.websocket_chunk_size, settings.chunk_ramp, by_sentence=by_sentence)
        self.pieces = speak_utterance(self.meter, utterance, lines, cutting, resume=resume, made=self.made)

    @property
    def attempt(self) -> Attempt | None:
        """The attempt to which the audio belongs, from when it is opened."""
        return self._pause.attempt

    @attempt.setter
    def attempt(self, attempt: Attempt) -> None:
        self._pause.attempt = attempt


class _Pause:
    """The pause before a sentence. Apart from the run, so that nothing refers to that in a circle."""

    def __init__(self, turn: SlotTurn, until: float, attempt: Attempt | None) -> None:
        self.attempt = attempt
        self._turn = turn
        self._until = until

    async def before_sentence(self, due_s: float) -> None:
        """Wait for the turn, if the attempt is open."""
        if self.attempt is not None:
            await self._turn.before_sentence(due_s, self.attempt.show_waiting, until=self._until)


def whole_text(request: SpeakRequest, utterance: SpokenUtterance, context: SynthContext) -> AsyncGenerator[ScriptLine]:
    """The lines of a request whose text is complete."""
    return script_of(
        request.text,
        utterance.language,
        utterance.speed,
        ssml=request.ssml,
        rules=rules_of(context.settings, context.lexicon_of(request)),
    )
