"""What is kept of an utterance of protocol v2, and how events change it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from services.oraserver.utterances import Violations
from services.oraserver.v2.events import (
    BytesGiven,
    BytesRepeated,
    BytesSkipped,
    BytesStored,
    PlayEnded,
    SentenceKept,
    SessionKey,
    StreamEndKept,
    StreamEvent,
    StreamRuleBroken,
    UtteranceBegun,
    UtteranceFinal,
    UtteranceReopened,
    WordsKept,
)
from services.oraserver.v2.received_ranges import ReceivedRanges
from services.oraserver.v2.timeline import Timeline


@dataclass(slots=True, eq=False)
class StreamedUtterance:
    """An utterance as received so far, over all its streams. Only `apply` changes what is stored."""

    begun: UtteranceBegun
    timeline: Timeline
    stored: ReceivedRanges = field(default_factory=ReceivedRanges)
    """What is stored, or skipped."""
    holes: ReceivedRanges = field(default_factory=ReceivedRanges)
    """What was skipped."""
    arrived: ReceivedRanges = field(default_factory=ReceivedRanges)
    """What has come at least once, dropped and damaged frames included."""
    sentences: dict[int, SentenceKept] = field(default_factory=dict)
    """By number."""
    end: StreamEndKept | None = None
    final: UtteranceFinal | None = None
    given: int = 0
    """The application has all bytes before it that were not skipped."""
    position_ms: float = 0.0
    """How far the phone has played."""
    play_ended: bool = False
    valid: bool = False
    """It is complete, and its file is as the bridge has sent it."""
    frames: int = 0
    """Frames of audio that brought new bytes."""
    repeats: int = 0
    """Frames of audio with bytes that were stored already."""
    again_bytes: int = 0
    """Bytes that came more than once."""
    duplicate_bytes: int = 0
    """Of these, bytes that were stored already."""
    opens: int = 0
    connections: list[int] = field(default_factory=list)
    """The connections on which it was opened, by number."""
    violations: Violations = field(default_factory=Violations)
    reporter: object = None
    """The stream on which `played` is reported: the last one that was opened. In memory alone."""
    acked: int = 0
    """The highest `upto` that was ever acknowledged. In memory alone."""

    @classmethod
    def begin(cls, event: UtteranceBegun) -> StreamedUtterance:
        """A new utterance without audio."""
        return cls(event, Timeline(event.format, event.rate, event.channels))

    @property
    def number(self) -> int:
        """Its number in the store, from 1."""
        return self.begun.number

    @property
    def seq(self) -> int:
        """The sequence of the request."""
        return self.begun.seq

    @property
    def session(self) -> SessionKey:
        """Node and session."""
        return self.begun.node, self.begun.session

    @property
    def upto(self) -> int:
        """All bytes before it are stored, or skipped."""
        return self.stored.upto

    @property
    def size(self) -> int | None:
        """The size of the file, once it is known."""
        if self.final is not None:
            return self.final.size
        return None if self.end is None else self.end.size

    @property
    def cancelled(self) -> bool:
        """Whether a cancel has ended it."""
        return self.final is not None and self.final.state == "cancelled"

    @property
    def played_ms(self) -> int:
        """How much of it the phone has played, in ms."""
        return int(self.position_ms)

    def known_parts(self, first: int, past: int) -> Iterable[tuple[int, int]]:
        """The parts of a range whose bytes are stored, in order."""
        at = first
        for begin, end in (*self.stored.missing(first, past), (past, past)):
            yield from self.holes.missing(at, begin)
            at = end

    def apply(self, event: StreamEvent) -> None:
        """Apply an event of this utterance."""
        match event:
            case BytesStored(at=at, size=size, ms=ms):
                self.stored.add(at, at + size)
                self.arrived.add(at, at + size)
                self.frames += 1
                if ms is not None:
                    self.timeline.mark(at, ms)
            case BytesRepeated(again=again, stored=stored):
                self.again_bytes += again
                self.duplicate_bytes += stored
                self.repeats += 1 if stored else 0
            case SentenceKept():
                self.sentences[event.n] = event
            case WordsKept(n=n, words=words):
                self.sentences[n] = replace(self.sentences[n], words=(self.sentences[n].words or ()) + words)
            case StreamEndKept():
                self.end = event
            case BytesGiven(upto=upto):
                self.given = upto
                self.position_ms = max(self.position_ms, self.timeline.ms_of(upto))
            case UtteranceReopened(connection=connection):
                self.opens += 1
                if self.connections[-1:] != [connection]:
                    self.connections.append(connection)
            case StreamRuleBroken(violation=violation):
                self.violations.add(violation)
            case _:
                self._apply_end(event)

    def _apply_end(self, event: StreamEvent) -> None:
        match event:
            case BytesSkipped(first=first, past=past):
                self.stored.add(first, past)
                self.holes.add(first, past)
            case UtteranceFinal():
                self.final = event
            case PlayEnded(ms=ms, complete=complete):
                self.play_ended, self.valid = True, complete
                self.position_ms = max(self.position_ms, ms)
            case _:
                raise TypeError(f"{type(event).__name__} is no event of an utterance")
