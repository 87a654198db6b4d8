"""Reads reports, audio and what was heard for a caller: from JetStream if this user may, else by asking the gateway.

On a server without accounts a caller reads the streams itself. In an account of its own it cannot, and the gateway
answers (`contract/reads.py`). A Client finds out by itself, with one request.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orastream.base.backoff import Backoff
from orastream.broker import Broker
from orastream.client.caller_feed import CallerFeed
from orastream.client.report_lookup import last_report
from orastream.client.served_reads import PageEnd, get_report, read_page
from orastream.contract.errors import NodeUnavailable, NoResponders
from orastream.contract.heard import Heard, heard_state_of
from orastream.contract.messages import Report
from orastream.contract.reads import ReadQuery
from orastream.jetstream.api import API, JetStream, Stored

T = TypeVar("T")

PROBE_S = 1.0
PAGE_MESSAGES = 64
PATIENCE_S = 15.0
"""How long a read is repeated while neither the streams nor a gateway answer."""


class Reads:
    """The reads of one Client. For one event loop. Cancel-safe."""

    def __init__(self, js: JetStream, *, max_text_chars: int) -> None:
        self.js = js
        self.max_text_chars = max_text_chars
        """Maximum length of a text, in characters."""
        self._direct: dict[str, bool] = {}
        """By stream: whether this user reads it itself. Absent: not known."""

    @property
    def broker(self) -> Broker:
        """The NATS connection."""
        return self.js.broker

    async def direct(self, stream: str) -> bool:
        """Whether this user reads the stream itself, else the gateway is to be asked. Raises NodeUnavailable."""
        if self.js.names != self.broker.names:
            return False  # a node behind a front asks as any caller of the front
        known = self._direct.get(stream)
        if known is None:
            subject = f"{API}.DIRECT.GET.{stream}"
            try:
                await self.broker.request(subject, b'{"seq":1}', timeout_s=PROBE_S)
                known = True
            except NoResponders:
                known = False
            except NodeUnavailable:
                if self.broker.refused(subject) is None:
                    raise
                known = False
            self._direct[stream] = known
        return known

    def no_gateway(self, stream: str) -> None:
        """No gateway answers: look again whether this user reads the stream itself. It may just not have existed."""
        self._direct.pop(stream, None)

    async def report(self, session: str, token: str, *, patience_s: float = PATIENCE_S) -> Report | None:
        """See `Client.report`; `session` and `token` are tokens. Raises NodeUnavailable after `patience_s` seconds."""

        async def read() -> Report | None:
            if await self.direct(self.js.names.reports_stream):
                return await last_report(self.js, session, token, max_text_chars=self.max_text_chars)
            return await get_report(self.broker, self.js.names.report_get(session, token))

        return await self._repeated(self.js.names.reports_stream, read, patience_s)

    async def heard(self, session: str, token: str, *, patience_s: float = PATIENCE_S) -> Heard | None:
        """See `Client.heard`; `session` and `token` are tokens. Raises NodeUnavailable after `patience_s` seconds."""
        stream, subject = self.js.names.heard_stream, self.js.names.heard(session, token)

        async def read() -> Heard | None:
            stored = await self.js.last(stream, subject) if await self.direct(stream) else await self._asked(subject)
            state = heard_state_of(stored) if stored is not None else None
            return state.heard if state is not None else None

        return await self._repeated(stream, read, patience_s)

    async def _asked(self, subject: str) -> Stored | None:
        """The first stored message of a subject, from the gateway. Raises NodeUnavailable."""
        async with contextlib.aclosing(
            read_page(self.broker, self.js.names.question_of(subject), ReadQuery(0))
        ) as page:
            async for message in page:
                return None if isinstance(message, PageEnd) else message
        raise NodeUnavailable(f"an answer about {subject} was lost on the way")

    async def _repeated(self, stream: str, read: Callable[[], Awaitable[T]], patience_s: float) -> T:
        """Return what `read` returns; repeats it while it raises NodeUnavailable, for up to `patience_s` seconds."""
        backoff = Backoff(0.1, 1.0)
        deadline = asyncio.get_running_loop().time() + patience_s
        while True:
            try:
                return await read()
            except NodeUnavailable as exc:
                if isinstance(exc, NoResponders):
                    self.no_gateway(stream)
                wait_s = backoff.next_s()
                if self.broker.closed.is_set() or asyncio.get_running_loop().time() + wait_s > deadline:
                    raise
            await asyncio.sleep(wait_s)

    def feed(self, stream: str, subject: str, *, wake: Callable[[], None], after: int | None = 0) -> CallerFeed:
        """Return a feed of the messages of `subject` stored above `after` (None: from now on). `async with` opens it.

        `subject` is a stored subject of TTS_REPORTS, TTS_AUDIO or TTS_HEARD: `tts.report.<session or *>.<request or
        *>`, `tts.audio.<session>.<request>`, `tts.heard.<session>.<request or *>`.
        """
        return CallerFeed(self, stream, subject, wake=wake, after=after)

    async def check_all(self) -> None:
        """Raise NoResponders if nobody can read the reports of all sessions for this client, as at a front door."""
        names = self.js.names
        if not await self.direct(names.reports_stream):
            async with contextlib.aclosing(read_page(self.broker, names.reports_read_all, ReadQuery())) as page:
                async for _ in page:
                    return

    async def has_audio(self, session: str, token: str) -> bool:
        """Whether any audio of a request is stored; `session` and `token` are tokens. Raises NodeUnavailable."""
        names, subject = self.js.names, self.js.names.audio(session, token)
        if await self.direct(names.audio_stream):
            return await self.js.after(names.audio_stream, subject, 0) is not None
        async with contextlib.aclosing(read_page(self.broker, names.question_of(subject), ReadQuery(0))) as page:
            async for message in page:
                return not isinstance(message, PageEnd)
        return False

    async def stored(self, session: str | None) -> list[Stored]:
        """Return the stored reports of a session, or of all, in their order. Raises NodeUnavailable."""
        return await self.stored_under(self.js.names.reports_stream, self.js.names.reports(session or "*"))

    async def stored_under(self, stream: str, subject: str) -> list[Stored]:
        """Return all that is stored under a `subject` as `feed` takes it, in its order. Raises NodeUnavailable.

        Complete when it returns: the leader of the stream has no further message.
        """
        found: list[Stored] = []
        while page := await self._page(stream, subject, found[-1].sequence if found else 0):
            found += page
        return found

    async def page(
        self, stream: str, subject: str, after: int, *, most: int = PAGE_MESSAGES, patience_s: float = PATIENCE_S
    ) -> list[Stored]:
        """Return the next messages of a `subject` as `feed` takes it, above `after`; [] proves that none is stored.

        A page has at most `most` messages, or what the gateway gives, and about 1 MiB. Raises NodeUnavailable after
        `patience_s` seconds.
        """
        return await self._repeated(stream, lambda: self._page(stream, subject, after, most), patience_s)

    async def _page(self, stream: str, subject: str, after: int, most: int = PAGE_MESSAGES) -> list[Stored]:
        if not await self.direct(stream):
            return await self._asked_page(subject, after)
        page = await self.js.read(stream, subject, after, batch=most)
        if not page and (message := await self.js.after(stream, subject, after)) is not None:
            page = [message]  # a replica may lag behind, the leader does not
        return page

    async def _asked_page(self, subject: str, after: int) -> list[Stored]:
        """A page that the gateway gives."""
        found: list[Stored] = []
        ended = False
        while not found and not ended:  # all of a page may be lost on the way
            question = self.js.names.question_of(subject)
            async with contextlib.aclosing(read_page(self.broker, question, ReadQuery(after))) as answers:
                async for message in answers:
                    if isinstance(message, PageEnd):
                        ended = True
                    else:
                        found.append(message)
        return found

    async def end_of(self, stream: str, subject: str) -> int:
        """Return the sequence of the last message of a `subject` as `feed` takes it; 0: none. Raises NodeUnavailable.

        It may be a higher one if messages are stored at this moment.
        """
        if await self.direct(stream):
            last = await self.js.last(stream, subject)
            return last.sequence if last is not None else 0
        async with contextlib.aclosing(read_page(self.broker, self.js.names.question_of(subject), ReadQuery())) as page:
            async for message in page:
                return int(message) if isinstance(message, PageEnd) else message.sequence - 1
        raise NodeUnavailable(f"an answer about {subject} was lost on the way")
