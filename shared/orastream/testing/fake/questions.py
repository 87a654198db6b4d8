"""Answers the reads of callers at a `FakeNode`, as the gateway does (`contract/reads.py`). Not thread-safe."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.broker import Headers
from orastream.contract.errors import InvalidRequest
from orastream.contract.names import Names
from orastream.contract.reads import ERROR, ERROR_CODE, NEXT, ReadQuery
from orastream.jetstream.api import Stored
from orastream.testing.fake.connection import FakeBroker
from orastream.testing.fake.speech import FakeSpeech, NodeStreams
from orastream.testing.fake.streams import MemoryStream, header_block, matches, place_headers


@dataclass(slots=True, eq=False)
class _OpenPage:
    """A page whose reader waits for what is not stored yet."""

    reader: FakeBroker
    inbox: str
    stream: MemoryStream
    pattern: str
    after: int


class Questions:
    """The reads at one node."""

    def __init__(self, names: Names, streams: NodeStreams, speech: FakeSpeech) -> None:
        self._names = names
        self._streams = streams
        self._speech = speech
        self._open: list[_OpenPage] = []

    def answer(self, reader: FakeBroker, words: list[str], inbox: str, data: bytes) -> bool:
        """Answer a question whose subject has these tokens after the prefix. Returns whether it is one."""
        try:
            query = ReadQuery.decode(data)
        except InvalidRequest as exc:
            reader.deliver(inbox, b"", header_block({ERROR: str(exc), ERROR_CODE: "400"}))
            return True
        match words:
            case ["report", "get", session, token]:
                self._report(reader, session, token, inbox)
            case ["report", "read", session, token]:
                self._page(reader, inbox, self._streams.reports, self._names.report(session, token), query)
            case ["reports", "read", *rest] if len(rest) <= 1:
                pattern = self._names.reports(rest[0] if rest else "*")
                self._page(reader, inbox, self._streams.reports, pattern, query)
            case ["audio", "read", session, token]:
                start = ReadQuery(query.after or 0, query.wait_s)
                self._page(reader, inbox, self._streams.audio, self._names.audio(session, token), start)
            case ["heard", "read", session, token]:
                self._page(reader, inbox, self._streams.heard, self._names.heard(session, token), query)
            case ["heards", "read", session]:
                self._page(reader, inbox, self._streams.heard, self._names.heard(session, "*"), query)
            case _:
                return False
        return True

    def stored(self, stream: MemoryStream, message: Stored) -> None:
        """A message was stored: pass it to the pages that wait for it."""
        for page in self._open:
            if page.stream is stream and matches(page.pattern, message.subject):
                page.reader.deliver(page.inbox, message.data, place_headers(message, page.after))
                page.after = message.sequence

    def detach(self, reader: FakeBroker) -> None:
        """A connection is closed: nobody reads its pages."""
        self._open = [page for page in self._open if page.reader is not reader]

    def _report(self, reader: FakeBroker, session: str, token: str, inbox: str) -> None:
        last = self._streams.reports.last(self._names.report(session, token))
        queued = next((u for u in self._speech.waiting(session) if u.key == (session, token)), None)
        if last is not None:
            reader.deliver(inbox, last.data)
        elif queued is not None:
            reader.deliver(inbox, queued.report.encode("json"))
        else:
            text = "no such request within the last hour"
            reader.deliver(inbox, b"", header_block({ERROR: text, ERROR_CODE: "404"}))

    def _page(self, reader: FakeBroker, inbox: str, stream: MemoryStream, pattern: str, query: ReadQuery) -> None:
        after = query.after
        if after is None:
            last = stream.last(pattern)
            after = last.sequence if last is not None else 0
        found = stream.after(pattern, after)
        for message in found:
            reader.deliver(inbox, message.data, place_headers(message, after))
            after = message.sequence
        page = _OpenPage(reader, inbox, stream, pattern, after)
        if found or not query.wait_s:
            self._end(page)
            return
        self._open.append(page)
        reader.later(query.wait_s, lambda: self._end(page))

    def _end(self, page: _OpenPage) -> None:
        self._open = [other for other in self._open if other is not page]
        page.reader.deliver(page.inbox, b"", header_block({NEXT: str(page.after)}))
        page.reader.deliver(page.inbox, b"", Headers(b""))
