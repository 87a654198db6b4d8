"""The rules of protocol v1 over frames and connections. Pure, no I/O: the caller passes the time and the storage.

`Book` knows every utterance by (session, request), so that an upload can resume on another connection.
`ConnectionRules` checks the frames of one connection. A broken rule is recorded, never raised. What can be used is
used: a chunk with the next index is stored, whatever else is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from zlib import crc32

from services.oraserver.frames import Chunk, CompleteFrame, EndFrame, Init, Post, parse, parse_post
from services.oraserver.matching import header_matches, said_in_order
from services.oraserver.metadata import Metadata
from services.oraserver.utterances import (
    Begun,
    Captioned,
    Completed,
    EndReceived,
    Event,
    Moved,
    ReceivedUtterance,
    Repeated,
    RuleBroken,
    StoredChunk,
    Transport,
    Violations,
)
from services.oraserver.violations import Rule, Violation

__all__ = ["Book", "ConnectionRules", "Violation", "header_matches"]

HEADERS = ("session-id", "phone-id")


def _nowhere(_event: Event) -> None:
    """Store nothing: for checking without storage."""


class Book:
    """Everything received. `keep` stores an event before it is applied; if it raises, the book does not change.

    Not thread-safe: for one event loop.
    """

    def __init__(self, keep: Callable[[Event], None] = _nowhere, *, next_number: int = 1) -> None:
        self._keep = keep
        self._next_number = next_number
        self._reset()

    def _reset(self) -> None:
        self.utterances: dict[int, ReceivedUtterance] = {}
        """By number, which is the order of the first chunks."""
        self.connection_violations: dict[str | None, Violations] = {}
        """Violations that belong to no utterance, by session (None: unknown)."""
        self._by_key: dict[tuple[str, str], ReceivedUtterance] = {}
        self._newest: dict[tuple[str, str], int] = {}

    def forget(self) -> None:
        """Forget all utterances. Numbers go on, so that no stored file is overwritten."""
        self._reset()

    def replay(self, events: Iterable[Event]) -> None:
        """Apply events that are already stored."""
        for event in events:
            self._apply(event)

    def connect(self, headers: Mapping[str, str]) -> ConnectionRules:
        """A new connection with these handshake headers, which are looked up in lower case."""
        return ConnectionRules(self, headers)

    def post(self, payload: bytes, now: float) -> bool:
        """Check and store the body of a POST; False when it could not be stored. Raises what `keep` raises."""
        return self.take_post(*parse_post(payload), now)

    def take_post(self, post: Post | None, problems: Iterable[Violation], now: float) -> bool:
        """Like `post` for a parsed body, so that the caller can parse a large one in a thread."""
        if post is None:
            self.report(problems, None, None)
            return False
        utterance = self._utterance(post, "http", now)
        self.report(problems, utterance)
        self._move(utterance, object())
        self._same(utterance, post.metadata, "http")
        if not self._chunk(utterance, 0, post.audio, post.metadata.text):
            return False
        if not utterance.complete:
            self._emit(Completed(utterance.number, now, post.metadata.text))
        return True

    def take_chunk(
        self, chunk: Chunk, problems: Iterable[Violation], now: float, carrier: object
    ) -> ReceivedUtterance | None:
        """Store a chunk, count a repeat, or record a violation. None when the utterance has not begun."""
        metadata = chunk.metadata
        utterance = self._by_key.get((metadata.session_id, metadata.request_id))
        if utterance is None:
            if chunk.index:
                gap = Violation("gap", f"chunk {chunk.index} of an utterance without any chunk before it")
                self.report((*problems, gap), None, metadata.session_id)
                return None
            utterance = self._utterance(chunk, "websocket", now)
        self.report(problems, utterance)
        self._move(utterance, carrier)
        self._same(utterance, metadata, "websocket")
        if chunk.file_name != utterance.file_name:
            self._broken("file-name", f"changed with chunk {chunk.index}", utterance)
        self._chunk(utterance, chunk.index, chunk.audio, metadata.text)
        return utterance

    def take_complete(
        self, frame: CompleteFrame, problems: Iterable[Violation], now: float, carrier: object
    ) -> ReceivedUtterance | None:
        """Complete the utterance if all its chunks are stored. A repeated `complete` changes nothing."""
        session, total, text = frame.metadata.session_id, frame.total_chunks, frame.metadata.text
        utterance = self._by_key.get((session, frame.metadata.request_id))
        if utterance is None:
            unknown = Violation("total-chunks", f"complete says {total} chunks, but none was received")
            self.report((*problems, unknown), None, session)
            return None
        self.report(problems, utterance)
        self._move(utterance, carrier)
        self._same(utterance, frame.metadata, "websocket")
        if utterance.over:
            self._broken("frame-after-end", "complete came after an end frame", utterance)
        elif total != len(utterance.chunks):
            self._broken("total-chunks", f"says {total}, received {len(utterance.chunks)}", utterance)
        elif not utterance.complete:
            self._in_turn(utterance)
            if not said_in_order(utterance.texts, text):
                missing = f"the {len(utterance.texts)} texts of the chunks are not in the text of complete"
                self._broken("texts", missing, utterance)
            self._emit(Completed(utterance.number, now, text))
        elif text != utterance.text:
            self._broken("metadata-changed", "complete came again with another text", utterance)
        return utterance

    def take_end(self, frame: EndFrame, problems: Iterable[Violation], carrier: object) -> None:
        """Note the end of the utterance. Without any chunk there is none: they were lost with their connection."""
        session = frame.metadata.session_id
        utterance = self._by_key.get((session, frame.metadata.request_id))
        self.report(problems, utterance, session)
        if utterance is None:
            return
        self._same(utterance, frame.metadata, "websocket")
        if utterance.ended is not None and utterance.ended_on is carrier:
            self._broken("end-repeated", f"{frame.status} after {utterance.ended} on one connection", utterance)
        self._emit(EndReceived(utterance.number, frame.status))
        utterance.ended_on = carrier
        newest = self.utterances[self._newest[utterance.sender]]
        newest.stopped = newest is not utterance

    def report(
        self, problems: Iterable[Violation], utterance: ReceivedUtterance | None, session_id: str | None = None
    ) -> None:
        """Record violations of an utterance, or else of a connection of that session."""
        number = utterance.number if utterance else None
        session = utterance.metadata.session_id if utterance else session_id
        for problem in problems:
            self._emit(RuleBroken(number, session, problem))

    def _broken(self, rule: Rule, detail: str, utterance: ReceivedUtterance) -> None:
        self.report((Violation(rule, detail),), utterance)

    def _utterance(self, frame: Chunk | Post, transport: Transport, now: float) -> ReceivedUtterance:
        metadata = frame.metadata
        key = (metadata.session_id, metadata.request_id)
        if key not in self._by_key:
            self._emit(Begun(self._next_number, transport, frame.file_name, metadata, now))
        return self._by_key[key]

    def _move(self, utterance: ReceivedUtterance, carrier: object) -> None:
        if utterance.carrier is not carrier:
            self._emit(Moved(utterance.number))
            utterance.carrier = carrier

    def _same(self, utterance: ReceivedUtterance, metadata: Metadata, transport: Transport) -> None:
        known = utterance.metadata
        if metadata is not known and replace(metadata, text=known.text) != known:
            self._broken("metadata-changed", "differs from the metadata of the first chunk", utterance)
        if transport != utterance.transport:
            self._broken("transport-changed", f"began on {utterance.transport}, came on {transport}", utterance)

    def _in_turn(self, utterance: ReceivedUtterance) -> None:
        if utterance.stopped:
            self._broken("interleaved", "goes on after an end frame of an earlier utterance", utterance)
        newest = self._newest[utterance.sender]
        if utterance.number < newest:
            request = self.utterances[newest].metadata.request_id
            self._broken(
                "interleaved", f"a chunk came after {request} of the same session and phone had begun", utterance
            )

    def _chunk(self, utterance: ReceivedUtterance, index: int, audio: bytes, text: str) -> bool:
        """Store the chunk, count a repeat or record a violation; whether the chunk is stored."""
        if utterance.over:
            self._broken("frame-after-end", f"chunk {index} came after an end frame", utterance)
            return False
        had, size, crc = len(utterance.chunks), len(audio), crc32(text.encode(), crc32(audio))
        if index < had:
            same = utterance.chunks[index] == (size, crc)
            if same:
                self._emit(Repeated(utterance.number))
            else:
                self._broken("repeat-differs", f"chunk {index} came again with other bytes or text", utterance)
            return same
        if utterance.complete:
            self._broken("chunk-after-complete", f"chunk {index} after complete with {had} chunks", utterance)
            return False
        if index > had:
            self._broken("gap", f"chunk {index} after {had} chunks", utterance)
            return False
        self._in_turn(utterance)
        if text != utterance.texts[-1]:
            self._emit(Captioned(utterance.number, text))
        self._emit(StoredChunk(utterance.number, size, crc, audio))
        return True

    def _emit(self, event: Event) -> None:
        self._keep(event)
        self._apply(event)

    def _apply(self, event: Event) -> None:
        if isinstance(event, Begun):
            utterance = ReceivedUtterance.begin(event)
            self.utterances[event.number] = self._by_key[utterance.key] = utterance
            self._newest[utterance.sender] = event.number
            self._next_number = max(self._next_number, event.number + 1)
        elif not isinstance(event, RuleBroken):
            self.utterances[event.number].apply(event)
        elif event.number is not None:
            self.utterances[event.number].violations.add(event.violation)
        else:
            self.connection_violations.setdefault(event.session_id, Violations()).add(event.violation)


class ConnectionRules:
    """Checks the frames of one WebSocket connection, against its headers and its `init`."""

    def __init__(self, book: Book, headers: Mapping[str, str]) -> None:
        self._book = book
        self._headers = {name: headers[name] for name in HEADERS if name in headers}
        self.init: Init | None = None
        """The first `init` on this connection; None before it."""
        self.chunks = 0
        """Chunk frames received on this connection, repeats included."""
        for name in HEADERS:
            if name not in self._headers:
                self._broken("header-missing", f"{name} is not among the headers of the handshake")

    @property
    def session_id(self) -> str | None:
        """The session by `init`, or else by the header; None when neither has come."""
        return self.init.session_id if self.init else self._headers.get("session-id")

    def receive(self, payload: bytes, now: float) -> bool:
        """Check and store one text frame at `now` (unix seconds); True for a chunk. Raises what `keep` raises."""
        frame, problems = parse(payload)
        if isinstance(frame, Init):
            self._initialise(frame, problems)
            return False
        if self.init is None:
            problems.append(Violation("init-first", "a frame before init"))
        elif frame is not None and (
            frame.metadata.session_id != self.init.session_id or frame.metadata.phone_id != self.init.phone_id
        ):
            problems.append(Violation("session-mismatch", "sessionId or phoneId is not that of init"))
        if isinstance(frame, Chunk):
            self._book.take_chunk(frame, problems, now, self)
            self.chunks += 1
            return True
        if frame is None:
            self._book.report(problems, None, self.session_id)
        elif isinstance(frame, EndFrame):
            self._book.take_end(frame, problems, self)
        else:
            self._book.take_complete(frame, problems, now, self)
        return False

    def receive_binary(self) -> None:
        """Record a binary frame as a violation."""
        self._broken("binary-frame", "frames of protocol v1 are text")

    def _initialise(self, init: Init, problems: list[Violation]) -> None:
        if self.init is not None:
            problems.append(Violation("init-once", "a second init on one connection"))
        else:
            self.init = init
            ids = {"session-id": init.session_id, "phone-id": init.phone_id}
            for name, header in self._headers.items():
                if not header_matches(header, ids[name]):
                    problems.append(Violation("header-mismatch", f"{name} is not the id in init"))
        self._book.report(problems, None, self.session_id)

    def _broken(self, rule: Rule, detail: str) -> None:
        self._book.report((Violation(rule, detail),), None, self.session_id)
