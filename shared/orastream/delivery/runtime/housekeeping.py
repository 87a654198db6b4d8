"""The work of a session's owner besides delivery: end requests, tidy up, inspect stuck requests, delete cancels.

Each piece of work returns an outcome for the session's machine. Each can be repeated without harm.
"""

from __future__ import annotations

import asyncio

from orastream import traces
from orastream.base import logger
from orastream.contract.audio_messages import AudioEnd, unpack
from orastream.contract.errors import NodeUnavailable, Undecodable
from orastream.contract.messages import Transport
from orastream.contract.report_state import Verdict
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.session_effects import CheckStored, DropCancel, End, Inspect, LookUp, Tidy
from orastream.delivery.rules.session_outcomes import (
    CancelOutcome,
    Inspected,
    LookedUp,
    NotStored,
    Purpose,
    ReportWritten,
    SessionOutcome,
    Tidied,
    TidyFailed,
)
from orastream.delivery.rules.wakeup import cancel_is_applied
from orastream.delivery.runtime.other_bridges import OtherBridges
from orastream.delivery.runtime.ownership import Owners
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from orastream.jetstream.session_events import next_request

AGAIN_S = 0.5

log = logger.named(__name__)


class Housekeeping:
    """Carries out the housekeeping effects of one session. `token` is the session's subject token."""

    def __init__(
        self, js: JetStream, owners: Owners, reports: ReportStore, epoch: int, token: str, transport: Transport
    ) -> None:
        """`transport` is that of the bridge."""
        self._js = js
        self._owners = owners
        self._reports = reports
        self._epoch = epoch
        self._token = token
        self._leaves_cancels = transport == "http"
        self._others = OtherBridges(js)

    async def carry_out(
        self, effect: End | Tidy | Inspect | CheckStored | DropCancel | LookUp
    ) -> SessionOutcome | None:
        """Carry out the effect and return its outcome. None: the machine returns the effect again later."""
        match effect:
            case End():
                return await self._end(effect)
            case Tidy(entry, just_written):
                return await self._tidy(entry, just_written=just_written)
            case Inspect(entry):
                return await self._inspect(entry)
            case CheckStored(entry):
                return await self._check_stored(entry)
            case DropCancel(sequence):
                return await self._drop_cancel(sequence)
            case LookUp(entry):
                return await self._look_up(entry)

    async def _end(self, effect: End) -> ReportWritten:
        entry = effect.entry
        base = entry.resumes or entry.stored.report("queued")
        final = base.with_(status=effect.status, error=effect.error, epoch=self._epoch)
        write = self._reports.write_over if effect.exact else self._reports.write
        while True:
            try:
                written = await write(entry.stored, final, effect.revision)
                break
            except NodeUnavailable as exc:
                log.warning("final report not written; retrying", request=entry.stored.request_id, error=str(exc))
                await asyncio.sleep(AGAIN_S)
        if written.verdict is Verdict.WRITTEN:  # no delivery has recorded the end in the trace
            with traces.begin(
                "end", parent=entry.stored.trace, attributes=traces.taken(self._js.names, entry.stored, "end", "")
            ) as span:
                traces.record(span, written.state.report)
        return ReportWritten(entry, Purpose.END, written.verdict, written.state)

    async def _tidy(self, entry: Entry, *, just_written: bool) -> SessionOutcome | None:
        try:
            if not just_written and await self._js.get(self._js.names.sessions_stream, entry.sequence) is None:
                return Tidied(entry)
        except NodeUnavailable:
            return None
        assert entry.report is not None, "the machine tidies only what has a final report"
        try:
            closed = await self._reports.close(entry.stored, entry.report)
        except NodeUnavailable as exc:
            log.warning("tidying up failed; retrying", request=entry.stored.request_id, error=str(exc))
            return TidyFailed(entry)
        return Tidied(entry) if closed else TidyFailed(entry)

    async def _check_stored(self, entry: Entry) -> SessionOutcome | None:
        try:
            if await self._js.get(self._js.names.sessions_stream, entry.sequence) is not None:
                return None
        except NodeUnavailable:
            return None
        log.warning("a request was deleted without a final report", request=entry.stored.request_id)
        return NotStored(entry)

    async def _look_up(self, entry: Entry) -> SessionOutcome:
        try:
            return LookedUp(entry, await self._reports.read(self._token, entry.stored.token))
        except NodeUnavailable:
            return LookedUp(entry, None, answered=False)

    async def _inspect(self, entry: Entry) -> SessionOutcome:
        try:
            lives = entry.transport is not None and await self._owners.lives(entry.transport, self._token)
            last = await self._js.last(
                self._js.names.audio_stream, self._js.names.audio(entry.stored.session, entry.stored.token)
            )
            ended = last is None or isinstance(unpack(last.data), AudioEnd)
        except (NodeUnavailable, Undecodable):
            return Inspected(entry, False, False)
        return Inspected(entry, lives, ended)

    async def _drop_cancel(self, sequence: int) -> SessionOutcome:
        try:
            lowest = await next_request(self._js, self._token, 0, before=sequence)
            if cancel_is_applied(sequence, lowest.sequence if lowest is not None else None):
                if self._leaves_cancels and await self._others.announce_cancels():
                    return CancelOutcome(sequence, dropped=True)  # a ws_bridge deletes it when OraServer has answered
                await self._js.delete(self._js.names.sessions_stream, sequence)
                return CancelOutcome(sequence, dropped=True)
        except NodeUnavailable:
            pass
        return CancelOutcome(sequence, dropped=False)
