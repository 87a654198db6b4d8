"""Collects the sentences and words of an utterance from its chunks, for captions and for what was heard. Pure."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.source_runs import SourceSpan
from orastream.contract.word_time import WordTime

_MARKUP = re.compile(r"<[^>]*>")


def is_space(char: str) -> bool:
    """Whether a character is white space, or one that no caption can have: a control character, a surrogate."""
    return char.isspace() or unicodedata.category(char) in ("Cc", "Cs")


class TimedWord(NamedTuple):
    """A word of a sentence: `text[first:end]` of that sentence, spoken from `begin_ms` to `end_ms` of the utterance."""

    first: int
    end: int
    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class TimedSentence:
    """A sentence as it was written, with its times in milliseconds of the utterance."""

    text: str
    begin_ms: int
    """Time of its first sample."""
    until_ms: int
    """Begin of the next sentence, or the end of the audio: its speech has ended by then. At least `begin_ms`."""
    words: tuple[TimedWord, ...]
    """In order, each after the one before, both in the text and in time. Empty if no word of it is known."""


class SpokenText:
    """The sentences and words of one utterance. Call `add` for each chunk that counts, in order. Not thread-safe.

    If a sentence begins again, its last start and the words after that count.
    """

    def __init__(self) -> None:
        self._starts: list[SentenceStart] = []  # with growing numbers
        self._words: dict[int, list[WordTime]] = {}
        self._known_ms = 0  # the audio is at least as long

    def add(self, chunk: AudioChunk) -> None:
        """Add the sentences and words of the next chunk."""
        self._known_ms = max(self._known_ms, chunk.pts_ms)
        for start in chunk.sentences:
            # The attempt speaks everything from this sentence on again: what began after it in the last one is void.
            while self._starts and self._starts[-1].number >= start.number:
                self._words.pop(self._starts.pop().number, None)
            self._starts.append(start)
            self._words[start.number] = []
            self._known_ms = max(self._known_ms, start.ms)
        for word in chunk.words:
            if (words := self._words.get(word.sentence)) is not None:
                words.append(word)
                self._known_ms = max(self._known_ms, word.end_ms)

    @property
    def starts(self) -> tuple[SentenceStart, ...]:
        """The sentences that count, in order: as many as `sentences` returns for audio that is complete."""
        return tuple(self._starts)

    @property
    def chars(self) -> int:
        """The characters of these sentences."""
        return sum(len(start.text) for start in self._starts)

    def sentences(
        self, audio_ms: int | None, *, complete: bool = True, source: str | None = None
    ) -> list[TimedSentence]:
        """Return the sentences in order.

        `audio_ms` is the length of the audio in milliseconds, None if it is not known. `source` is the text of the
        request, which gives the places of words in SSML; without it such words have no times. If the audio is not
        `complete` and the engine gives words, the last sentence ends with its last word that was spoken to its end.
        """
        ends_ms = [*(start.ms for start in self._starts[1:]), max(self._known_ms, audio_ms or 0)]
        found: list[TimedSentence] = []
        for start, end_ms in zip(self._starts, ends_ms, strict=False):  # without a sentence, one end is left
            until_ms = max(start.ms, end_ms)
            words = _words_in(start, self._words[start.number], source)
            found.append(TimedSentence(start.text, start.ms, until_ms, words))
        if found and not complete and any(sentence.words for sentence in found):
            found[-1:] = _spoken_part(found[-1])
        return found


def _spoken_part(sentence: TimedSentence) -> list[TimedSentence]:
    """The sentence up to its last word and the marks that stand at it; none if no word was spoken to its end."""
    if not sentence.words:
        return []
    text, end = sentence.text, sentence.words[-1].end
    while end < len(text) and not (is_space(text[end]) or text[end].isalnum()):
        end += 1
    return [TimedSentence(text[:end], sentence.begin_ms, sentence.until_ms, sentence.words)]


def _words_in(start: SentenceStart, words: list[WordTime], source: str | None) -> tuple[TimedWord, ...]:
    """The words at their places in the sentence. Words that share characters become one, as those of a number do."""
    found: list[TimedWord] = []
    for word, place in zip(words, _places(start, words, source), strict=True):
        if place is None:
            continue
        first, end = place
        begin_ms, end_ms = word.begin_ms, word.end_ms
        while found and (first < found[-1].end or begin_ms < found[-1].end_ms):
            last = found.pop()
            first, end = min(first, last.first), max(end, last.end)
            begin_ms, end_ms = min(begin_ms, last.begin_ms), max(end_ms, last.end_ms)
        found.append(TimedWord(first, end, begin_ms, end_ms))
    return tuple(found)


def _places(start: SentenceStart, words: list[WordTime], source: str | None) -> list[SourceSpan | None]:
    """Where each word stands in the text of its sentence, without white space at its ends; None if not known."""
    if start.first is None or start.end is None:
        return [None] * len(words)
    if start.end - start.first == len(start.text):  # the sentence is what stands in the source, character for character
        return [_trimmed(start.text, word.first - start.first, word.end - start.first) for word in words]
    return [None] * len(words) if source is None else _looked_up(start.text, words, source)


def _looked_up(text: str, words: list[WordTime], source: str) -> list[SourceSpan | None]:
    """Find each word by its characters, after the word before it: the source has more than the text, such as markup."""
    places: list[SourceSpan | None] = []
    at, before = 0, (-1, -1)
    for word in words:
        if (word.first, word.end) == before:
            places.append(places[-1])
            continue
        before, place = (word.first, word.end), None
        written = source[word.first : word.end]
        for wanted in (written, " ".join(html.unescape(_without_markup(written)).split())):
            if wanted and (first := text.find(wanted, at)) >= 0:
                at = first + len(wanted)
                place = _trimmed(text, first, at)
                break
        places.append(place)
    return places


def _without_markup(written: str) -> str:
    """The text without tags. Takes time in proportion to its length, also if it has many `<`, as CDATA can."""
    end = written.rfind(">") + 1  # a search from each `<` after it would read the rest of the text in vain
    return _MARKUP.sub("", written[:end]) + written[end:]


def _trimmed(text: str, first: int, end: int) -> SourceSpan | None:
    if not 0 <= first < end <= len(text):
        return None
    while first < end and is_space(text[first]):
        first += 1
    while first < end and is_space(text[end - 1]):
        end -= 1
    return (first, end) if first < end else None
