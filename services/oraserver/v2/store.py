"""The store of protocol v2: everything that must be kept, shared by all connections of the process. Pure.

The caller passes the time (monotonic seconds) and the storage. An event is stored before it is applied; if the storage
raises, the store has not changed. Not thread-safe: for one event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from orastream.contract.oraserver.from_bridge import AudioRange, OpenStream, SentenceText, StreamEnd
from services.oraserver.utterances import Violations
from services.oraserver.v2 import file_checks
from services.oraserver.v2.events import (
    BytesGiven,
    BytesRepeated,
    BytesSkipped,
    BytesStored,
    CancelKept,
    FenceRaised,
    PlayEnded,
    SessionKey,
    StreamEndKept,
    StreamEvent,
    StreamRuleBroken,
    UtteranceBegun,
    UtteranceFinal,
    UtteranceReopened,
)
from services.oraserver.v2.playback import Player
from services.oraserver.v2.sentences import change
from services.oraserver.v2.sessions import StreamFence, StreamSession
from services.oraserver.v2.storage import StreamStorage
from services.oraserver.v2.stream import ReceivingStream
from services.oraserver.v2.utterance import StreamedUtterance
from services.oraserver.violations import Violation


def _never() -> bool:
    return False


class Store:
    """All utterances, fences and cancels. `unix_at_zero` is the unix time at 0 of the monotonic clock."""

    def __init__(
        self,
        storage: StreamStorage,
        *,
        keep_s: float = 600.0,
        real_time: Callable[[], bool] = _never,
        skips: Callable[[], bool] = _never,
        unix_at_zero: float = 0.0,
    ) -> None:
        self._storage = storage
        self._keep_s = keep_s
        self._unix_at_zero = unix_at_zero
        self._player = Player(self, real_time, skips)
        self.generation = 0
        """How often everything was forgotten."""
        self.last_connection = 0
        """The highest number of a connection that has opened an utterance."""
        self._next_number = 1
        self._acked: dict[tuple[str, str, int], int] = {}
        self._reset()

    def _reset(self) -> None:
        self.sessions: dict[SessionKey, StreamSession] = {}
        self.utterances: dict[int, StreamedUtterance] = {}
        """By number, in the order of the first `open`."""
        self.connection_violations: dict[str | None, Violations] = {}
        self._broken_at: dict[int, float] = {}
        self._player.clear()

    # ---- a restart, and forgetting

    def replay(self, events: Iterable[StreamEvent], now: float, next_number: int = 1) -> None:
        """Apply the stored events of an earlier process. Its utterances go on as after a broken connection."""
        for event in events:
            self._apply(event)
        self._next_number = max(self._next_number, next_number)
        for utterance in self.utterances.values():
            utterance.acked = utterance.upto
            if utterance.final is None:
                self._broken_at[utterance.number] = now
                self._settle(utterance, now)
            if not utterance.play_ended and not utterance.cancelled:
                self._player.add(utterance, now)
        self._player.advance_all(now)

    def forget(self) -> None:
        """Forget everything, also on disk. Numbers go on, so that no file of the application is written again."""
        for utterance in self.utterances.values():
            self._acked[(*utterance.session, utterance.seq)] = utterance.acked
        self._storage.forget()
        self.generation += 1
        self._reset()

    def ever_acked(self, session: SessionKey, seq: int) -> int | None:
        """The highest `upto` that this process has ever acknowledged of an utterance; None if it never knew it."""
        utterance = self.session(session).utterances.get(seq)
        before = self._acked.get((*session, seq))
        if utterance is None:
            return before
        return max(utterance.acked, before or 0)

    # ---- sessions

    def session(self, key: SessionKey) -> StreamSession:
        """The session, which may be new."""
        return self.sessions.get(key) or self.sessions.setdefault(key, StreamSession())

    def raise_fence(self, key: SessionKey, fence: StreamFence) -> None:
        """Keep a fence that is not lower than that of the session."""
        if self.session(key).fence != fence:
            self._emit(FenceRaised(*key, *fence))

    def open(self, node: str, message: OpenStream, connection: tuple[int, str], now: float) -> StreamedUtterance:
        """The utterance of an `open` that was accepted, as a new one if it is unknown; all lower ones become final.

        `connection` is number and bridge of the connection.
        """
        key = (node, message.session)
        session = self.session(key)
        for lower in sorted(seq for seq in session.utterances if seq < message.seq):
            utterance = session.utterances[lower]
            if utterance.final is None:
                self._make_final(utterance, now)
        if message.seq not in session.utterances:
            m = message
            ids = (node, m.session, m.seq, m.request, m.phone)
            layout = (m.format, m.rate, m.channels, m.engine, m.language)
            self._emit(UtteranceBegun(self._next_number, *ids, *layout, self._unix(now)))
            self._player.add(session.utterances[m.seq], now)
        utterance = session.utterances[message.seq]
        self._emit(UtteranceReopened(utterance.number, *connection))
        self._broken_at.pop(utterance.number, None)
        return utterance

    def cancel(
        self, key: SessionKey, before: int | None, seq: int | None, now: float
    ) -> tuple[list[tuple[str, int, int]], list[ReceivingStream]]:
        """Keep a cancel and end what it covers: request, sequence and played ms of each; and the streams that it ends.

        The same cancel again gives the same utterances again: its first answer may have been lost.
        """
        session = self.session(key)
        self._player.advance(key, now)
        by = ("before", before) if before is not None else ("seq", seq or 0)
        known = session.before >= before if before is not None else seq in session.cancelled
        if not known:
            self._emit(CancelKept(*key, before, seq))
        for utterance in list(session.utterances.values()):
            covered = utterance.seq < before if before is not None else utterance.seq == seq
            if covered and not utterance.cancelled and not utterance.play_ended:
                size, ms = utterance.given, utterance.played_ms
                self._emit(UtteranceFinal(utterance.number, "cancelled", size, self._unix(now), ms, by))
        streams = session.end_cancelled()
        self._player.advance(key, now)
        cleared = [u for u in session.utterances.values() if u.final is not None and u.final.by == by]
        return [(u.begun.request, u.seq, u.final.ms if u.final else 0) for u in cleared], streams

    # ---- an utterance

    def add_repeat(self, utterance: StreamedUtterance, again: int, stored: int) -> None:
        """Count bytes that came again, and how many of them were stored already."""
        self._emit(BytesRepeated(utterance.number, again, stored))

    def add_audio(self, utterance: StreamedUtterance, message: AudioRange, data: bytes, now: float) -> bool:
        """Store what of the audio is new, and give it on. Whether bytes that were known are other ones now."""
        first, past = message.at, message.at + len(data)
        view = memoryview(data)
        differ = any(
            self._storage.read(utterance.number, begin, end) != view[begin - first : end - first]
            for begin, end in utterance.known_parts(first, past)
        )
        if utterance.final is None:
            for begin, end in utterance.stored.missing(first, past):
                ms = message.ms if begin == first else None
                part = bytes(view[begin - first : end - first])
                self._emit(BytesStored(utterance.number, begin, end - begin, ms, part))
            self._settle(utterance, now)
        return differ

    def add_sentence(self, utterance: StreamedUtterance, message: SentenceText) -> None:
        """Keep a sentence, or further words of it."""
        event = change(utterance.number, utterance.sentences.get(message.number), message)
        if event is not None and utterance.final is None:
            self._emit(event)

    def add_end(self, utterance: StreamedUtterance, message: StreamEnd, now: float) -> None:
        """Keep the end of the utterance."""
        if utterance.end is None and utterance.final is None:
            m = message
            self._emit(StreamEndKept(utterance.number, m.status, m.size, m.ms, m.code))
            self._settle(utterance, now)

    def break_off(self, utterance: StreamedUtterance, now: float) -> None:
        """The connection of its last stream has ended."""
        if utterance.final is None and self.utterances.get(utterance.number) is utterance:
            self._broken_at[utterance.number] = now

    def report(self, violation: Violation, number: int | None, session: str | None) -> None:
        """Record a violation of an utterance, or else of a connection and perhaps its session."""
        self._emit(StreamRuleBroken(number, session, violation))

    def poll(self, now: float) -> None:
        """Play, and make utterances final that were unfinished for too long after their connection broke."""
        self._player.advance_all(now)
        for number in [number for number, at in self._broken_at.items() if now >= at + self._keep_s]:
            self._make_final(self.utterances[number], now)

    def next_time(self, now: float) -> float | None:
        """When `poll` has something to do; None if it has not."""
        times = [at + self._keep_s for at in self._broken_at.values()]
        play = self._player.next_time(now)
        return min(times if play is None else [*times, play], default=None)

    def is_final(self, utterance: StreamedUtterance) -> bool:
        """Whether nothing more of it is stored: also if it was forgotten."""
        return utterance.final is not None or self.utterances.get(utterance.number) is not utterance

    # ---- what the player does

    def give(self, utterance: StreamedUtterance, upto: int) -> None:
        """Give the application all bytes before `upto` that it has not; the offset is stored first."""
        first = utterance.given
        if upto <= first:
            return
        self._emit(BytesGiven(utterance.number, upto))
        for begin, end in utterance.holes.missing(first, upto):
            self._storage.give(utterance.number, begin, end)

    def skip(self, utterance: StreamedUtterance, first: int, past: int) -> None:
        """Give up the bytes of a gap."""
        self._emit(BytesSkipped(utterance.number, first, past))

    def end_play(self, utterance: StreamedUtterance) -> None:
        """The phone has played it. Its file is checked here, because only now it has all bytes."""
        complete = utterance.end is not None and utterance.end.status == "complete"
        if complete and not utterance.holes.total:
            for problem in file_checks.problems(utterance.begun, utterance.given, self._head_and_tail(utterance)):
                self.report(problem, utterance.number, utterance.begun.session)
        self._emit(PlayEnded(utterance.number, round(utterance.timeline.ms_of(utterance.given)), complete))

    def _head_and_tail(self, utterance: StreamedUtterance) -> tuple[bytes, bytes]:
        size = utterance.given
        read = self._storage.read
        return read(utterance.number, 0, min(size, file_checks.HEAD_BYTES)), read(
            utterance.number, max(size - file_checks.TAIL_BYTES, 0), size
        )

    # ---- events

    def _settle(self, utterance: StreamedUtterance, now: float) -> None:
        if utterance.end is not None and utterance.upto == utterance.end.size:
            self._make_final(utterance, now)
        else:
            self._player.advance(utterance.session, now)

    def _make_final(self, utterance: StreamedUtterance, now: float) -> None:
        """No more of it is stored: play what there is."""
        self._broken_at.pop(utterance.number, None)
        self._emit(UtteranceFinal(utterance.number, "whole", utterance.upto, self._unix(now)))
        self._player.advance(utterance.session, now)

    def _unix(self, now: float) -> float:
        return self._unix_at_zero + now

    def _emit(self, event: StreamEvent) -> None:
        self._storage.keep(event)
        self._apply(event)

    def _apply(self, event: StreamEvent) -> None:
        match event:
            case FenceRaised(node=node, session=name, epoch=epoch, attempt=attempt):
                self.session((node, name)).fence = (epoch, attempt)
            case CancelKept(node=node, session=name, before=before, seq=seq):
                session = self.session((node, name))
                session.before = max(session.before, before or 0)
                if seq is not None:
                    session.cancelled.add(seq)
            case UtteranceBegun():
                utterance = StreamedUtterance.begin(event)
                self.utterances[event.number] = utterance
                self.session(utterance.session).utterances[event.seq] = utterance
                self._next_number = event.number + 1
            case StreamRuleBroken(number=None, session=about, violation=violation):
                self.connection_violations.setdefault(about, Violations()).add(violation)
            case _:
                assert event.number is not None
                if isinstance(event, UtteranceReopened):
                    self.last_connection = max(self.last_connection, event.connection)
                self.utterances[event.number].apply(event)
