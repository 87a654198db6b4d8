"""The sentences that begin in a chunk of audio, as the chunk says it; and how large a chunk's message may be. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FIELDS_BYTES = 72
"""Bound for the bytes of a sentence start without its text: names, and integers of up to 32 bits."""
MAX_STARTS_BYTES = 8 * 1024
"""Bound for the bytes of the sentence starts of one chunk, if there are several. A single one may be larger: in SSML
its text may be the whole text of the request."""
CHUNK_OVERHEAD_BYTES = 16 * 1024
"""Bound for the bytes of a chunk's message besides its `audio`, headers included, without a larger single start:
sentence starts, word times, the `text` of a streamed sentence, ids and names."""
MAX_BYTES_PER_CHAR = 4


def chunk_message_bytes(chunk_bytes: int, max_text_chars: int) -> int:
    """Returns a bound for the size of a chunk's message with its headers, for so much audio and so long a text."""
    return chunk_bytes + CHUNK_OVERHEAD_BYTES + MAX_BYTES_PER_CHAR * max_text_chars


@dataclass(frozen=True, slots=True)
class SentenceStart:
    """A sentence that begins in a chunk: the first sample of its own speech, after any silence before it, is there.

    An attempt that cannot continue exactly speaks a sentence again, which then begins again: the last start counts.
    """

    number: int
    """From 0, as `AudioChunk.sentence`."""
    ms: int
    """Time of its first sample in the utterance, in whole milliseconds, rounded down."""
    text: str
    """The sentence as it was written."""
    first: int | None = None
    """`from` on the wire. `source[first:end]` is the sentence in the request's text, in Unicode code points. That text
    is the whole document for SSML, and all pieces joined for a streamed text. None: synth did not find the place."""
    end: int | None = None
    """`to` on the wire. None if `first` is."""

    def fields(self) -> dict[str, object]:
        """Returns the map that stands in a chunk."""
        fields: dict[str, object] = {"number": self.number, "ms": self.ms, "text": self.text}
        return fields if self.first is None or self.end is None else fields | {"from": self.first, "to": self.end}


def starts_of(value: Any) -> tuple[SentenceStart, ...]:
    """Returns the sentence starts of a decoded chunk. Raises TypeError, KeyError or AttributeError if they are none."""
    if type(value) is not list:
        raise TypeError
    return tuple(_start_of(start) for start in value)


def _start_of(value: Any) -> SentenceStart:
    number, ms, text, first, end = value["number"], value["ms"], value["text"], value.get("from"), value.get("to")
    if type(number) is not int or type(ms) is not int or type(text) is not str or number < 0 or ms < 0:
        raise TypeError
    if (first is not None or end is not None) and not (type(first) is type(end) is int and 0 <= first <= end):
        raise TypeError
    return SentenceStart(number, ms, text, first, end)
