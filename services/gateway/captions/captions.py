"""Timed captions of an utterance: its sentences, split at words into cues that fit on a line. Pure.

Length of a line: 42 characters; with Korean, Chinese or Japanese characters 16, where Latin characters, spaces and
punctuation count half. Source: Netflix Timed Text Style Guides, “General Requirements” and “Korean”.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orastream.contract.spoken_text import TimedSentence, TimedWord, is_space

MAX_CELLS = 42
"""Limit for the length of a cue without wide characters. A cell is a narrow character."""
MAX_CELLS_WIDE = 32
"""Limit for a cue of a sentence with wide characters, each of which is two cells: 16 of them."""
_MID_SENTENCE_COST = 200
"""Cost of a split not after punctuation. Lengths cost their square: 20 + 20 cells cost 200 less than 10 + 30."""
_WIDE_STOPS = frozenset("、。，！？；：")
"""Punctuation after which text without white space may be split."""
_STOPS = _WIDE_STOPS | frozenset(",.!?;:…—–")
_CLOSING = "\"')]}”’»〉》」』】）"


class Cue(NamedTuple):
    """A text that is shown from `begin_ms` to before `end_ms` of the utterance."""

    begin_ms: int
    end_ms: int
    text: str
    """One line: single spaces, no control characters. Not escaped for any format."""
    words: tuple[tuple[int, int], ...] = ()
    """When words after the first begin: (offset in `text`, time in ms). Both grow; times are within the cue's."""


@dataclass(frozen=True, slots=True)
class Captions:
    """The captions of an utterance."""

    cues: tuple[Cue, ...]
    """In order, without overlaps. Each has a length of 1 ms or more, also if the times of the chunks say less."""
    estimated: bool
    """Whether a sentence has words without known times: their times are in proportion to the characters."""


class _Unit(NamedTuple):
    """A part of a sentence that is not split: `text[first:end]`."""

    first: int
    end: int
    spaced: bool  # white space stands before it


def captions_of(sentences: Iterable[TimedSentence]) -> Captions:
    """Return the captions of sentences, which are in order.

    Each cue is a part of one sentence. It begins with its first word, and in a new sentence with the sentence. It ends
    with its last word. The end of a sentence without known words is `until_ms`.
    """
    cues: list[Cue] = []
    estimated, at_ms = False, 0
    for sentence in sentences:
        clock = _Clock(sentence)
        for units in _split(sentence.text, _units(sentence)):
            place = units[0].first, units[-1].end
            begin_ms, end_ms = clock.span(*place)
            begin_ms = max(begin_ms, at_ms)
            at_ms = max(end_ms, begin_ms + 1)
            text, words = _line(sentence.text, units, clock.words(*place))
            cues.append(Cue(begin_ms, at_ms, text, tuple(_within(words, begin_ms, at_ms))))
        estimated = estimated or clock.estimated
    return Captions(tuple(cues), estimated)


def cells(text: str) -> int:
    """Return the length of a text in cells: 2 for a wide character, 0 for a combining one, else 1."""
    return sum(map(_cells_of, text))


def _cells_of(char: str) -> int:
    if unicodedata.east_asian_width(char) in "WF":
        return 2
    # The vowels and final consonants of decomposed Hangul stand in the cell of the first one.
    return 0 if unicodedata.category(char) in ("Mn", "Me", "Cf") or "\u1160" <= char <= "\u11ff" else 1


def _is_spoken(text: str) -> bool:
    return any(char.isalnum() for char in text)


def _units(sentence: TimedSentence) -> list[_Unit]:
    """The parts of the text between white space. A word with white space in it is not split."""
    text = sentence.text
    within = {at for word in sentence.words for at in range(word.first, word.end - 1)}  # no split after these
    units: list[_Unit] = []
    first: int | None = None
    spaced = False
    for at, char in enumerate(text):
        if first is None:
            if is_space(char):
                spaced = True
                continue
            first = at
        following = text[at + 1 : at + 2]
        wide_stop = char in _WIDE_STOPS and following.isalpha()  # not in 12：30
        if at not in within and (not following or is_space(following) or wide_stop):
            units.append(_Unit(first, at + 1, spaced))
            first, spaced = None, False
    return units


def _split(text: str, units: Sequence[_Unit]) -> Iterator[Sequence[_Unit]]:
    """Yield groups of units that fit into a cue: the fewest, of about the same length, better ending with punctuation.

    A unit that is too long is a group of its own. Takes time in proportion to the number of units.
    """
    limit = MAX_CELLS_WIDE if any(_cells_of(char) == 2 for char in text) else MAX_CELLS
    lengths = [cells(text[unit.first : unit.end]) for unit in units]
    best: list[tuple[int, int]] = [(0, 0)]  # of the first n units: number of groups, cost
    begins = [0]  # where the last group of the first n units begins
    for count in range(1, len(units) + 1):
        stops = count == len(units) or _stops(text[units[count - 1].first : units[count - 1].end])
        length, found, begin = 0, (len(units) + 1, 0), count - 1
        for first in range(count - 1, -1, -1):
            length += lengths[first] + (first + 1 < count and units[first + 1].spaced)
            if length > limit and first < count - 1:
                break
            groups, cost = best[first]
            cost += length * length + (0 if stops else _MID_SENTENCE_COST)
            if (groups + 1, cost) < found:
                found, begin = (groups + 1, cost), first
        best.append(found)
        begins.append(begin)
    cuts = [len(units)]
    while cuts[-1] > 0:
        cuts.append(begins[cuts[-1]])
    for end, begin in reversed(list(zip(cuts, cuts[1:], strict=False))):
        yield units[begin:end]


def _stops(unit: str) -> bool:
    return unit.rstrip(_CLOSING)[-1:] in _STOPS


class _Clock:
    """The times of the characters of one sentence."""

    def __init__(self, sentence: TimedSentence) -> None:
        self.estimated = False
        self._text = sentence.text
        self._spoken_at = next((at for at, char in enumerate(sentence.text) if char.isalnum()), len(sentence.text))
        self._begin_ms = at_ms = sentence.begin_ms
        self._words: list[TimedWord] = []
        for word in sentence.words:  # within the sentence, whatever was stored
            begin_ms = min(max(word.begin_ms, at_ms), sentence.until_ms)
            at_ms = min(max(word.end_ms, begin_ms), sentence.until_ms)
            self._words.append(TimedWord(word.first, word.end, begin_ms, at_ms))
        self._firsts = [word.first for word in self._words]
        known = [(0, sentence.begin_ms)]
        for word in self._words:
            known += [(word.first, word.begin_ms), (word.end, word.end_ms)]
        known.append((len(self._text), sentence.until_ms))
        self._places = [place for place, _ in known]
        self._times_ms = [ms for _, ms in known]

    def words(self, first: int, end: int) -> list[TimedWord]:
        """Return the words in `text[first:end]`, which cuts none, with times that are within the sentence's."""
        return self._words[bisect_left(self._firsts, first) : bisect_left(self._firsts, end)]

    def span(self, first: int, end: int) -> tuple[int, int]:
        """Return begin and end of `text[first:end]`, which cuts no word, in milliseconds."""
        words = self.words(first, end)
        head, tail = (words[0].first, words[-1].end) if words else (end, first)
        begin_ms = words[0].begin_ms if words else self._at(first)
        if _is_spoken(self._text[first:head]):
            begin_ms, self.estimated = self._at(first), True
        end_ms = words[-1].end_ms if words else self._at(end)
        if _is_spoken(self._text[tail:end]):
            end_ms, self.estimated = self._at(end), True
        for word, following in zip(words, words[1:], strict=False):
            self.estimated = self.estimated or _is_spoken(self._text[word.end : following.first])
        return self._begin_ms if first <= self._spoken_at else begin_ms, end_ms

    def _at(self, place: int) -> int:
        """The time of a place: known, or in proportion between the known ones around it."""
        after = min(bisect_right(self._places, place), len(self._places) - 1)
        (first, end), (first_ms, end_ms) = self._places[after - 1 : after + 1], self._times_ms[after - 1 : after + 1]
        return end_ms if end <= place else first_ms + (end_ms - first_ms) * (place - first) // (end - first)


def _line(text: str, units: Sequence[_Unit], words: Sequence[TimedWord]) -> tuple[str, list[tuple[int, int]]]:
    """The units as one line, and for each word that begins in it: offset in the line, time of its begin."""
    line = ""
    begins = {word.first: word.begin_ms for word in words}
    found: list[tuple[int, int]] = []
    for number, unit in enumerate(units):
        line += " " if number and unit.spaced else ""
        opens: int | None = len(line)  # marks before the first word of a unit, such as a bracket, belong to it
        for at in range(unit.first, unit.end):
            if (ms := begins.get(at)) is not None:
                found.append((len(line) if opens is None else opens, ms))
                opens = None
            line += text[at] if not is_space(text[at]) else "" if line.endswith(" ") else " "
    return line, found


def _within(words: Iterable[tuple[int, int]], begin_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """Yield the words after the first place of the line whose time is later than that of the one before."""
    at_ms = begin_ms
    for offset, ms in words:
        if offset > 0 and at_ms < ms < end_ms:
            yield offset, ms
            at_ms = ms
