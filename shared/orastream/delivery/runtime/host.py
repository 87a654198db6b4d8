"""The interface of the session's loop for the objects that it runs."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from orastream.delivery.rules.entry import Entry
from orastream.delivery.sink import Link
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore, Written


class Host(Protocol):
    """The loop of one session. Call it from the session's event loop only."""

    js: JetStream
    reports: ReportStore
    epoch: int

    def wake(self) -> None:
        """Run a full round of the session's loop."""
        ...

    def nudge(self) -> None:
        """Run a round for the utterance only."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task in the session's group."""
        ...

    async def link(self, session_id: str, phone_id: str) -> Link:
        """Return the open link of this phone, or open one. Raises LinkLost."""
        ...

    def reported(self, entry: Entry, written: Written) -> None:
        """Process the result of writing a report. Its verdict may make this owner leave the session."""
        ...

    def leave(self, reason: str) -> None:
        """Stop at once and release the session, for example because another owner has it."""
        ...
