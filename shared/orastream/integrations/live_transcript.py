"""Cuts the text of an utterance into parts with times, while its audio arrives. Pure.

Frameworks show the parts as the transcript of what is spoken, so the parts joined are the text that was written.
"""

from __future__ import annotations

from typing import NamedTuple

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.word_time import WordTime


class TranscriptPart(NamedTuple):
    """A part of the text as it was written, with the marks and white space after it, and when it is spoken."""

    text: str
    begin_ms: int
    """Time in the utterance, in milliseconds, from which it is spoken."""
    end_ms: int
    """Time at which it has been spoken."""


class LiveTranscript:
    """The parts of one utterance. Call `add` for each chunk, in order, then `rest`. Not thread-safe.

    A part is a word if the engine knows its words, else a sentence, which comes when the next one begins. A character
    is in one part only: an attempt that speaks a sentence again yields no part again, and of several words at one
    place (those of a number) the first has the text.
    """

    def __init__(self) -> None:
        self._covered = 0  # text[:covered] was given out
        self._until_ms = 0  # end of the last part

    def add(self, chunk: AudioChunk, text: str) -> list[TranscriptPart]:
        """Return the parts that end in a chunk. `text` is the text so far: the request's and all pieces, joined."""
        found: list[TranscriptPart] = []
        events: list[SentenceStart | WordTime] = [*chunk.words, *chunk.sentences]
        for event in sorted(events, key=_in_order):
            if isinstance(event, WordTime):
                self._give(found, text, _with_marks(text, event.end), event.begin_ms, event.end_ms)
            elif event.first is not None:
                self._give(found, text, event.first, self._until_ms, event.ms)
        return found

    def rest(self, text: str, end_ms: int) -> list[TranscriptPart]:
        """Return what is left of the whole `text` when the audio, `end_ms` long, is complete."""
        found: list[TranscriptPart] = []
        self._give(found, text, len(text), self._until_ms, end_ms)
        return found

    def _give(self, found: list[TranscriptPart], text: str, end: int, begin_ms: int, end_ms: int) -> None:
        if not self._covered < end <= len(text):
            return
        part = text[self._covered : end]
        self._covered = end
        self._until_ms = max(self._until_ms, end_ms)
        found.append(TranscriptPart(part, begin_ms, max(begin_ms, end_ms)))


def _in_order(event: SentenceStart | WordTime) -> tuple[int, int, int]:
    """Order of the events of a chunk: by sentence, its begin before its words."""
    if isinstance(event, WordTime):
        return event.sentence, 1, event.begin_ms
    return event.number, 0, event.ms


def _with_marks(text: str, end: int) -> int:
    """The place after the marks that stand at the end of a word, and the white space after them."""
    while end < len(text) and not (text[end].isalnum() or text[end].isspace()):
        end += 1
    while end < len(text) and text[end].isspace():
        end += 1
    return end
