"""Speaks one utterance: lines → engine → resampler → chunks of the file. Without NATS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass

from orastream.contract.audio import BYTES_PER_SAMPLE, Format, PcmSpec, header_bytes, rate_for, seconds_of, wav_header
from services.synth.audio import encoder, resample
from services.synth.audio.coded_chunker import CodedChunker
from services.synth.audio.fade import fade_after
from services.synth.audio.file_tags import speech_tags
from services.synth.audio.pcm_chunker import AudioPiece, Cutting, PcmChunker
from services.synth.audio.resample import Resampler
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engines.base import CannotResume, NoAudio, SpokenWord
from services.synth.speech.audio_limits import UNLIMITED, AudioLimits
from services.synth.speech.resume import FIRST_ATTEMPT, Resume, continues_exactly
from services.synth.speech.sentence_starts import SentenceStarts
from services.synth.speech.speaker import Speaker
from services.synth.text.script import ScriptLine


@dataclass(frozen=True, slots=True)
class SpokenUtterance:
    """How to speak a text. The same for all attempts at a request."""

    voice: str | None
    """None: the engine chooses by `language`."""
    language: str
    """BCP 47 tag."""
    speed: float
    format: Format
    sample_rate_hz: int | None = None
    """None: the rate that the engine declares for the voice, or the next one that the format supports."""
    limits: AudioLimits = UNLIMITED
    """How long its audio may be; checked before the audio is passed on."""


def output_spec(info: EngineInfo, utterance: SpokenUtterance) -> PcmSpec:
    """Returns the format of the file's samples; known before anything is spoken."""
    return PcmSpec(utterance.sample_rate_hz or rate_for(utterance.format, info.sample_rate_hz(utterance.voice)))


@dataclass(slots=True)
class Made:
    """The result of an attempt; set when the attempt ends."""

    seconds: float = 0.0
    """Duration of the file, with the part that earlier attempts stored."""


async def speak_utterance(
    speaker: Speaker,
    utterance: SpokenUtterance,
    lines: AsyncIterable[ScriptLine],
    cutting: Cutting,
    *,
    resume: Resume = FIRST_ATTEMPT,
    made: Made | None = None,
) -> AsyncGenerator[AudioPiece, None]:
    """Yields the chunks that are not stored yet, in order.

    `lines` are all lines of the utterance, from the first one; they may come over time. `made` is set at the end.

    To resume: a deterministic engine that made the stored chunks continues at the exact sample, and the file is the
    same, byte for byte, as from one attempt. Any other engine speaks sentence `resume.sentence` again, after its stored
    part and a short fade to silence. That is not possible in other coded formats than mulaw and alaw, whose encoders
    have no state: CannotResume.

    Use it with `contextlib.aclosing`. Cancelled or closed early, it stops the engine. Raises EngineCrashed,
    UnknownVoice or another EngineError; chunks yielded before stay valid. Raises AudioTooLong when `utterance.limits`
    are exceeded, and NoAudio, before any chunk, if the engine gives no audio at all for the lines. Without any line
    there is no chunk, and no error. Raises ValueError for a resume point that is not the end of a sample.
    """
    info = speaker.info
    spec = output_spec(info, utterance)
    if info.sample_rate_hz(utterance.voice) != spec.sample_rate_hz:
        await asyncio.to_thread(resample.load)
    if not encoder.is_plain(utterance.format):
        await asyncio.to_thread(encoder.load, utterance.format)
    output = _Output(info, utterance, cutting, resume)
    number = -1
    async for line in lines:
        number += 1
        if number < output.first_sentence:
            continue
        for piece in await output.silence(line.before_s, number):
            yield piece
        output.begin_sentence(number, line)
        speaking = speaker.speak(
            line,
            voice=utterance.voice,
            due_s=output.dry_at,
            skip_bytes=output.engine_skip_bytes,
            keep_skipped=output.needs_skipped,
        )
        async with speaking as speech:
            async for pcm in speech:
                for piece in await output.speech(pcm, number, speech.words):
                    yield piece
        output.spoken(speech.total_bytes or 0, speech.words)
        for piece in [*await output.silence(line.pause_s, number), *output.end_sentence()]:
            yield piece

    if output.silent and number >= 0:
        raise NoAudio(f"engine {info.name!r} gave no audio for this text")
    for piece in await output.end(number):
        yield piece
    if made is not None:
        made.seconds = output.seconds


class _Output:
    """Turns the engine's PCM of one attempt into chunks: resamples it and drops what earlier attempts stored.

    For one event loop; not for several tasks at once. An encoder runs in a thread, because it would block the event
    loop: for about 1 ms at each piece of the engine, for up to 60 ms at a pause of 10 s. After a cancelled call the
    object cannot be used any more, because that thread may still run.
    """

    def __init__(self, info: EngineInfo, utterance: SpokenUtterance, cutting: Cutting, resume: Resume) -> None:
        """Raises CannotResume."""
        self._spec = output_spec(info, utterance)
        self._engine_hz = info.sample_rate_hz(utterance.voice)
        self._resampler = Resampler(self._engine_hz, self._spec.sample_rate_hz)
        self._chunker = _chunker(info, utterance, self._spec, resume, cutting)
        self._coded = isinstance(self._chunker, CodedChunker)
        exact = continues_exactly(info, resume)
        self.first_sentence = 0 if exact else resume.sentence
        """The first sentence that must be spoken."""
        # Stored bytes of output that must still be made again and dropped. An encoder needs all samples again.
        drops = exact and not self._coded
        self._skip = max(resume.stored_bytes - header_bytes(utterance.format), 0) if drops else 0
        self.silent = not resume.stored_bytes
        """Whether the engine has given no audio yet."""
        hz = self._spec.sample_rate_hz
        # What the file needs before the first sample, because its stored part may end in the middle of speech.
        self._fade = b"" if exact or not resume.stored_bytes else fade_after(utterance.format, resume.tail, hz)
        first = 0 if exact else round(self.seconds * hz) + len(self._fade) // BYTES_PER_SAMPLE
        self._starts = SentenceStarts(
            self._engine_hz,
            hz,
            first_sample=first,
            begun=resume.begun if exact else -1,
            last_word=resume.last_word if exact else None,
            last_pts_ms=resume.last_pts_ms if exact else 0,
        )
        self._limits = utterance.limits
        self._behind_s = 0.0  # how much audio the resampler has taken and not returned yet
        self._sentence_chars = self._sentence_bytes = 0  # of the current sentence; bytes at the engine's rate
        # Pauses are held until the engine's first audio: else a text without any audio would yield a file of silence.
        self._held: list[float] = []
        self._clock = asyncio.get_running_loop().time
        self._played_at = self._clock()  # when the listener has played all audio so far

    @property
    def engine_skip_bytes(self) -> int:
        """Bytes at the engine's rate that it need not send."""
        return _engine_bytes(self._skip, self._engine_hz, self._spec.sample_rate_hz)

    @property
    def dry_at(self) -> float:
        """When the listener has played all chunks so far, in seconds of the event loop's clock."""
        return self._played_at - self._chunker.held_s

    @property
    def needs_skipped(self) -> bool:
        """Whether the engine must send the skipped audio too: the resampler or the encoder needs every sample."""
        return self._coded or not self._resampler.passthrough

    @property
    def seconds(self) -> float:
        """Duration of the file so far, with the part that earlier attempts stored."""
        return self._chunker.seconds

    def begin_sentence(self, number: int, line: ScriptLine) -> None:
        """Call it before each sentence."""
        self._starts.expect(number, line)
        self._sentence_chars = len(line.spoken)
        self._sentence_bytes = 0 if self.needs_skipped else self.engine_skip_bytes

    async def silence(self, seconds: float, sentence: int) -> list[AudioPiece]:
        """Returns the chunks that a pause of that sentence completes. Raises AudioTooLong."""
        self._check_utterance(seconds + sum(self._held))
        if self.silent:
            self._held.append(seconds)
            return []
        pcm = bytes(int(seconds * self._engine_hz) * BYTES_PER_SAMPLE)
        self._starts.made(len(pcm))
        if not self._resampler.passthrough and pcm:  # a pause of 10 s takes about 5 ms
            taken_s = len(pcm) / (BYTES_PER_SAMPLE * self._engine_hz)
            pcm = await asyncio.to_thread(self._resampler.push, pcm)
            self._behind_s += taken_s - self._spec.seconds(len(pcm))
        out = self._drop(pcm)
        self._played_at += 0.0 if self._chunker.skipping else self._spec.seconds(len(out))
        return await self._chunks(out, sentence)

    async def speech(self, pcm: bytes, sentence: int, words: Sequence[SpokenWord]) -> list[AudioPiece]:
        """Returns the chunks that this PCM of the engine completes, with the held pauses before the first one.

        `words` are all words of the sentence so far. Raises AudioTooLong.
        """
        pieces: list[AudioPiece] = []
        if self.silent:
            self.silent = False
            held, self._held = self._held, []
            for seconds in held:
                pieces += await self.silence(seconds, sentence)
        if (begins := self._starts.spoken()) is not None:
            self._chunker.begin(*begins)
        self._add(words)
        seconds_per_byte = 1 / (BYTES_PER_SAMPLE * self._engine_hz)
        self._sentence_bytes += len(pcm)
        self._limits.check_sentence(self._sentence_bytes * seconds_per_byte, self._sentence_chars)
        self._check_utterance(len(pcm) * seconds_per_byte)
        out = self._resampler.push(pcm)
        if not self._resampler.passthrough:
            self._behind_s += len(pcm) * seconds_per_byte - self._spec.seconds(len(out))
            out = self._drop(out)
        heard_s = 0.0 if self._chunker.skipping else self._spec.seconds(len(out))
        self._played_at = max(self._played_at, self._clock()) + heard_s
        return pieces + await self._chunks(out, sentence)

    def spoken(self, total_bytes: int, words: Sequence[SpokenWord]) -> None:
        """Call it after each sentence, with all its words. `total_bytes` includes what the engine did not send."""
        self._add(words)
        self._starts.made(total_bytes)
        if self._resampler.passthrough:
            self._skip = max(self._skip - total_bytes, 0)

    def end_sentence(self) -> list[AudioPiece]:
        """Returns the chunk that the end of a sentence completes, if any."""
        return self._chunker.end_sentence()

    async def end(self, sentence: int) -> list[AudioPiece]:
        """Returns the last chunks. `sentence` is the number of the last line that was read.

        If it is below `first_sentence`, nothing was spoken, and there are no chunks.
        """
        if sentence < self.first_sentence:
            return []
        pieces = await self._chunks(self._resampler.flush()[self._skip :], sentence)
        return pieces + (await asyncio.to_thread(self._chunker.flush) if self._coded else self._chunker.flush())

    def _add(self, words: Sequence[SpokenWord]) -> None:
        for last_sample, word in self._starts.words(words):
            self._chunker.word(last_sample, word)

    async def _chunks(self, out: bytes, sentence: int) -> list[AudioPiece]:
        """Returns the chunks that these samples of the file complete."""
        if out and self._fade:
            out, self._fade = self._fade + out, b""
        if self._coded and out:
            return await asyncio.to_thread(self._chunker.push, out, sentence)
        return self._chunker.push(out, sentence)

    def _check_utterance(self, more_s: float) -> None:
        """Raise AudioTooLong if the file becomes too long with `more_s`. What was stored is in it, and made again."""
        more_s += self._behind_s - self._spec.seconds(self._skip)
        self._limits.check_utterance(self.seconds + max(more_s, 0.0))

    def _drop(self, out: bytes) -> bytes:
        out, self._skip = out[self._skip :], max(self._skip - len(out), 0)
        return out


def _chunker(
    info: EngineInfo, utterance: SpokenUtterance, spec: PcmSpec, resume: Resume, cutting: Cutting
) -> PcmChunker | CodedChunker:
    """Returns the chunker of this attempt. Raises CannotResume."""
    fmt = utterance.format
    if fmt in ("wav", "pcm16"):
        header = wav_header(spec) if fmt == "wav" else b""
        first, offset = resume.next_index, resume.stored_bytes
        return PcmChunker(spec, cutting, header=header, first_index=first, offset_bytes=offset)
    offset_s = None
    if resume.stored_bytes and not continues_exactly(info, resume):
        offset_s = seconds_of(fmt, spec, resume.stored_bytes)
        if offset_s is None:
            raise CannotResume(
                f"synthesis stopped, and {fmt} of {info.name} cannot be resumed; send the request again, or use wav"
            )
    tags = speech_tags(info.name, info.version_of(utterance.voice), trained=info.trained)
    coder = encoder.encoder_of(fmt, spec.sample_rate_hz, tags)
    first, offset = resume.next_index, resume.stored_bytes
    return CodedChunker(spec, coder, cutting, first_index=first, offset_bytes=offset, offset_s=offset_s)


def _engine_bytes(output_bytes: int, engine_hz: int, output_hz: int) -> int:
    """Returns the bytes of the engine's audio that last as long as `output_bytes`, rounded down to whole samples."""
    return output_bytes // BYTES_PER_SAMPLE * engine_hz // output_hz * BYTES_PER_SAMPLE
