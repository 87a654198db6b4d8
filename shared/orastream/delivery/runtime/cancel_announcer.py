"""Has OraServer drop what it has of cancelled utterances, over protocol v2. The next utterance does not wait for it."""

from __future__ import annotations

import asyncio

from orastream.base import logger
from orastream.base.backoff import Backoff
from orastream.contract import subjects
from orastream.contract.errors import NodeUnavailable
from orastream.contract.oraserver.from_bridge import CancelUtterances
from orastream.contract.stored_requests import StoredCancel
from orastream.delivery.rules.session_outcomes import CancelAnnounced
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.pending_cancels import PendingCancel
from orastream.delivery.sink import LinkLost, Sink
from orastream.jetstream.report_store import ReportStore

log = logger.named(__name__)


class CancelAnnouncer:
    """Announces the cancels of one session. `token` is the session's subject token, `epoch` that of its owner."""

    def __init__(self, sink: Sink, reports: ReportStore, epoch: int, token: str, listener: Listener) -> None:
        """`listener` is that of the session."""
        self._sink = sink
        self._reports = reports
        self._epoch = epoch
        self._token = token
        self._listener = listener

    async def announce(self, stored: StoredCancel) -> CancelAnnounced:
        """Send the cancel until OraServer has answered, or the retries of a delivery are used up. Cancel-safe."""
        session_id, rules = subjects.untoken(self._token), self._sink.rules
        message = None if session_id is None else await self._message(session_id, stored)
        backoff = Backoff(rules.first_retry_s, rules.max_retry_s)
        failures, played_ms = 0, None
        while message is not None and failures <= rules.max_retries:
            try:
                pending, exact = await self._ask(message)
            except LinkLost as exc:
                failures += 1
                log.warning("OraServer has not answered a cancel", reason=str(exc), tries=failures)
                await asyncio.sleep(backoff.next_s() if failures <= rules.max_retries else 0)
                continue
            if pending is not None and pending.cleared is not None:
                log.info("cancelled at OraServer", utterances=len(pending.cleared.utterances))
                if exact:
                    played_ms = {seq: ms for _, seq, ms in pending.cleared.utterances}
            break
        return CancelAnnounced(stored.sequence, played_ms)

    async def _ask(self, message: CancelUtterances) -> tuple[PendingCancel | None, bool]:
        """Send the cancel and wait for its answer; None if OraServer needs none. Raises LinkLost.

        Also returns whether OraServer knows how much of an utterance was played.
        """
        changed = asyncio.Event()
        link = await self._sink.connect_for_cancels(message.session, changed.set)
        if link is None:
            return None, False
        try:
            pending = link.cancel(message, self._listener)
            while not pending.over:
                changed.clear()
                await changed.wait()  # the connection ends if OraServer does not answer
        finally:
            await link.close()
        if pending.stale:  # a newer owner announces it, too; or the node was restored from a backup
            raise LinkLost("OraServer knows a newer owner of the session (stale_epoch)")
        if pending.lost:
            raise link.lost or LinkLost("OraServer has not answered a cancel")
        return pending, link.reports_played

    async def _message(self, session_id: str, stored: StoredCancel) -> CancelUtterances | None:
        """The frame of a cancel; None if it names a request of which nothing is known: none was delivered."""
        assert stored.cancel is not None, "one that cannot be decoded cancels nothing"
        if stored.cancel.request_id is None:
            return CancelUtterances(session_id, self._epoch, before=stored.sequence)
        sequence = await self._sequence_of(subjects.token(stored.cancel.request_id))
        if sequence is None or sequence >= stored.sequence:
            return None
        return CancelUtterances(session_id, self._epoch, seq=sequence)

    async def _sequence_of(self, token: str) -> int | None:
        while True:
            try:
                state = await self._reports.read(self._token, token)
            except NodeUnavailable:
                await asyncio.sleep(self._sink.rules.first_retry_s)
                continue
            return None if state is None else state.report.request_seq
