"""How a request ends that is not spoken here: refused, a duplicate, cancelled, deleted, or ended by another process.

While a request is stored that it supersedes, it is nak'ed in place of acked: it stays stored, and is closed later.
"""

from __future__ import annotations

from collections.abc import Callable

from orastream.contract.messages import Report, ReportError
from orastream.contract.report_state import Verdict
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.report_store import ReportStore
from services.synth.job.hold import Hold
from services.synth.queue.admission import Admission
from services.synth.queue.claim import Claim

AGAIN_S = 1.0
"""Delay of a nak, before the server redelivers the request."""


class Ending:
    """Ends one request. Each method raises NodeUnavailable, and may be repeated."""

    def __init__(self, reports: ReportStore, stored: StoredRequest, hold: Hold, count: Callable[[str], None]) -> None:
        """`count` counts the outcome."""
        self._reports = reports
        self._stored = stored
        self._hold = hold
        self._count = count

    async def refuse(self, status: str, error: ReportError) -> None:
        """End a request without a claim: write its final report and ack it; nak it if another synth has claimed it."""
        stored = self._stored
        report = stored.report("failed" if status == "failed" else "expired", error=error)
        written = await self._reports.write_first(stored, report)
        if written.verdict is Verdict.DUPLICATE:
            await self._pass_on(written.state.report)
            return
        if not written.state.report.final:  # another synth has just claimed it; if it dies, we get it again
            await self._hold.redeliver(AGAIN_S)
            return
        closed = await self._reports.close(stored, written.state.report)
        self._count(written.state.report.status)
        await self._leave(closed=closed)

    async def settle(self, outcome: Claim) -> None:
        """Do what is left to do for a request that is not to be spoken."""
        closed = True
        match outcome.admission:
            case Admission.GONE:
                await self._end_unstored(outcome)
            case Admission.DUPLICATE:
                await self._pass_on(outcome.state.report)
                return
            case Admission.FINAL:
                closed = await self._reports.close(self._stored, outcome.state.report)
            case _:
                assert outcome.admission is Admission.CANCELLED, outcome.admission
                if outcome.state.report.transport == "none":
                    closed = await self.finish(outcome.state.report.with_(status="cancelled"))
        await self._leave(closed=closed)

    async def _end_unstored(self, outcome: Claim) -> None:
        """Write `failed` for a deleted request if it has no final report yet. Else its claim would never end.

        If another synth has claimed it, its audio may be complete: then the bridge ends it.
        """
        claimed = outcome.state.report
        another_synths = outcome.attempt is None and claimed.transport != "none"
        if claimed.final or claimed.request_seq != self._stored.sequence or another_synths:
            return
        error = ReportError.of("internal", "the stored request was deleted before it was spoken")
        failed = claimed.with_(status="failed", error=error)
        written = await self._reports.write_over(self._stored, failed, outcome.state.revision)
        if written.state.report.final:
            await self._reports.close(self._stored, written.state.report)

    async def _pass_on(self, existing: Report) -> None:
        """Answer a duplicate with the final report of the first request; nak it until there is one."""
        if not existing.final:
            await self._hold.redeliver(AGAIN_S)
            return
        await self._reports.close(self._stored, existing)
        self._count("duplicate")
        await self._hold.ack()

    async def finish(self, final: Report) -> bool:
        """Write the final report after `end` is stored: for transport `none` no bridge does it.

        Returns whether nothing is left to do. If not, nak the request.
        """
        written = await self._reports.write(self._stored, final, None)
        return not written.state.report.final or await self._reports.close(self._stored, written.state.report)

    async def _leave(self, *, closed: bool) -> None:
        if closed:
            await self._hold.ack()
        else:
            await self._hold.redeliver(AGAIN_S)
