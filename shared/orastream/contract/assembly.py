"""Selects the stored audio that counts. Pure. Bridges and synth use the same rules; synth to continue an attempt.

The input is the messages of one request's audio subject, in stream order. A chunk counts only if its attempt is the
latest `start` before it, so that two running attempts cannot mix. Chunks may be stored in another order than their
indexes: a chunk ahead of the next index is held, chunks in order are passed on, repeats are dropped. A `complete` end
is accepted once all its chunks were passed on. A new `start` drops held chunks. After an accepted end nothing changes
any more, because a reader may have acted on it.

A chunk whose `offset` is not the number of bytes passed on before it does not count, as if it were of another
attempt: it belongs behind other audio than this reader has, and the file would have a gap or a repeat there. Readers
and the synth of the next attempt apply the same rule, so they agree. Correct synths never store such a chunk, so it is
a sign of a fault: a reader that can read again, or fail, does so instead of waiting (`contradicted`).
"""

from __future__ import annotations

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioMessage, AudioStart, AudioWaiting
from orastream.contract.word_time import WordTime

Maker = tuple[str, str | None]
"""An engine and its version."""


class Assembly:
    """The audio of one request. It passes on chunks 0, 1, 2 … exactly once each, in order."""

    def __init__(self, request_seq: int) -> None:
        """`request_seq` is that of the claim: a `start` of another request with the same id is ignored."""
        self._request_seq = request_seq
        self._held: dict[int, AudioChunk] = {}
        self._maker: Maker = ("", None)
        self._productive = False  # the latest attempt stored a new chunk or `waiting`
        self.start: AudioStart | None = None
        """The latest `start` of this request."""
        self.attempt: int | None = None
        """The stream sequence of `start`."""
        self.next_index = 0
        """Number of chunks passed on: the index of the next one."""
        self.bytes = 0
        """Audio bytes of the chunks passed on."""
        self.tail = b""
        """The last two bytes of the last chunk passed on (one, if it has only one)."""
        self.next_sentence = 0
        """Sentence of the last chunk passed on: a new attempt begins with it if the engine cannot skip chunks."""
        self.begun = -1
        """The last sentence known to begin in the chunks passed on, -1 if none. In a chunk without `offset`, of a synth
        that does not report sentences, it is that of the first sample."""
        self.last_word: WordTime | None = None
        """The last word known to end in the chunks passed on, None if none."""
        self.last_pts_ms = 0
        """`pts_ms` of the last chunk passed on."""
        self.contradicted = False
        """Whether a chunk of the latest attempt did not count because of its `offset`."""
        self.makers: set[Maker] = set()
        """Engines, with version, that made the chunks passed on."""
        self.without_progress = 0
        """Attempts before the latest one that stored no new chunk although they had text to speak."""
        self.end: AudioEnd | None = None
        """The latest attempt's end, as soon as it is received; `finished` returns it once it counts."""

    @property
    def finished(self) -> AudioEnd | None:
        """The accepted end, or None: a `complete` one counts once all its chunks were passed on, others at once."""
        end = self.end
        if end is None or (end.status == "complete" and self.next_index < end.total_chunks):
            return None
        return end

    def receive(self, sequence: int, message: AudioMessage) -> list[AudioChunk]:
        """Add the message stored at `sequence`, the next in stream order. Returns the chunks to pass on now."""
        if self.end is not None and self.finished is not None:
            return []
        match message:
            case AudioChunk():
                return self._chunk(message) if message.attempt == self.attempt else []
            case AudioStart():
                if message.request_seq == self._request_seq:
                    self._begin(sequence, message)
                return []
            case AudioEnd():
                if message.attempt == self.attempt:
                    self.end = message
                return []
            case AudioWaiting():
                self._productive = self._productive or message.attempt == self.attempt
                return []

    def _begin(self, sequence: int, start: AudioStart) -> None:
        if self.attempt is not None and not self._productive:
            self.without_progress += 1
        self.start, self.attempt, self.end = start, sequence, None
        self._maker = (start.engine, start.engine_version)
        self._productive = self.contradicted = False
        self._held.clear()

    def _chunk(self, chunk: AudioChunk) -> list[AudioChunk]:
        if chunk.index < self.next_index:
            return []
        if chunk.index == self.next_index and not self._held:
            return [chunk] if self._take(chunk) else []
        self._held[chunk.index] = chunk
        run: list[AudioChunk] = []
        while (ready := self._held.pop(self.next_index, None)) is not None and self._take(ready):
            run.append(ready)
        return run

    def _take(self, chunk: AudioChunk) -> bool:
        """Count the next chunk. Returns whether it counts: its `offset`, if any, is that of the next byte."""
        if chunk.offset is not None and chunk.offset != self.bytes:
            self.contradicted = True
            return False
        self._productive = True
        self.next_index += 1
        self.bytes += len(chunk.audio)
        self.tail = chunk.audio[-2:]
        self.next_sentence = chunk.sentence
        self.last_pts_ms = chunk.pts_ms
        if chunk.words:
            self.last_word = chunk.words[-1]
        if chunk.sentences:
            self.begun = chunk.sentences[-1].number
        elif chunk.offset is None:
            self.begun = max(self.begun, chunk.sentence)
        self.makers.add(self._maker)
        return True
