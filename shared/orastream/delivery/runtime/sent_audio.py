"""Notes what one delivery sends: for the listener's clock, and for the record of what was heard."""

from __future__ import annotations

from orastream.contract.audio import bytes_per_second, seconds_of
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.heard import HeardBy
from orastream.contract.stored_requests import StoredRequest
from orastream.delivery.rules.heard_book import HeardBook
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.sink import Link


class SentAudio:
    """What of one utterance was sent. Without a book it notes nothing. `piecewise`: it is sent chunk by chunk.

    Over protocol v2 the link tells the listener what it sends.
    """

    def __init__(
        self,
        book: HeardBook | None,
        listener: Listener,
        stored: StoredRequest,
        machine: UtteranceDelivery,
        began_at: float,
    ) -> None:
        """`began_at`: when the play of what an earlier owner has sent began."""
        self._book = book
        self._listener = listener
        self._stored = stored
        self._machine = machine
        self._began_at = began_at
        self._piecewise = machine.rules.confirm_every is not None
        self._sent_s: float | None = None
        """Seconds of the utterance that were written over links of protocol v1."""
        self._noted = False

    def wrote(self, link: Link, start: AudioStart, chunk: AudioChunk, now: float) -> None:
        """A chunk was written over the link."""
        if self._book is None or not self._piecewise:
            return
        if link.resuming is None:
            assert chunk.offset is not None, "the machine sets it"
            if self._sent_s is None:
                self._sent_s = chunk.pts_ms / 1000
                self._book.follows(self._stored.sequence)
                self._listener.sent_earlier(self._stored.sequence, chunk.offset, self._sent_s, self._began_at)
            self._plays(chunk.offset, chunk.offset + len(chunk.audio), _end_s(start, chunk), now)
        self._note(link)

    def completed(self, link: Link, end: AudioEnd, now: float) -> None:
        """The end of the utterance was written over the link."""
        if self._book is None:
            return
        if not self._piecewise:
            if not self._noted:
                self._book.unknown(self._stored)
            self._noted = True
            return
        if link.resuming is None and self._sent_s is not None:
            self._plays(end.total_bytes, end.total_bytes, end.audio_seconds, now)
            self._sent_s = end.audio_seconds  # the ends of chunks may have been estimated
            self._note(link)

    def look(self, link: Link) -> None:
        """Note what the link has sent by itself (protocol v2)."""
        if self._noted and link.resuming is not None:
            self._note(link)

    def _note(self, link: Link) -> None:
        assert self._book is not None, "nothing is noted without a book"
        by: HeardBy = "sent"
        sent_s = self._sent_s or 0.0
        if (resuming := link.resuming) is not None:
            by = "played" if resuming.reports_played else "sent"
            sent_s = max(sent_s, resuming.sent_s)
        self._noted = True
        self._book.sent(self._stored, by, self._machine.spoken, sent_s)

    def _plays(self, first: int, past: int, until_s: float, now: float) -> None:
        assert self._sent_s is not None, "it is set before"
        if until_s > self._sent_s:
            self._listener.sent(self._stored.sequence, first, past, until_s - self._sent_s, now)
            self._sent_s = until_s


def _end_s(start: AudioStart, chunk: AudioChunk) -> float:
    """Where a chunk ends, in seconds of the utterance; in a coded format by the mean of the bytes before it."""
    assert chunk.offset is not None, "the machine sets it"
    exact = seconds_of(start.format, start.spec, chunk.offset + len(chunk.audio))
    if exact is not None:
        return exact
    begins_s = chunk.pts_ms / 1000
    rate = chunk.offset / begins_s if begins_s > 0 else bytes_per_second(start.format, start.spec)
    return begins_s + len(chunk.audio) / rate if rate > 0 else begins_s
