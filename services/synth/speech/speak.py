"""Speaks one utterance: lines → engine → resampler → chunks of the file. Without NATS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from typing import TypedDict

from orastream.contract.audio import BYTES_PER_SAMPLE, Format, PcmSpec, header_bytes, rate_for, seconds_of, wav_header
from services.synth.audio import encoder, resample
from services.synth.audio.coded_chunker import CodedChunker
from services.synth.audio.pcm_chunker import AudioPiece, PcmChunker
from services.synth.audio.resample import Resampler
from services.synth.engine_pool.process import EngineInfo
from services.synth.engines.base import CannotResume, NoAudio
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


@dataclass(frozen=True, slots=True)
class Resume:
    """Where earlier attempts stopped; the defaults mean a first attempt."""

    next_index: int = 0
    """Index of the next chunk: the number of chunks stored without a gap."""
    stored_bytes: int = 0
    """Bytes of the file in the stored chunks, header included."""
    sentence: int = 0
    """`sentence` of the last stored chunk, where an engine that is not deterministic starts again."""
    same_engine: bool = True
    """Whether this engine, in this version, made all stored chunks: else it cannot make the same bytes again."""


FIRST_ATTEMPT = Resume()


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
    *,
    chunk_bytes: int,
    ramp: bool = True,
    by_sentence: bool = False,
    resume: Resume = FIRST_ATTEMPT,
    made: Made | None = None,
) -> AsyncGenerator[AudioPiece, None]:
    """Yields the chunks that are not stored yet, in order.

    `lines` are all lines of the utterance, from the first one; they may come over time. `chunk_bytes`, `ramp` and
    `by_sentence` are those of PcmChunker. `made` is set at the end.

    To resume: a deterministic engine that made the stored chunks continues at the exact sample, and the file is the
    same, byte for byte, as from one attempt. Any other engine speaks sentence `resume.sentence` again, after its stored
    part. That is not possible in a coded format other than mulaw, because the encoder's state is lost: CannotResume.

    Use it with `contextlib.aclosing`. Cancelled or closed early, it stops the engine. Raises EngineCrashed,
    UnknownVoice or another EngineError; chunks yielded before stay valid. Raises NoAudio, before any chunk, if the
    engine gives no audio at all. Raises ValueError for a resume point that is not the end of a sample.
    """
    info = speaker.info
    spec = output_spec(info, utterance)
    engine_hz = info.sample_rate_hz(utterance.voice)
    if engine_hz != spec.sample_rate_hz:
        await asyncio.to_thread(resample.load)
    await asyncio.to_thread(encoder.load, utterance.format)
    resampler = Resampler(engine_hz, spec.sample_rate_hz)
    cuts: Cuts = {"chunk_bytes": chunk_bytes, "ramp": ramp, "by_sentence": by_sentence}
    chunker = _chunker(info, utterance, spec, resume, cuts)
    coded = isinstance(chunker, CodedChunker)
    # `skip`: stored bytes of output that must still be made again and dropped. An encoder needs all samples again.
    first, skip = resume.sentence, 0
    if info.deterministic and resume.same_engine:
        first, skip = 0, 0 if coded else max(resume.stored_bytes - header_bytes(utterance.format), 0)
    clock = asyncio.get_running_loop().time
    due_s, last = clock(), None
    # Pauses are held until the engine's first audio: else a text without any audio would yield a file of silence.
    silent = not resume.stored_bytes
    held: list[float] = []

    def silence(seconds: float) -> list[AudioPiece]:
        nonlocal due_s, skip
        if silent:
            held.append(seconds)
            return []
        out = resampler.push(bytes(int(seconds * engine_hz) * BYTES_PER_SAMPLE))
        out, skip = out[skip:], max(skip - len(out), 0)
        due_s += spec.seconds(len(out))
        return chunker.push(out, number)

    number = -1
    async for line in lines:
        number += 1
        if number < first:
            continue
        last = number
        for piece in silence(line.before_s):
            yield piece
        speaking = speaker.speak(
            line,
            voice=utterance.voice,
            due_s=due_s,
            skip_bytes=_engine_bytes(skip, engine_hz, spec.sample_rate_hz),
            keep_skipped=coded or not resampler.passthrough,  # their state depends on all of the audio
        )
        async with speaking as speech:
            async for pcm in speech:
                if silent:
                    silent = False
                    for piece in (piece for seconds in held for piece in silence(seconds)):
                        yield piece
                out = resampler.push(pcm)
                if not resampler.passthrough:
                    out, skip = out[skip:], max(skip - len(out), 0)
                due_s = max(due_s, clock()) + spec.seconds(len(out))
                # An encoder takes about 1 ms for each piece and would block the event loop.
                pieces = await asyncio.to_thread(chunker.push, out, number) if coded else chunker.push(out, number)
                for piece in pieces:
                    yield piece
        if resampler.passthrough:
            skip = max(skip - (speech.total_bytes or 0), 0)
        for piece in [*silence(line.pause_s), *chunker.end_sentence()]:
            yield piece

    if silent:
        raise NoAudio(f"engine {info.name!r} gave no audio for this text")
    if last is not None:
        for piece in [*chunker.push(resampler.flush()[skip:], last), *chunker.flush()]:
            yield piece
    if made is not None:
        made.seconds = chunker.seconds


class Cuts(TypedDict):
    """How a chunker cuts; see PcmChunker."""

    chunk_bytes: int
    ramp: bool
    by_sentence: bool


def _chunker(
    info: EngineInfo, utterance: SpokenUtterance, spec: PcmSpec, resume: Resume, cuts: Cuts
) -> PcmChunker | CodedChunker:
    """Returns the chunker of this attempt. Raises CannotResume."""
    fmt = utterance.format
    if fmt in ("wav", "pcm16"):
        header = wav_header(spec) if fmt == "wav" else b""
        return PcmChunker(spec, header=header, first_index=resume.next_index, offset_bytes=resume.stored_bytes, **cuts)
    skip_bytes, offset_s = resume.stored_bytes, 0.0
    if resume.stored_bytes and not (info.deterministic and resume.same_engine):
        stored_s = seconds_of(fmt, spec, resume.stored_bytes)
        if stored_s is None:
            raise CannotResume(
                f"synthesis stopped, and {fmt} of {info.name} cannot be resumed; send the request again, or use wav"
            )
        skip_bytes, offset_s = 0, stored_s
    coder = encoder.encoder_of(fmt, spec.sample_rate_hz)
    first = resume.next_index
    return CodedChunker(spec, coder, first_index=first, skip_bytes=skip_bytes, offset_s=offset_s, **cuts)


def _engine_bytes(output_bytes: int, engine_hz: int, output_hz: int) -> int:
    """Returns the bytes of the engine's audio that last as long as `output_bytes`, rounded down to whole samples."""
    return output_bytes // BYTES_PER_SAMPLE * engine_hz // output_hz * BYTES_PER_SAMPLE
