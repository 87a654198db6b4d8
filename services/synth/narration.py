"""One attempt: the pieces of `speech` become stored audio, through a window of unacked messages."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing

from orastream import subjects
from orastream.assembly import Assembly
from orastream.bus import Bus
from orastream.intake import StoredRequest
from orastream.messages import SpeakRequest
from orastream.packets import AudioChunk, AudioEnd, AudioStart
from orastream.window import Window
from services.synth.engine_client import EngineInfo, PooledEngine
from services.synth.settings import SynthSettings
from services.synth.speech import Resume, Utterance, audio_seconds, output_spec, speak_utterance


def utterance_of(request: SpeakRequest, settings: SynthSettings) -> Utterance:
    """What the engine is asked for; the same for all attempts of a request."""
    return Utterance(
        text=request.text,
        voice=request.voice or settings.tts_voice,
        language=request.language,
        speed=request.speed,
        format="wav" if request.format == "wav" else "pcm16",
        sample_rate_hz=request.sample_rate,
    )


def start_of(request: SpeakRequest, request_seq: int, engine: EngineInfo, settings: SynthSettings) -> AudioStart:
    """The `start` of each attempt at a request."""
    utterance = utterance_of(request, settings)
    spec = output_spec(engine, utterance)
    return AudioStart(
        request_seq, utterance.format, spec.sample_rate_hz, spec.channels, engine.name, utterance.language
    )


async def narrate(
    bus: Bus,
    engine: PooledEngine,
    stored: StoredRequest,
    progress: Assembly,
    attempt: int,
    settings: SynthSettings,
    observe: Callable[[str, float], None],
) -> AudioEnd:
    """Speak what is not stored yet and store it with its end; gives the end. Cancel-safe: the engine is stopped.

    `progress` says what counts before this attempt. Raises EngineError, NodeUnavailable, PublishRefused.
    """
    request = stored.request
    assert request is not None, "a request that cannot be read is refused before"
    utterance = utterance_of(request, settings)
    spec = output_spec(engine.info, utterance)
    resume = Resume(progress.next_index, progress.bytes, progress.next_sentence)
    subject = subjects.put_audio(stored.session, stored.token)
    chunks, size = resume.next_index, resume.stored_bytes
    began = time.monotonic()
    async with Window(bus) as window:
        pieces = speak_utterance(
            engine,
            utterance,
            chunk_bytes=settings.websocket_chunk_size,
            ramp=settings.chunk_ramp,
            rtf=settings.tts_engine_rtf,
            resume=resume,
        )
        async with aclosing(pieces):
            async for piece in pieces:
                chunk = AudioChunk(attempt, piece.index, piece.pts_ms, piece.sentence, piece.audio)
                await window.put(subject, chunk.pack(), f"{stored.session}.{stored.token}.{attempt}.{piece.index}")
                chunks, size = piece.index + 1, size + len(piece.audio)
                observe("chunk", len(piece.audio))
        seconds = audio_seconds(spec, utterance.format, size)
        observe("audio_seconds", seconds - audio_seconds(spec, utterance.format, resume.stored_bytes))
        observe("synthesis_seconds", time.monotonic() - began)
        end = AudioEnd(attempt, "complete", chunks, size, seconds)
        await window.put(subject, end.pack(), f"{stored.session}.{stored.token}.{attempt}.end")
        await window.flush()
    return end
