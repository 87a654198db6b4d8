"""The progress of a delivery for its reports: counts of confirmed audio, breaks and repeated chunks. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.contract.assembly import Assembly
from orastream.contract.audio import seconds_of
from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.delivery.rules.confirmation import WrittenChunk


@dataclass(slots=True)
class Progress:
    """Counts for the report. `chunks`, `bytes` and `audio_seconds` count audio that OraServer has confirmed."""

    chunks: int = 0
    bytes: int = 0
    audio_seconds: float = 0.0
    total_chunks: int | None = None
    """Chunks of the whole utterance, or None before its end is known."""
    rtf: float | None = None
    """Synthesis time divided by audio time, or None before the end is known."""
    characters: int | None = None
    """Length of a streamed text, or None before its end is known."""
    reconnects: int = 0
    retransmitted: int = 0
    """Chunks that were written more than once."""
    retransmitted_bytes: int = 0
    """Bytes of those chunks."""
    sent_seconds: float = 0.0
    """Seconds of the audio that was sent, confirmed or not, each counted once."""
    confirmed_bytes: int | None = None
    """Bytes of the confirmed chunks, when they were confirmed. None: not known."""
    version: int = 0
    """Increases with each change that should be written as a checkpoint."""
    _recounted: int = 0
    """Number of confirmed chunks that have been read again."""
    _recounted_bytes: int = 0
    _confirmed_until_s: float = 0.0
    """Where the last confirmed chunk begins, in seconds from the start of the utterance."""

    def wrote(self, start: AudioStart, chunk: AudioChunk) -> None:
        """A chunk was sent, whose `offset` is set.

        In a coded format only the audio before it counts: how long the chunk lasts is not known.
        """
        assert chunk.offset is not None, "it is set when the chunk is read"
        seconds = seconds_of(start.format, start.spec, chunk.offset + len(chunk.audio))
        self.sent(chunk.pts_ms / 1000 if seconds is None else seconds)

    def sent(self, seconds: float) -> None:
        """Record that the audio before this time of the utterance was sent."""
        self.sent_seconds = max(self.sent_seconds, round(seconds, 3))

    def start_over(self) -> None:
        """The audio is read again from the start."""
        self._recounted = self._recounted_bytes = 0

    def confirmed_before(self, chunk: AudioChunk, assembly: Assembly) -> bool:
        """Count a chunk that OraServer has confirmed before: to an earlier owner, or before the audio is read again.

        Returns False if they are all counted and do not have as many bytes as when they were confirmed.
        """
        if chunk.index != self._recounted:
            return True
        self._recounted += 1
        self._recounted_bytes += len(chunk.audio)
        self._confirmed_until_s = max(self._confirmed_until_s, chunk.pts_ms / 1000)
        if self._recounted_bytes > self.bytes:
            self.bytes = self._recounted_bytes
            self._measure(assembly)
        return self._recounted < self.chunks or self.confirmed_bytes in (None, self._recounted_bytes)

    def confirmed(self, chunks: int, written: list[WrittenChunk], assembly: Assembly) -> None:
        """OraServer has confirmed the first `chunks` chunks. `written`: those of them that were unconfirmed."""
        for chunk in written:
            if chunk.chunk_index >= self.chunks:
                self.bytes += chunk.size
                self._confirmed_until_s = chunk.begins_s
        self.chunks = max(self.chunks, chunks)
        self.confirmed_bytes = self.bytes
        self._measure(assembly)

    def _measure(self, assembly: Assembly) -> None:
        start = assembly.start
        if start is None:
            return
        seconds = seconds_of(start.format, start.spec, self.bytes)
        if seconds is None:  # the format has no fixed byte rate: use the times of the chunks
            end = assembly.finished
            whole = end is not None and end.status == "complete" and self.chunks >= end.total_chunks
            seconds = end.audio_seconds if whole and end is not None else self._confirmed_until_s
        self.audio_seconds = round(seconds, 3)
