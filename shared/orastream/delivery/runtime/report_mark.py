"""A recent place in the stream of reports: whoever takes a session need not read what is stored before it.

A session's reports stay for an hour. Only those of requests that are not final matter to a new owner, and they are read
one by one if they may be older than the mark.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

from orastream.base import logger
from orastream.contract.errors import NodeUnavailable
from orastream.jetstream import management
from orastream.jetstream.api import JetStream

STEP_S = 2.0
"""The mark is at least this old: reports of a request that wakes a bridge now are stored after it."""
LOOK_EVERY_S = 5.0

log = logger.named(__name__)


class ReportMark:
    """The mark of one process. Times are monotonic seconds. For one event loop."""

    def __init__(self) -> None:
        self.sequence = 0
        """Every report that is stored after `at` has a higher one."""
        self.at = float("-inf")
        self._next = (0, float("-inf"))

    def stored(self, sequence: int, now: float) -> None:
        """A report is stored at this sequence now."""
        if now >= self._next[1] + STEP_S:
            self.sequence, self.at = self._next
            self._next = (sequence, now)

    def reset(self) -> None:
        """The stream was created again: its sequences may be lower."""
        self.sequence, self.at = 0, float("-inf")
        self._next = (0, float("-inf"))

    async def follow(self, js: JetStream) -> NoReturn:
        """Ask for the stream's last sequence from time to time, until cancelled: other processes write most reports."""
        clock = asyncio.get_running_loop().time
        while True:
            try:
                state = management.checked(
                    js.names.reports_stream, await management.stream_info(js, js.names.reports_stream), "state"
                )["state"]
                self.stored(int(state["last_seq"]), clock())
            except NodeUnavailable as exc:
                log.debug("the stream of reports does not answer", error=str(exc))
            await asyncio.sleep(LOOK_EVERY_S)
