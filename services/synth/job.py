"""One request from its hand-out to its ack: claim it, speak it in as many attempts as it takes, store its end.

Every step may be the last one before this process dies: what is stored then is what another synth goes on from, and a
request is acked only when its `end`, or its final report, is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from orastream import streams, subjects, tasks, traces
from orastream.assembly import Assembly
from orastream.errors import Undecodable
from orastream.intake import StoredRequest, read_message
from orastream.jetstream import JetStream
from orastream.messages import Report, ReportError
from orastream.packets import AudioEnd, AudioStart, EndError, EndStatus, unpack
from orastream.playback import Playback
from orastream.pull import Delivery
from orastream.reports import Reports, Verdict
from services.synth.admission import Admission
from services.synth.claim import Claim, claim, overdue
from services.synth.engines.base import CannotResume, EngineError
from services.synth.narration import narrate, start_after, start_of
from services.synth.outcome import as_final, summary
from services.synth.settings import SynthSettings
from services.synth.speaker import Speaker
from services.synth.unwanted import error_of, until_unwanted

MOST_FAILED_ATTEMPTS = 3
AGAIN_S = 1.0
STARTED = "✅ [TTS] WebSocket 백그라운드 스트리밍 시작"

log = structlog.get_logger()


class Cancelled(Exception):
    """A cancel that covers the request is stored."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all jobs of a synth share."""

    js: JetStream
    reports: Reports
    speaker: Speaker
    settings: SynthSettings
    observe: Callable[[str, float], None]
    """Counts by name: chunk (bytes), audio_seconds, synthesis_seconds, and each outcome."""


class Job:
    """`await Job(bench, delivery).run()` does all there is to do for one hand-out, the ack included.

    `waits` hears when it begins and ends to wait for a text that still comes. Cancelling it leaves the request to the
    next hand-out. Raises NodeUnavailable when NATS is away too long.
    """

    def __init__(self, bench: Bench, delivery: Delivery, waits: Callable[[bool], None]) -> None:
        self._bench = bench
        self._waits = waits
        self._delivery = delivery
        stored = read_message(delivery, max_text_chars=bench.settings.tts_max_text_chars)
        assert isinstance(stored, StoredRequest), "the consumer's filter lets only requests through"
        self._stored = stored
        self._playback = Playback()
        self._span = traces.Span()

    async def run(self) -> None:
        """See the class."""
        stored = self._stored
        about = traces.taken(stored, "process", streams.SYNTH) | {"orastream.deliveries": self._delivery.delivered}
        with (
            structlog.contextvars.bound_contextvars(session=stored.session_id, request=stored.request_id),
            traces.begin("synth process", parent=stored.trace, kind="consumer", attributes=about) as self._span,
        ):
            problem = self._problem()
            if problem is not None:
                await self._refuse("failed", problem)
            elif await overdue(self._bench.reports, stored, time.time()):
                message = f"not claimed within ttlSeconds ({stored.ttl_s:g}): all synth slots were busy"
                await self._refuse("expired", ReportError.of("expired", message))
            else:
                await self._claim_and_speak()

    def _problem(self) -> ReportError | None:
        """Why the request cannot be spoken here at all, or None."""
        stored, request = self._stored, self._stored.request
        if request is None:
            return ReportError.of("invalid_request", str(stored.problem))
        speaks = self._bench.speaker.info.name
        if request.engine is not None and request.engine.lower() != speaks.lower():
            return ReportError.of("invalid_request", f"engine: this node speaks with {speaks!r}; leave it out")
        return None

    async def _refuse(self, status: str, error: ReportError) -> None:
        """Write the final report of a request that nobody claims."""
        stored = self._stored
        report = stored.report("failed" if status == "failed" else "expired", error=error)
        written = await self._bench.reports.write_first(stored, report)
        if written.verdict is Verdict.DUPLICATE:
            await self._pass_on(written.state.report)
            return
        if not written.state.report.final:  # claimed by another synth just now: whether it lives, time will tell
            await self._delivery.give_back(AGAIN_S)
            return
        await self._bench.reports.close(stored, written.state.report)
        self._count(written.state.report.status)
        await self._delivery.ack()

    # ---- claiming

    async def _claim_and_speak(self) -> None:
        bench, stored, request = self._bench, self._stored, self._stored.request
        assert request is not None, "a request without one was refused"
        transport = stored.stated_transport or bench.settings.default_transport
        report = stored.report("synthesizing", transport=transport)
        start = start_of(request, stored.sequence, bench.speaker.info, bench.settings)
        with traces.begin("claim", parent=self._span) as span:
            outcome = await claim(bench.js, bench.reports, stored, report, start)
            span.set({"orastream.admission": outcome.admission.name.lower()})
        match outcome.admission:
            case Admission.GONE:
                await self._delivery.ack()
            case Admission.DUPLICATE:
                await self._pass_on(outcome.state.report)
            case Admission.FINAL:
                await bench.reports.close(stored, outcome.state.report)
                await self._delivery.ack()
            case Admission.CANCELLED:
                if outcome.state.report.transport == "none":
                    await self._finish_ourselves(outcome.state.report.with_(status="cancelled"))
                await self._delivery.ack()
            case Admission.OURS:
                await self._speak_or_cancel(outcome, start)

    async def _pass_on(self, existing: Report) -> None:
        """A duplicate gets the first one's final report, once there is one."""
        if not existing.final:
            await self._delivery.give_back(AGAIN_S)
            return
        await self._bench.reports.close(self._stored, existing)
        self._count("duplicate")
        await self._delivery.ack()

    # ---- speaking

    async def _speak_or_cancel(self, outcome: Claim, start: AudioStart) -> None:
        transport = outcome.state.report.transport
        request = self._stored.request
        assert request is not None
        self._bench.observe("queue_seconds", max(0.0, time.time() - self._stored.stored_at_s))
        forget = request.fire_and_forget
        if transport == "websocket" and (self._bench.settings.default_fire_and_forget if forget is None else forget):
            log.info(STARTED, sequence=self._stored.sequence)
        speaking = asyncio.create_task(self._attempts(outcome.attempt, start))
        final: Report | None = None
        unwanted = asyncio.create_task(until_unwanted(self._bench.js, self._stored))
        try:
            await asyncio.wait({speaking, unwanted}, return_when=asyncio.FIRST_COMPLETED)
            if speaking.done():
                end = speaking.result()
            else:
                final = unwanted.result()
                await tasks.end(speaking)
                end = await self._end_early(error_of(final))
        finally:
            await tasks.end(speaking, unwanted)
        if transport == "none":
            await self._finish_ourselves(as_final(outcome.state.report, end, self._playback))
        if end.error is not None:
            self._span.fail(end.error.code, end.error.message)
        self._count("unwanted" if final is not None and final.status != "cancelled" else end.status)
        log.info("spoken", **summary(end, self._playback, time.time() - self._stored.stored_at_s))
        await self._delivery.ack()

    async def _attempts(self, attempt: int | None, start: AudioStart) -> AudioEnd:
        """Attempts until the end is stored; gives that end."""
        failures, error = 0, None
        progress = Assembly(self._stored.sequence)
        if attempt is not None:
            progress.receive(attempt, start)
        while True:
            if attempt is None:
                progress, attempt = await self._open_attempt(start)
                if attempt is None:
                    assert progress.end is not None
                    return progress.end  # an earlier attempt had stored everything, only its ack was lost
            failed = failures + progress.barren
            if failed >= MOST_FAILED_ATTEMPTS:
                error = error or EndError("engine_error", f"synthesis broke off without any progress {failed} times")
                return await self._store_end(progress, attempt, error)
            try:
                return await self._speak(progress, attempt)
            except EngineError as exc:
                error = EndError(exc.code, str(exc))
                if not exc.retryable or isinstance(exc, CannotResume):
                    return await self._store_end(progress, attempt, error)
                failures, attempt = failures + 1, None
                log.warning("the engine failed", error=str(exc), failures=failures)
                self._bench.observe("engine_failure", 1)

    async def _speak(self, progress: Assembly, attempt: int) -> AudioEnd:
        bench = self._bench
        about: traces.Attributes = {"orastream.attempt": attempt, "orastream.first_index": progress.next_index}
        with traces.begin("speak", parent=self._span, attributes=about) as span:
            return await narrate(
                bench.js,
                bench.speaker,
                self._stored,
                progress,
                attempt,
                bench.settings,
                bench.observe,
                self._playback,
                self._waits,
                span,
            )

    async def _open_attempt(self, start: AudioStart) -> tuple[Assembly, int | None]:
        """Store a `start` after what there is, and know what counts before it; no attempt when all is stored."""
        stored, js = self._stored, self._bench.js
        progress = Assembly(stored.sequence)
        after = await self._read_audio(progress, 0, None)
        if progress.finished is not None and progress.finished.status != "cancelled":
            return progress, None
        start = start_after(progress, start)
        # With an id: a start that is stored twice, as its ack was lost, would count as an attempt without progress.
        message_id = f"{stored.session}.start.{uuid.uuid4().hex}"
        ack = await js.store(subjects.put_audio(stored.session, stored.token), start.pack(), message_id=message_id)
        await self._read_audio(progress, after, ack.sequence)
        finished = progress.finished is not None  # another attempt stored its end just before our start
        return progress, None if finished else ack.sequence

    async def _read_audio(self, progress: Assembly, after: int, until: int | None) -> int:
        """Feed `progress` what is stored above `after`, up to `until` or to the end; gives the last sequence."""
        stored, js = self._stored, self._bench.js
        subject = subjects.audio(stored.session, stored.token)
        while until is None or after < until:
            page = await js.read(streams.AUDIO, subject, after)
            if not page:
                message = await js.after(streams.AUDIO, subject, after)  # an empty answer of a replica proves nothing
                if message is None:
                    break
                page = [message]
            for message in page:
                after = message.sequence
                with contextlib.suppress(Undecodable):  # of a later version's: passed over
                    progress.receive(after, unpack(message.data))
                if after == until:
                    break
        return after

    async def _store_end(self, progress: Assembly, attempt: int, error: EndError | None) -> AudioEnd:
        """Close an attempt before its time: failed by `error`, or cancelled."""
        status: EndStatus = "failed" if error is not None else "cancelled"
        end = AudioEnd(attempt, status, progress.next_index, progress.bytes, 0.0, error)
        stored = self._stored
        await self._bench.js.store(subjects.put_audio(stored.session, stored.token), end.pack())
        return end

    # ---- cancel, or a final report while it is spoken

    async def _end_early(self, error: EndError | None) -> AudioEnd:
        """Close the latest attempt of ours: failed by `error`, or cancelled."""
        progress = Assembly(self._stored.sequence)
        await self._read_audio(progress, 0, None)
        assert progress.attempt is not None, "our start is stored before anything is spoken"
        return await self._store_end(progress, progress.attempt, error)

    # ---- transport `none`

    async def _finish_ourselves(self, final: Report) -> None:
        """Nobody delivers: the final report is ours to write once `end` is stored."""
        written = await self._bench.reports.write(self._stored, final, None)
        if written.state.report.final:
            await self._bench.reports.close(self._stored, written.state.report)

    def _count(self, outcome: str) -> None:
        self._span.set({"orastream.outcome": outcome})
        self._bench.observe(outcome, 1)
