"""Which stored audio counts: the same pure function for synth (how far did the last attempt get?) and for bridges.

Input is one request's audio subject in stream order. A chunk counts only if its attempt is the latest `start` before
it, so two live attempts cannot mix. Stream order is not index order: what is ahead is held, the contiguous run is
passed on, what was had already is dropped, and `end` is believed only when all is there. A new `start` throws away
what is held; but an end once believed stands, for some reader has acted on it: what is stored after it changes nothing.
"""

from __future__ import annotations

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioMessage, AudioStart, AudioWaiting

Maker = tuple[str, str | None]
"""An engine and its version."""


class Assembly:
    """State of one utterance's audio; the chunks it passes on have the indexes 0, 1, 2 … exactly once each."""

    def __init__(self, request_seq: int) -> None:
        """`request_seq` is the claim's: a `start` of another request under the same id is ignored."""
        self._request_seq = request_seq
        self._held: dict[int, AudioChunk] = {}
        self._maker: Maker = ("", None)
        self._fruitful = False  # whether the latest attempt stored a new chunk, or had nothing to say yet
        self.start: AudioStart | None = None
        """The latest start of this request."""
        self.attempt: int | None = None
        """Its sequence."""
        self.next_index = 0
        """Chunks passed on so far."""
        self.bytes = 0
        """Audio bytes of these."""
        self.next_sentence = 0
        """Sentence of the last chunk passed on: the one to begin again when the engine cannot skip."""
        self.makers: set[Maker] = set()
        """Who made these."""
        self.barren = 0
        """Attempts before the latest one that stored no new chunk although there was something to say."""
        self.end: AudioEnd | None = None
        """The latest attempt's end, as soon as it is seen; `finished` says when to believe it."""

    @property
    def finished(self) -> AudioEnd | None:
        """The end, once everything before it was passed on; a failed or cancelled one at once."""
        end = self.end
        if end is None or (end.status == "complete" and self.next_index < end.total_chunks):
            return None
        return end

    def receive(self, sequence: int, message: AudioMessage) -> list[AudioChunk]:
        """The chunks that can be passed on now that the message stored at `sequence` is known."""
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
                self._fruitful = self._fruitful or message.attempt == self.attempt
                return []

    def _begin(self, sequence: int, start: AudioStart) -> None:
        if self.attempt is not None and not self._fruitful:
            self.barren += 1
        self.start, self.attempt, self.end = start, sequence, None
        self._maker = (start.engine, start.engine_version)
        self._fruitful = False
        self._held.clear()

    def _chunk(self, chunk: AudioChunk) -> list[AudioChunk]:
        if chunk.index < self.next_index:
            return []
        if chunk.index == self.next_index and not self._held:
            self._fruitful = True
            self.next_index += 1
            self.bytes += len(chunk.audio)
            self.next_sentence = chunk.sentence
            self.makers.add(self._maker)
            return [chunk]
        self._held[chunk.index] = chunk
        run: list[AudioChunk] = []
        while (ready := self._held.pop(self.next_index, None)) is not None:
            run.append(ready)
            self.next_index += 1
            self.bytes += len(ready.audio)
            self.next_sentence = ready.sentence
        if run:
            self._fruitful = True
            self.makers.add(self._maker)
        return run
