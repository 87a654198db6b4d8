"""Finds what is stored after a request and cancels it: a cancel, or a later request that supersedes it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from orastream.contract import subjects
from orastream.contract.stored_requests import Message, StoredCancel, StoredRequest, outline_of, read_message, token_of
from orastream.contract.superseding import Supersedes, supersedes
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from orastream.jetstream.session_events import later_requests


@dataclass(frozen=True, slots=True)
class SupersedingReader:
    """Reads requests that may supersede others, for a synth that speaks with `engine`."""

    js: JetStream
    engine: str
    max_text_chars: int

    def candidate(self, message: Message) -> StoredRequest | None:
        """Return the request in a message of TTS_SESSIONS if it may supersede earlier ones, else None."""
        if subjects.is_cancel(message.subject) or not outline_of(message).supersedes:
            return None
        stored = read_message(message, self.js.names, max_text_chars=self.max_text_chars)
        return stored if isinstance(stored, StoredRequest) and stored.request is not None else None

    async def judged(self, candidate: StoredRequest) -> Supersedes:
        """Return whether it supersedes, from its report as the stream's leader has it. Raises NodeUnavailable.

        Reads the report last: an earlier request with its id may be claimed and deleted meanwhile, and leave only that.
        """
        first = await self._first(candidate)
        state = await ReportStore(self.js).read(candidate.session, candidate.token)
        report = state.report if state is not None else None
        return supersedes(candidate, report, first=first, engine=self.engine)

    async def _first(self, candidate: StoredRequest) -> bool:
        """Whether no earlier request with its id is stored."""
        async with contextlib.aclosing(later_requests(self.js, candidate.session, 0)) as requests:
            async for message in requests:
                if message.sequence >= candidate.sequence:
                    break
                if token_of(message) == candidate.token:
                    return False
        return True


@dataclass(frozen=True, slots=True)
class Later:
    """What is stored after a request: whether it is cancelled, else the later requests that may still supersede it."""

    cancelled: bool
    undecided: list[StoredRequest] = field(default_factory=list)


async def later(reader: SupersedingReader, stored: StoredRequest) -> Later:
    """Look whether a stored cancel covers the request, or a later request supersedes it. Raises NodeUnavailable.

    One call if nothing of its session is stored after it.
    """
    js = reader.js
    events = js.names.session_events(stored.session)
    first = await js.after(js.names.sessions_stream, events, stored.sequence)
    if first is None:
        return Later(False)
    if await cancel_after(js, stored) is not None:
        return Later(True)
    undecided = []
    async with contextlib.aclosing(later_requests(js, stored.session, stored.sequence)) as requests:
        async for message in requests:
            candidate = reader.candidate(message)
            if candidate is None:
                continue
            found = await reader.judged(candidate)
            if found is Supersedes.YES:
                return Later(True)
            if found is Supersedes.UNKNOWN:
                undecided.append(candidate)
    return Later(False, undecided)


async def cancel_after(js: JetStream, stored: StoredRequest) -> StoredCancel | None:
    """Returns the first stored cancel that covers the request, as the stream's leader has it; None if there is none."""
    after = stored.sequence
    while (
        message := await js.after(js.names.sessions_stream, js.names.session_cancel(stored.session), after)
    ) is not None:
        after = message.sequence
        cancel = read_message(message, js.names, max_text_chars=0)
        if isinstance(cancel, StoredCancel) and cancel.covers(stored.sequence, stored.token):
            return cancel
    return None
