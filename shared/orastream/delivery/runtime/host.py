"""What the parts of a session need of the loop that runs it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from orastream.delivery.rules.entry import Entry
from orastream.delivery.sink import Link
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore, Written


class Host(Protocol):
    """The loop of one session."""

    js: JetStream
    reports: ReportStore
    epoch: int

    def wake(self) -> None:
        """Run the session's loop again, all of it."""
        ...

    def nudge(self) -> None:
        """Run it again for the utterance alone."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """A task of the session's group."""
        ...

    async def link(self, session_id: str, phone_id: str) -> Link:
        """The open link of that phone, or a new one. Raises LinkLost."""
        ...

    def reported(self, entry: Entry, written: Written) -> None:
        """A report of ours was tried; the verdict may end this owner."""
        ...

    def leave(self, reason: str) -> None:
        """Stop at once: the session is another owner's."""
        ...
