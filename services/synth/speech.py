"""One utterance, from its text to the chunks of its file: sentences → engine → resampler → chunker. Without NATS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from orastream.audio import BYTES_PER_SAMPLE, Format, PcmSpec, header_bytes, wav_header
from services.synth import resample
from services.synth.chunker import Chunker, Piece
from services.synth.engine_client import EngineInfo, PooledEngine
from services.synth.engines.base import EngineError
from services.synth.resample import Resampler
from services.synth.segment import sentences


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is to be spoken, and how. All attempts at a request have the same one."""

    text: str
    voice: str | None
    """None: the engine chooses by `language`."""
    language: str
    """BCP 47 tag."""
    speed: float
    format: Format
    sample_rate_hz: int | None = None
    """None: the rate that the engine declares for the voice."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Where the attempts before left off; the defaults are a first attempt."""

    next_index: int = 0
    """Chunks that are stored without a gap, and so the index of the next one."""
    stored_bytes: int = 0
    """Bytes of the file in them, header included."""
    sentence: int = 0
    """`sentence` of the last of them: where an engine that is not deterministic begins again."""


FIRST_ATTEMPT = Resume()


def output_spec(info: EngineInfo, utterance: Utterance) -> PcmSpec:
    """What the samples of the file are; known before anything is spoken."""
    return PcmSpec(utterance.sample_rate_hz or info.sample_rate_hz(utterance.voice))


def audio_seconds(spec: PcmSpec, fmt: Format, total_bytes: int) -> float:
    """Duration of a streamed file of that size, header included."""
    return spec.seconds(max(total_bytes - header_bytes(fmt), 0))


async def speak_utterance(
    engine: PooledEngine,
    utterance: Utterance,
    *,
    chunk_bytes: int,
    ramp: bool = True,
    rtf: float | None = None,
    resume: Resume = FIRST_ATTEMPT,
) -> AsyncGenerator[Piece, None]:
    """The chunks that are not stored yet, in order. The file's size is `resume.stored_bytes` and theirs.

    `chunk_bytes` and `ramp` are the Chunker's. `rtf` slows the engine to that real-time factor, but not while it makes
    again what is stored. A deterministic engine is resumed at the sample: the file is the same, byte for byte, as that
    of one attempt. Another begins sentence `resume.sentence` anew, behind what is stored of it.

    Use it under `contextlib.aclosing`. Cancelled or closed early, it stops the engine, which is free again after at
    most STOP_S. Raises EngineCrashed, UnknownVoice or another EngineError, the last also when there is no audio at all;
    what was yielded by then stays valid. Raises ValueError for a resume point that is not the end of a sample.
    """
    info = engine.info
    spec = output_spec(info, utterance)
    header = wav_header(spec) if utterance.format == "wav" else b""
    chunker = Chunker(
        spec,
        chunk_bytes=chunk_bytes,
        ramp=ramp,
        header=header,
        first_index=resume.next_index,
        offset_bytes=resume.stored_bytes,
    )
    engine_hz = info.sample_rate_hz(utterance.voice)
    if engine_hz != spec.sample_rate_hz:
        await asyncio.to_thread(resample.load)
    resampler = Resampler(engine_hz, spec.sample_rate_hz)
    first, skip = resume.sentence, 0  # skip: bytes of output that are stored, and still to be made again
    if info.deterministic:
        first, skip = 0, max(resume.stored_bytes - len(header), 0)
    texts = sentences(utterance.text, utterance.language)
    silent = not resume.stored_bytes

    for number, text in enumerate(texts[first:], start=first):
        speech = engine.speak(
            text,
            voice=utterance.voice,
            language=utterance.language,
            speed=utterance.speed,
            rtf=rtf,
            skip_bytes=_engine_bytes(skip, engine_hz, spec.sample_rate_hz),
            keep_skipped=not resampler.passthrough,  # whose state comes from all of the audio
        )
        async with aclosing(speech):
            async for pcm in speech:
                out = resampler.push(pcm)
                if not resampler.passthrough:
                    out, skip = out[skip:], max(skip - len(out), 0)
                for piece in chunker.push(out, number):
                    silent = False
                    yield piece
        if resampler.passthrough:
            skip = max(skip - (speech.total_bytes or 0), 0)
        for piece in chunker.end_sentence():
            silent = False
            yield piece

    if texts[first:]:
        for piece in [*chunker.push(resampler.flush()[skip:], len(texts) - 1), *chunker.flush()]:
            silent = False
            yield piece
    if silent:
        raise EngineError(f"engine {info.name!r} gave no audio for this text")


def _engine_bytes(output_bytes: int, engine_hz: int, output_hz: int) -> int:
    """Bytes of the engine's audio that last as long as `output_bytes` of output, in whole samples, rounded down."""
    return output_bytes // BYTES_PER_SAMPLE * engine_hz // output_hz * BYTES_PER_SAMPLE
