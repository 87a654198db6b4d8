"""Writes the reports of one delivery. Each write returns an outcome for the session's loop."""

from __future__ import annotations

import asyncio

from orastream.base import logger
from orastream.contract.errors import NodeUnavailable
from orastream.contract.messages import Report
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.session_outcomes import Purpose, ReportWritten
from orastream.delivery.runtime.outcomes import CheckpointSkipped
from orastream.jetstream.report_store import ReportStore

PERSIST_AGAIN_S = 0.5

log = logger.named(__name__)


class ReportWriter:
    """Writes reports of `entry`. The caller runs one write at a time, so that no report overtakes another."""

    def __init__(self, reports: ReportStore, entry: Entry) -> None:
        self._reports = reports
        self._entry = entry

    async def progress(self, report: Report) -> ReportWritten | CheckpointSkipped:
        """Try once to write a checkpoint."""
        try:
            return await self.store(report, Purpose.CHECKPOINT)
        except NodeUnavailable as exc:
            log.debug("a checkpoint was not written; a later one replaces it", error=str(exc))
            return CheckpointSkipped(self._entry)

    async def persist(self, report: Report, purpose: Purpose) -> ReportWritten:
        """Write the report, with retries until NATS answers: a fence or a final report must not be lost."""
        while True:
            try:
                return await self.store(report, purpose)
            except NodeUnavailable as exc:
                log.warning("report not written; retrying", request=self._entry.stored.request_id, error=str(exc))
                await asyncio.sleep(PERSIST_AGAIN_S)

    async def store(self, report: Report, purpose: Purpose) -> ReportWritten:
        """Write the report once. Raises NodeUnavailable."""
        entry = self._entry
        # Not the revision of a later owner's report, which the feed may have shown meanwhile: it would be overwritten.
        written = await self._reports.write(entry.stored, report, entry.replaceable(report.epoch) or None)
        return ReportWritten(entry, purpose, written.verdict, written.state)
