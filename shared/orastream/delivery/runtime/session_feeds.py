"""The feeds of one session, and what they bring to its machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from orastream.base import logger
from orastream.contract import subjects
from orastream.contract.stored_requests import Message, StoredCancel, outline_of, read_message
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.session import Session
from orastream.delivery.runtime.context import BridgeContext
from orastream.jetstream.api import Stored
from orastream.jetstream.feed import Feed
from orastream.jetstream.pull_consumer import Delivery
from orastream.jetstream.report_store import ReportStore

AT_REST_S = 60.0
"""Interval of reads of the requests and cancels while no wake-up names one that did not come."""
MAX_REPORT_TAILS = 64

log = logger.named(__name__)


class SessionFeeds:
    """Requests and cancels of a session, and its reports. `async with` reads them; `wake` is called when one comes.

    Of the reports it reads those that are stored after the process' mark: `Session` asks for the others one by one.
    """

    def __init__(
        self, context: BridgeContext, session: str, machine: Session, reports: ReportStore, wake: Callable[[], None]
    ) -> None:
        self._context = context
        self._machine = machine
        self._store = reports
        js, events, of_session = context.js, context.js.names.session_events(session), context.js.names.reports(session)
        self._events = Feed(
            js, context.js.names.sessions_stream, events, wake=wake, expecting=False, at_rest_s=AT_REST_S
        )
        self._reports = Feed(
            js,
            context.js.names.reports_stream,
            of_session,
            wake=wake,
            after=context.mark.sequence,
            wakes=lambda message: message.subject != self._quiet,
            expecting=False,
            max_tails=MAX_REPORT_TAILS,
        )
        self._quiet = ""
        """Subject of reports that need no round of their own: those of the request that this owner delivers."""
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

    def woken(self, delivery: Delivery, now: float) -> None:
        """Note that a request or cancel is stored, as its wake-up shows."""
        self._events.exists(delivery.sequence)
        if self._machine.play is None or self._machine.knows(delivery.sequence):
            return
        if not subjects.is_cancel(delivery.subject) and outline_of(delivery).supersedes:
            self._pass_on(delivery, now)  # it ends what plays, and others may delete it before the feed has read it

    def look(self) -> None:
        """Read the stored requests and cancels: one that `exists` has named did not come live."""
        self._events.look()

    @property
    def unread(self) -> bool:
        """Whether reports have come that did not wake the loop."""
        return self._reports.buffered

    def read(self, now: float, delivering: Entry | None) -> None:
        """Pass what has come to the session's machine. `delivering` is the request that is being delivered."""
        while (message := self._events.pop()) is not None:
            self._pass_on(message, now)
        while (message := self._reports.pop()) is not None:
            self._read_report(message, now)
        self._reports.expecting = self._machine.awaits_reports
        # Once it is claimed, its reports are this owner's own, unless another owner has taken the session.
        own = delivering.stored if delivering is not None and delivering.resumes is not None else None
        self._quiet = self._context.js.names.report(own.session, own.token) if own is not None else ""
        self.were_current |= self._events.current and self._reports.current

    def _pass_on(self, message: Message, now: float) -> None:
        stored = read_message(message, self._context.js.names, max_text_chars=self._context.max_text_chars)
        if isinstance(stored, StoredCancel):
            self._machine.cancel(stored)
        else:
            self._machine.request(stored, now - self._context.js.clock.age_s(stored.stored_at_s))

    def _read_report(self, message: Stored, now: float) -> None:
        state = self._store.state_of(message)
        if state is None:
            log.error("a stored report cannot be read", subject=message.subject)
            return
        self._machine.report(message.subject.rpartition(".")[2], state, now)
