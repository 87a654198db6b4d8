"""The synthesis of one attempt: publishes the audio of `speak_utterance` through a publish window."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace

from orastream.contract.assembly import Assembly
from orastream.contract.audio import FORMATS, Format
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.messages import SpeakRequest
from orastream.contract.playback import Playback
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.publish_window import PublishWindow
from orastream.traces import Span
from services.synth.audio.encoder import file_mark
from services.synth.audio.pcm_chunker import AudioPiece
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engines.base import CannotResume, NoAudio
from services.synth.job.attempt import Attempt
from services.synth.job.audio_publisher import AudioPublisher
from services.synth.job.context import SynthContext
from services.synth.job.head_start import HeadStart
from services.synth.job.outcome import Reached
from services.synth.job.speech_run import SpeechRun, utterance_of, whole_text
from services.synth.queue.turns import SlotTurn
from services.synth.speech.resume import Resume, continues_exactly
from services.synth.speech.speak import SpokenUtterance, output_spec
from services.synth.text.streamed_text import StreamedText


def start_of(request: SpeakRequest, request_seq: int, engine: EngineInfo, utterance: SpokenUtterance) -> AudioStart:
    """The `start` of the first attempt at a request; a later one keeps the format and rate of the stored audio."""
    spec = output_spec(engine, utterance)
    return AudioStart(
        request_seq,
        utterance.format,
        spec.sample_rate_hz,
        spec.channels,
        engine.name,
        utterance.language,
        engine.version_of(utterance.voice) + file_mark(utterance.format),
        None if request.text_stream else request.text,
    )


def resume_of(progress: Assembly, engine: EngineInfo, voice: str | None = None) -> Resume:
    """Where the engine continues. `same_engine`: only the same engine and version, with the same gain of the voice and
    the same encoder, repeat the stored audio exactly.
    """
    mark = file_mark(progress.start.format) if progress.start is not None else ""
    same = progress.makers <= {(engine.name, engine.version_of(voice) + mark)}
    return Resume(
        progress.next_index,
        progress.bytes,
        progress.next_sentence,
        progress.begun,
        progress.last_word,
        progress.last_pts_ms,
        progress.tail,
        same_engine=same,
    )


def reached_by(progress: Assembly, engine: EngineInfo, voice: str | None = None) -> Reached:
    """How far the stored audio reaches, and whether this engine continues at its end."""
    resume = resume_of(progress, engine, voice)
    return Reached(resume.next_index, resume.sentence, continues_exactly(engine, resume))


def stored_format(start: AudioStart) -> Format:
    """The format of the stored audio, which an attempt must continue. Raises CannotResume."""
    for fmt in FORMATS:
        if fmt == start.format:
            return fmt
    raise CannotResume(f"synthesis stopped, and this synth does not know {start.format}; send the request again")


def as_chunk(piece: AudioPiece, attempt: int, text: str | None) -> AudioChunk:
    """The message of a piece. `text` is its sentence, if the text is streamed."""
    return AudioChunk(
        attempt,
        piece.index,
        piece.pts_ms,
        piece.sentence,
        piece.audio,
        text,
        piece.offset,
        piece.sentences,
        piece.words,
    )


async def narrate(  # noqa: PLR0913 - what one attempt needs
    context: SynthContext,
    stored: StoredRequest,
    attempt: Attempt,
    playback: Playback,
    turn: SlotTurn,
    span: Span,
    head_start: HeadStart | None = None,
) -> AudioEnd:
    """Synthesize the audio that is not stored yet, store it and its `end`, and return the `end`.

    `playback` records each chunk when it is published; `span` gets an event for the first chunk and totals at the end.
    `turn` is told when it waits for streamed text, and asked before each sentence: it may give the slot away. It is not
    asked any more when the first chunks might expire before the last one is made. If a streamed text is invalid or
    incomplete, the text before that is synthesized and the `end` has status `failed`. A cancel stops the engine.
    `head_start` is used if the attempt begins where it does. Raises EngineError, NodeUnavailable, PublishRefused.
    """
    js, settings, metrics = context.js, context.settings, context.metrics
    request = stored.request
    assert request is not None, "the job has refused a request that cannot be read"
    progress, trail = attempt.progress, attempt.trail  # read it before any await: `counts` may update it
    assert progress.start is not None, "without it `open_attempt` raises AudioExpired"
    utterance = utterance_of(request, stored_format(progress.start), settings)
    utterance = replace(utterance, sample_rate_hz=progress.start.sample_rate_hz)
    resume = resume_of(progress, context.engine, utterance.voice)
    subject = js.names.put_audio(stored.session, stored.token)
    chunks, size = resume.next_index, resume.stored_bytes
    async with PublishWindow(js.broker, on_stored=trail.on_stored) as window, AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(AudioPublisher(js.broker, window, attempt, subject))
        streamed_text = None
        run = await head_start.take(attempt, resume, progress.start) if head_start is not None else None
        if run is None:
            if request.text_stream:
                streamed_text = await stack.enter_async_context(
                    StreamedText(js, stored, attempt.show_waiting, settings, turn.waits, context.lexicon_of(request))
                )
            lines = streamed_text.lines() if streamed_text else whole_text(request, utterance, context)
            await stack.enter_async_context(aclosing(lines))
            by_sentence = streamed_text is not None
            run = SpeechRun(
                context, stored, turn, utterance, lines, resume=resume, by_sentence=by_sentence, attempt=attempt
            )
        meter, made = run.meter, run.made
        async with aclosing(_all_there_is(run.pieces, streamed_text)) as pieces:
            async for piece in pieces:
                text = streamed_text.said[piece.sentence] if streamed_text else None
                assert piece.offset == size, "readers would not count a chunk that does not continue what is stored"
                chunk = as_chunk(piece, attempt.sequence, text)
                await publisher.chunk(chunk)
                playback.chunk(piece.index, piece.pts_ms, time.monotonic() * 1000)
                if piece.index == 0:
                    span.event("first audio")
                if piece.index == 0 and streamed_text is None:  # for streamed text this would measure the writer
                    metrics.first_chunk(js.clock.age_s(stored.stored_at_s))
                chunks, size = piece.index + 1, size + len(piece.audio)
                metrics.chunk_stored(len(piece.audio))
                if piece.index == 0:
                    await asyncio.sleep(0)  # it leaves now, not together with the chunks that are already made
        metrics.spoken(meter.made_s, meter.spent_s, meter.rtf)
        end = AudioEnd(attempt.sequence, "complete", chunks, size, made.seconds, rtf=meter.rtf)
        if streamed_text is not None:
            end = replace(end, text=streamed_text.text)
            if streamed_text.problem is not None:
                await window.flush()  # readers end at a failed end, so the chunks must be stored before it
                end = replace(end, status="failed", error=streamed_text.problem)
        await publisher.end(end)
        await window.flush()
    span.set(
        {
            "orastream.chunks": chunks,
            "orastream.bytes": size,
            "orastream.audio_seconds": made.seconds,
            "orastream.rtf": meter.rtf,
        }
    )
    return end


async def _all_there_is(
    pieces: AsyncGenerator[AudioPiece, None], streamed_text: StreamedText | None
) -> AsyncGenerator[AudioPiece, None]:
    """The pieces. NoAudio is suppressed if the streamed text has a problem: the text is the cause, not the engine."""
    async with aclosing(pieces):
        try:
            async for piece in pieces:
                yield piece
        except NoAudio:
            if streamed_text is None or streamed_text.problem is None:
                raise
