"""One request from its delivery to its ack: claims it, synthesizes it in one or more attempts, and stores its `end`.

The process may die at any step: another synth then continues from the stored messages. A job acks its request only
after its `end` or its final report is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import NoReturn

import structlog

from orastream import traces
from orastream.base import tasks
from orastream.contract.audio_messages import AudioEnd, AudioStart, EndError
from orastream.contract.errors import PublishRefused
from orastream.contract.messages import Report, ReportError
from orastream.contract.names import SYNTH
from orastream.contract.playback import Playback
from orastream.contract.stored_requests import StoredRequest
from services.synth.engines.base import EngineError
from services.synth.job.abort_watch import AbortWatch, error_of
from services.synth.job.attempt import Attempt, AudioLost, end_latest, first_attempt, open_or_expire
from services.synth.job.context import SynthContext
from services.synth.job.ending import AGAIN_S, Ending
from services.synth.job.head_start import HeadStart
from services.synth.job.heard_record import recorded_as_unknown
from services.synth.job.hold import Hold, Superseded
from services.synth.job.metrics import SynthMetrics
from services.synth.job.outcome import FailedAttempts, as_final, summary, worth_retrying
from services.synth.job.redelivery import StoredAudio, deliver_again, find_source
from services.synth.job.speech_run import utterance_of, voice_of
from services.synth.job.synthesis import narrate, reached_by, start_of
from services.synth.queue.admission import Admission
from services.synth.queue.claim import Claim, claim, overdue, problem_of
from services.synth.queue.superseded import SupersedingReader
from services.synth.queue.turns import SlotTurn
from services.synth.speech.speak import SpokenUtterance

STARTED = "✅ [TTS] WebSocket 백그라운드 스트리밍 시작"

log = structlog.get_logger()


class Job:
    """`await Job(context, stored, hold, turn).run()` processes one delivery, the ack included.

    Meanwhile it sends `in_progress`. If another synth supersedes it, it ends without an ack. `turn` takes its slot away
    while it waits for streamed text, and between sentences. After a cancel or an exception the caller calls
    `hold.redeliver`. Raises NodeUnavailable when NATS is unavailable for too long.
    """

    def __init__(
        self, context: SynthContext, stored: StoredRequest, hold: Hold, turn: SlotTurn, *, cancelled: bool = False
    ) -> None:
        """`stored` is the request that `hold` delivers. `cancelled`: it is probably cancelled, so that its claim is not
        expected to succeed.
        """
        self._context = context = context.of_job()
        self._turn = turn
        self._delivery = hold.delivery
        self._hold = hold
        self._stored = stored
        self._playback = Playback()
        self._again: StoredAudio | ReportError | None = None
        """The audio to deliver again, or why it is missing; None: speak the text."""
        self._cancelled = cancelled
        self._head_start: HeadStart | None = None
        self._span = traces.Span()
        self._count: Callable[[str], None]
        self._ending: Ending

    async def run(self) -> None:
        """Process the delivery, as the class says."""
        async with self._processing() as keeping:
            await self._run(keeping)

    async def claimed(self) -> bool:
        """Whether the request has a report: a synth has claimed it, or its id is repeated. Raises NodeUnavailable."""
        return await self._context.reports.read(self._stored.session, self._stored.token) is not None

    async def expire(self, why: str) -> None:
        """End the request as `expired` without speaking it, the ack included."""
        async with self._processing():
            await self._ending.refuse("expired", ReportError.of("expired", why))

    @contextlib.asynccontextmanager
    async def _processing(self) -> AsyncIterator[asyncio.Task[NoReturn]]:
        """The log context and the span of this delivery, and the task that sends `in_progress`."""
        stored = self._stored
        about = traces.taken(self._context.js.names, stored, "process", SYNTH) | {
            "orastream.deliveries": self._delivery.delivered
        }
        keeping = asyncio.create_task(self._hold.keep(), name="keep")
        try:
            with (
                structlog.contextvars.bound_contextvars(session=stored.session_id, request=stored.request_id),
                traces.begin("synth process", parent=stored.trace, kind="consumer", attributes=about) as self._span,
            ):
                self._count = partial(_counted, self._context.metrics, self._span)
                self._ending = Ending(self._context.reports, stored, self._hold, self._count)
                yield keeping
        finally:
            await tasks.end(keeping)

    async def _run(self, keeping: asyncio.Task[NoReturn]) -> None:
        stored = self._stored
        problem = problem_of(stored, self._context.engine.name)
        if problem is not None:
            await self._ending.refuse("failed", problem)
        elif await overdue(self._context.reports, stored, self._context.js.clock.now_s()):
            message = f"not claimed within ttlSeconds ({stored.ttl_s:g}): all synth slots were busy"
            await self._ending.refuse("expired", ReportError.of("expired", message))
        elif (problem := await self._find_source()) is not None:
            await self._ending.refuse("failed", problem)
        else:
            await self._claim_and_speak(keeping)

    async def _find_source(self) -> ReportError | None:
        """Find the audio of a request with `redeliverOf`, or return why there is none."""
        request = self._stored.request
        if request is None or request.redeliver_of is None:
            return None
        found = await find_source(self._context, self._stored, request.redeliver_of)
        if isinstance(found, ReportError) and not await self.claimed():  # a synth that is gone may have stored all
            return found
        self._again = found
        return None

    # ---- claiming

    async def _claim_and_speak(self, keeping: asyncio.Task[NoReturn]) -> None:
        context, stored, request = self._context, self._stored, self._stored.request
        assert request is not None, "a request without one was refused"
        transport = stored.stated_transport or context.settings.default_transport
        report = stored.report("synthesizing", transport=transport)
        engine = context.engine
        fmt = await context.formats.of(request, transport, deterministic=engine.deterministic)
        utterance = utterance_of(request, fmt, context.settings)
        spoken = start_of(request, stored.sequence, engine, utterance)
        start = self._again.start if isinstance(self._again, StoredAudio) else spoken
        max_text_chars = context.settings.tts_max_text_chars
        reader = SupersedingReader(context.js, engine.name, max_text_chars)
        async with AbortWatch(reader, stored, context.reports.state_of) as watch, self._begun(utterance):
            with traces.begin("claim", parent=self._span) as span:
                outcome = await claim(reader, context.reports, stored, report, start)
                watch.consider(outcome.undecided)
                span.set({"orastream.admission": outcome.admission.name.lower()})
            if outcome.admission is Admission.OURS:
                unheard = outcome.state.report.transport == "none" and context.settings.heard_records
                recording = recorded_as_unknown(context.js, stored) if unheard else contextlib.nullcontext()
                try:
                    async with recording:
                        await self._speak_or_cancel(outcome, start, watch, keeping)
                except Superseded:
                    self._count("superseded")
                    log.warning("another synth has opened a later attempt; this synth drops the request")
                return
        await self._ending.settle(outcome)

    @contextlib.asynccontextmanager
    async def _begun(self, utterance: SpokenUtterance) -> AsyncIterator[None]:
        """The engine makes the first chunk meanwhile, unless this may not be the first attempt at the request."""
        request = self._stored.request
        spoken_anew = self._again is None and self._delivery.delivered == 1 and not self._cancelled
        if request is None or request.text_stream or not spoken_anew:
            yield
            return
        async with HeadStart(self._context, self._stored, self._turn, utterance) as self._head_start:
            yield

    # ---- speaking

    async def _speak_or_cancel(
        self, outcome: Claim, start: AudioStart, watch: AbortWatch, keeping: asyncio.Task[NoReturn]
    ) -> None:
        """Synthesize until the `end`, a cancel or a final report. Raises Superseded."""
        transport = outcome.state.report.transport
        request = self._stored.request
        assert request is not None
        self._context.metrics.claimed(self._context.js.clock.age_s(self._stored.stored_at_s))
        forget = request.fire_and_forget
        if transport != "websocket":
            self._turn.ended()  # nobody hears it while it is made
        speaking = asyncio.create_task(self._attempts(outcome.attempt, start))
        final: Report | None = None
        aborted = asyncio.create_task(watch.until_aborted())
        try:
            if transport == "websocket" and (
                self._context.settings.default_fire_and_forget if forget is None else forget
            ):
                log.info(STARTED, sequence=self._stored.sequence)
            await asyncio.wait({speaking, aborted, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if speaking.done():
                end = speaking.result()
            elif aborted.done():
                final = aborted.result()
                await tasks.end(speaking)
                end = await end_latest(self._context.js, self._stored, error_of(final))
            else:
                keeping.result()  # raises Superseded
        finally:
            await tasks.end(speaking, aborted)
        closed = True
        if transport == "none":
            closed = await self._ending.finish(as_final(outcome.state.report, end, self._playback))
        if end.error is not None:
            self._span.fail(end.error.code, end.error.message)
        self._count("unwanted" if final is not None and final.status != "cancelled" else end.status)
        log.info("spoken", **summary(end, self._playback, self._context.js.clock.age_s(self._stored.stored_at_s)))
        if closed:
            await self._hold.ack()
        else:
            await self._hold.redeliver(AGAIN_S)

    async def _attempts(self, first: int | None, start: AudioStart) -> AudioEnd:
        """Make attempts until an `end` that counts is stored, and return it. Raises Superseded.

        `first` is the sequence of the first attempt's `start` if the claim has stored it, else None.
        """
        js, hold, failed, error = self._context.js, self._hold, FailedAttempts(), None
        retention_s = self._context.settings.tts_audio_retention_seconds
        voice = voice_of(self._stored.request, self._context.settings)
        if first is not None:
            hold.attempt = first_attempt(js, self._stored, start, first, retention_s)
        while True:
            if hold.attempt is None:
                opened = await open_or_expire(js, self._stored, start, retention_s)
                if isinstance(opened, AudioEnd):
                    return opened  # an earlier attempt stored everything, but its synth did not ack
                hold.attempt = opened
            attempt = hold.attempt
            reached = reached_by(attempt.progress, self._context.engine, voice)
            failed.on_opened(reached, attempt.without_progress)
            try:
                if failed.too_many:
                    problem = f"synthesis failed {failed.in_a_row} times without progress"
                    error = error or EndError("engine_error", problem)
                    end = await attempt.end_early(error)
                else:
                    end = await self._speak(attempt)
            except EngineError as exc:
                error = EndError(exc.code, str(exc))
                if worth_retrying(exc):
                    failed.on_failed()
                    log.warning("the engine failed", error=str(exc), failures=failed.in_a_row)
                    self._context.metrics.engine_failed()
                    await hold.forget(attempt)
                    continue
                end = await attempt.end_early(error)
            except PublishRefused as exc:  # another attempt would be refused, too
                log.error("NATS refuses the audio", problem=str(exc))
                end = await attempt.end_early(EndError("internal", f"NATS refuses the audio: {exc.description}"))
            try:
                return await hold.confirmed(attempt, end)
            except AudioLost as exc:
                if await self._is_final():
                    return end
                log.warning("the stored audio was lost; the request is synthesized again", error=str(exc))
                hold.attempt = None
                failed.on_failed()
                error = EndError("internal", "the stream of audio was lost while the request was spoken")

    async def _is_final(self) -> bool:
        """Whether the request has a final report: its bridge needs no more audio."""
        state = await self._context.reports.read(self._stored.session, self._stored.token)
        return state is not None and state.report.final and state.report.request_seq == self._stored.sequence

    async def _speak(self, attempt: Attempt) -> AudioEnd:
        about: traces.Attributes = {
            "orastream.attempt": attempt.sequence,
            "orastream.first_index": attempt.progress.next_index,
        }
        with traces.begin("speak", parent=self._span, attributes=about) as span:
            if self._again is not None:
                return await deliver_again(self._again, self._context, self._stored, attempt, self._playback)
            end = await narrate(
                self._context, self._stored, attempt, self._playback, self._turn, span, self._head_start
            )
        self._context.pace.spoke(end, len(self._delivery.data))
        return end


def _counted(metrics: SynthMetrics, span: traces.Span, outcome: str) -> None:
    span.set({"orastream.outcome": outcome})
    metrics.done(outcome)
