"""The feeds of one session, and what they bring to its machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from orastream.base import logger
from orastream.contract import stream_names, subjects
from orastream.contract.stored_requests import StoredCancel, read_message
from orastream.delivery.rules.session import Session
from orastream.delivery.runtime.context import BridgeContext
from orastream.jetstream.api import Stored
from orastream.jetstream.feed import Feed
from orastream.jetstream.report_store import ReportStore

log = logger.named(__name__)


class SessionFeeds:
    """Requests and cancels of a session, and its reports. `async with` reads them; `wake` is called when one comes."""

    def __init__(
        self, context: BridgeContext, session: str, machine: Session, reports: ReportStore, wake: Callable[[], None]
    ) -> None:
        self._context = context
        self._machine = machine
        self._store = reports
        self._events = Feed(context.js, stream_names.SESSIONS, subjects.session_events(session), wake=wake)
        self._reports = Feed(context.js, stream_names.REPORTS, subjects.reports(session), wake=wake)
        self._stack = AsyncExitStack()
        self.were_current = False
        """Whether both feeds have been current at the same time. Before that nothing may be decided: the reports say
        how far the owner before has delivered."""

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._events)
        await self._stack.enter_async_context(self._reports)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def current(self) -> bool:
        """Whether the machine knows every request and cancel that is stored."""
        return self._events.current

    @property
    def verified(self) -> int:
        """The sequence up to which a read of the stored requests and cancels has found every one."""
        return self._events.verified

    def exists(self, sequence: int) -> None:
        """Report that a request or cancel is stored at this sequence, as a consumer's delivery shows."""
        self._events.exists(sequence)

    def read(self, now: float) -> None:
        """Pass what has come to the session's machine."""
        while (message := self._events.pop()) is not None:
            stored = read_message(message, max_text_chars=self._context.max_text_chars)
            if isinstance(stored, StoredCancel):
                self._machine.cancel(stored)
            else:
                self._machine.request(stored, now - self._context.js.clock.age_s(stored.stored_at_s))
        while (message := self._reports.pop()) is not None:
            self._read_report(message, now)
        self.were_current |= self._events.current and self._reports.current

    def _read_report(self, message: Stored, now: float) -> None:
        state = self._store.state_of(message)
        if state is None:
            log.error("a stored report cannot be read", subject=message.subject)
            return
        self._machine.report(message.subject.rpartition(".")[2], state, now)
