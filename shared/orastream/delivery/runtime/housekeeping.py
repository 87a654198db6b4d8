"""The work of a session's owner besides delivery: end requests, tidy up, inspect stuck requests, delete cancels.

Each piece of work runs in its own task, reports the outcome to the session's machine and wakes the session. Each can be
repeated without harm.
"""

from __future__ import annotations

import asyncio

from orastream import traces
from orastream.base import logger
from orastream.contract import stream_names, subjects
from orastream.contract.audio_messages import AudioEnd, unpack
from orastream.contract.errors import NodeUnavailable, Undecodable
from orastream.contract.messages import Report
from orastream.contract.report_state import Verdict
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.session import Session
from orastream.delivery.rules.session_effects import CheckStored, DropCancel, Effect, End, Inspect, Tidy
from orastream.delivery.rules.wakeup import cancel_is_applied
from orastream.delivery.runtime.host import Host

AGAIN_S = 0.5

log = logger.named(__name__)


class Housekeeping:
    """Carries out the housekeeping effects of one session. `session` is its machine, `token` its subject token."""

    def __init__(self, host: Host, session: Session, token: str) -> None:
        self._host = host
        self._session = session
        self._token = token

    def do(self, effect: Effect) -> None:
        """Start a task for this effect. `Begin` and `Stop` are ignored: SessionRunner carries them out."""
        match effect:
            case End():
                self._host.spawn(self._end(effect))
            case Tidy(entry):
                self._host.spawn(self._tidy(entry))
            case Inspect(entry):
                self._host.spawn(self._inspect(entry))
            case CheckStored(entry):
                self._host.spawn(self._check_stored(entry))
            case DropCancel(sequence):
                self._host.spawn(self._drop_cancel(sequence))

    async def _end(self, effect: End) -> None:
        entry, reports = effect.entry, self._host.reports
        base = entry.resumes or entry.stored.report("queued")
        final = base.with_(status=effect.status, error=effect.error, epoch=self._host.epoch)
        while True:
            try:
                if effect.unclaimed:  # if a synth has claimed it meanwhile, this bridge must not end it
                    written = await reports.write_first(entry.stored, final)
                else:
                    written = await reports.write(entry.stored, final, entry.revision)
                break
            except NodeUnavailable as exc:
                log.warning("final report not written; retrying", request=entry.stored.request_id, error=str(exc))
                await asyncio.sleep(AGAIN_S)
        if written.verdict is Verdict.WRITTEN:  # no delivery has recorded the end in the trace
            with traces.begin(
                "end", parent=entry.stored.trace, attributes=traces.taken(entry.stored, "end", "")
            ) as span:
                traces.settle(span, written.state.report)
        if not written.state.report.final:
            self._session.end_refused(entry)
        self._host.reported(entry, written)
        self._host.wake()

    async def close(self, entry: Entry, final: Report) -> None:
        """Send the final report to `replyTo` and delete the request, so that the session may store another one."""
        try:
            await self._host.reports.close(entry.stored, final)
            self._session.tidied(entry)
        except NodeUnavailable as exc:
            log.warning("tidying up failed; retrying", request=entry.stored.request_id, error=str(exc))
            self._session.tidy_failed(entry, asyncio.get_running_loop().time())
        self._host.wake()

    async def _tidy(self, entry: Entry) -> None:
        try:
            stored = await self._host.js.get(stream_names.SESSIONS, entry.sequence)
        except NodeUnavailable:
            return  # the machine returns the effect again later
        if stored is None:
            self._session.tidied(entry)
            self._host.wake()
        elif entry.report is not None:
            await self.close(entry, entry.report)

    async def _check_stored(self, entry: Entry) -> None:
        try:
            stored = await self._host.js.get(stream_names.SESSIONS, entry.sequence)
        except NodeUnavailable:
            return  # the machine returns the effect again later
        if stored is None:
            log.warning("a request was deleted without a final report", request=entry.stored.request_id)
            self._session.tidied(entry)
            self._host.wake()

    async def _inspect(self, entry: Entry) -> None:
        try:
            last = await self._host.js.last(
                stream_names.AUDIO, subjects.audio(entry.stored.session, entry.stored.token)
            )
            ended = last is None or isinstance(unpack(last.data), AudioEnd)
        except (NodeUnavailable, Undecodable):
            return  # the machine returns the effect again later
        if ended:
            self._session.stuck(entry)
            self._host.wake()

    async def _drop_cancel(self, sequence: int) -> None:
        js, now = self._host.js, asyncio.get_running_loop().time()
        try:
            lowest = await js.after(stream_names.SESSIONS, subjects.session_request(self._token), 0)
            if cancel_is_applied(sequence, lowest.sequence if lowest is not None else None):
                await js.delete(stream_names.SESSIONS, sequence)
                self._session.cancel_dropped(sequence)
            else:
                self._session.cancel_kept(sequence, now)
        except NodeUnavailable:
            self._session.cancel_kept(sequence, now)
        self._host.wake()
