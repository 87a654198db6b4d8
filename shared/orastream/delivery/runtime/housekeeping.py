"""What a session's owner does beside delivering: end requests, tidy up, look after what is stuck, drop cancels.

Each is a task of its own that tells the session's machine the outcome and wakes the session. Each may be repeated.
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
    """What is to be done beside delivering in one session; `session` is its machine, `token` its subject token."""

    def __init__(self, host: Host, session: Session, token: str) -> None:
        self._host = host
        self._session = session
        self._token = token

    def do(self, effect: Effect) -> None:
        """Begin what the machine asks for; beginning and stopping deliveries is not a chore."""
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
                if effect.unclaimed:  # one that has been claimed after all is not ours to end
                    written = await reports.write_first(entry.stored, final)
                else:
                    written = await reports.write(entry.stored, final, entry.revision)
                break
            except NodeUnavailable as exc:
                log.warning("a final report waits for NATS", request=entry.stored.request_id, error=str(exc))
                await asyncio.sleep(AGAIN_S)
        if written.verdict is Verdict.WRITTEN:  # of a request that nobody has begun to deliver: its trace ends here
            with traces.begin(
                "end", parent=entry.stored.trace, attributes=traces.taken(entry.stored, "end", "")
            ) as span:
                traces.settle(span, written.state.report)
        if not written.state.report.final:
            self._session.end_refused(entry)
        self._host.reported(entry, written)
        self._host.wake()

    async def close(self, entry: Entry, final: Report) -> None:
        """After a final report: `replyTo` gets it, the request is deleted, which frees the session's place."""
        try:
            await self._host.reports.close(entry.stored, final)
            self._session.tidied(entry)
        except NodeUnavailable as exc:
            log.warning("tidying up waits for NATS", request=entry.stored.request_id, error=str(exc))
            self._session.tidy_failed(entry, asyncio.get_running_loop().time())
        self._host.wake()

    async def _tidy(self, entry: Entry) -> None:
        try:
            stored = await self._host.js.get(stream_names.SESSIONS, entry.sequence)
        except NodeUnavailable:
            return  # its time comes again
        if stored is None:
            self._session.tidied(entry)
            self._host.wake()
        elif entry.report is not None:
            await self.close(entry, entry.report)

    async def _check_stored(self, entry: Entry) -> None:
        try:
            stored = await self._host.js.get(stream_names.SESSIONS, entry.sequence)
        except NodeUnavailable:
            return  # its time comes again
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
            return  # its time comes again
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
