"""When the words of a text are spoken, as a chunk of audio says it. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

WORD_BYTES = 26
"""Bound for the bytes of a word in a message: an array of five integers of up to 32 bits."""
MAX_WORDS = 128
"""Largest number of words of one chunk, so that its message has a bounded size (`CHUNK_OVERHEAD_BYTES`)."""


class WordTime(NamedTuple):
    """A word that ends in a chunk: the chunk has the last sample of the word. On the wire an array in this order.

    Times are whole milliseconds of the utterance, rounded down, on the clock of `SentenceStart.ms`. An attempt that
    cannot continue exactly speaks a sentence again: the words of the last start of a sentence count.
    """

    sentence: int
    """Number of its sentence, from 0, as `SentenceStart.number`."""
    first: int
    """`source[first:end]` is the word in the request's text, in Unicode code points, as `SentenceStart.first`. Several
    words can have the same place: those that a speaker says for one number."""
    end: int
    begin_ms: int
    """Time of its first sample."""
    end_ms: int
    """Time of the sample after its last one."""


def words_of(value: Any) -> tuple[WordTime, ...]:
    """Returns the words of a decoded chunk. Raises TypeError if they are none."""
    if type(value) is not list:
        raise TypeError
    return tuple(map(_word_of, value))


def _word_of(value: Any) -> WordTime:
    if type(value) is not list or len(value) != len(WordTime._fields):
        raise TypeError
    if any(type(number) is not int or number < 0 for number in value):
        raise TypeError
    word = WordTime(*value)
    if word.first > word.end or word.begin_ms > word.end_ms:
        raise TypeError
    return word
