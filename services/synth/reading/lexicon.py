"""The words that a lexicon, or a request, says in its own way: SQL is 시퀄. Pure.

A word is found before the rules of reading run, and its reading is final: a stand-in, a letter that no rule changes,
holds its place until all rules have run. So a reading is neither read by a rule nor replaced by another entry.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.synth.reading.edited_text import Edit, EditedText
from services.synth.reading.korean import attached
from services.synth.reading.reader import language_of_rules, read_with_places
from services.synth.reading.word_places import WordPlaces

EVERY_LANGUAGE = "*"
"""The section of a lexicon that counts for all languages, after their own sections."""

MAX_READINGS_CHARS = 2_000
"""Maximum length of all readings in one sentence. Sentences are split before words are replaced, so without it long
readings of short words could make a sentence for which an engine has not enough memory."""

# Letters of a script (Vai) that no rule changes. SSML has stand-ins of its own, of another script (`text/ssml_script`).
_STAND_INS = [chr(code) for code in range(0xA500, 0xA60C)]
_NONCHARACTERS = re.compile("[\ufdd0-\ufdef]")
_SPACES = re.compile(r"\s+")


class Pronunciation(NamedTuple):
    """How to say a word."""

    said: str
    """What the engine gets in place of the word, unchanged."""
    exact: bool = False
    """Only the word as it is written, with its capital and small letters."""


def without_marks(text: str) -> str:
    """Returns the text with spaces in place of Unicode's noncharacters U+FDD0 to U+FDEF.

    Engines take them as the marks around phonemes, which only a reading may have. All other text must lose them.
    """
    return _NONCHARACTERS.sub(" ", text)


class HeldText(NamedTuple):
    """A sentence in which stand-ins hold the places of the words that have a reading of their own."""

    text: EditedText
    readings: Mapping[str, str]
    """Stand-in → what is said in its place."""


def put_back(read: EditedText, readings: Mapping[str, str]) -> EditedText:
    """Returns a text that the rules have read, with the readings in place of their stand-ins."""
    if not readings:
        return read
    places = (place for place, char in enumerate(read.text) if char in readings)
    return read.edited([(place, place + 1, readings[read.text[place]]) for place in places])


class WordTable:
    """The words of one section. Immutable.

    `longest` examines the words that begin with the same two characters, once for each different length of them.
    """

    def __init__(self, words: Mapping[str, Pronunciation]) -> None:
        """Words are compared in NFC, with one space for any white space in them."""
        self._exact: dict[str, str] = {}
        self._folded: dict[str, str] = {}
        lengths: dict[str, set[int]] = {}
        for word, pronunciation in words.items():
            written = _SPACES.sub(" ", unicodedata.normalize("NFC", word)).strip()
            folded = _small(written)
            self._exact.setdefault(written, pronunciation.said)
            if not pronunciation.exact:
                self._folded.setdefault(folded, pronunciation.said)
            lengths.setdefault(folded[:2], set()).add(len(written))
        self._lengths = {begin: tuple(sorted(found, reverse=True)) for begin, found in lengths.items()}

    def longest(self, text: _Flat, place: int, beyond: int) -> tuple[int, str] | None:
        """Returns the end and the reading of the longest whole word at a place; None: none is longer than `beyond`."""
        begin = text.small[place : place + 2]
        for length in self._lengths.get(begin, ()) + self._lengths.get(begin[:1], ()):
            if length <= beyond:
                return None
            end = place + length
            said = self._exact.get(text.text[place:end]) or self._folded.get(text.small[place:end])
            if said is not None and end <= len(text.text) and text.words.is_whole(place, end):
                return end, said
        return None


class _Flat:
    """A text in which each run of white space is one space, as words are compared with it."""

    def __init__(self, text: str) -> None:
        self._places: list[int] | None = None
        flat = _SPACES.sub(" ", text)
        if len(flat) != len(text):
            self._places = [
                place for place, char in enumerate(text) if not char.isspace() or not text[place - 1 : place].isspace()
            ] + [len(text)]
        self.text = flat
        self.small = _small(flat)
        self.words = WordPlaces(flat)

    def place(self, at: int) -> int:
        """Returns the place of a character in the text itself."""
        return at if self._places is None else self._places[at]


class Lexicon:
    """The words of all languages, as one engine says them. Immutable.

    At each place the longest word counts. Of the same word, that of the request counts first, then that of the
    language as which the sentence is read, of the language of the request, and of every language. In one section, the
    word as it is written counts before one that differs in capital and small letters.
    """

    def __init__(self, sections: Mapping[str, Mapping[str, Pronunciation]]) -> None:
        """`sections` have a BCP 47 tag or EVERY_LANGUAGE as key."""
        self._sections = {tag.lower(): WordTable(words) for tag, words in sections.items() if words}
        self._of_request: WordTable | None = None
        self.words = sum(map(len, sections.values()))
        """Number of words, of a request not counted."""
        self.digest = _digest(sections)
        """8 characters that change with the words and their readings; empty for a lexicon without words."""

    def with_request(self, words: Mapping[str, Pronunciation]) -> Lexicon:
        """Returns this lexicon with the words of a request before its own, for sentences of any language."""
        if not words:
            return self
        made = copy.copy(self)
        made._of_request = WordTable(words)
        return made

    def read(self, sentence: EditedText, language: str, *, rules: bool = True, tags: bool = True) -> HeldText:
        """Returns the sentence as the rules read it, with stand-ins for the words; `put_back` completes it.

        `language` is the BCP 47 tag of the request; for `tags` see `read_with_places`. Without `rules` only the words
        change. The sentence loses its noncharacters (`without_marks`). Thread-safe.
        """
        sentence = sentence.respelled(without_marks(sentence.text))
        if not rules:
            return self.hold(sentence, language)
        if self._has_no_words():
            return HeldText(read_with_places(sentence, language, tags=tags), {})
        readings: dict[str, str] = {}

        def hold(text: EditedText) -> EditedText:
            held = self.hold(text, language)
            readings.update(held.readings)
            return held.text

        return HeldText(read_with_places(sentence, language, tags=tags, hold=hold), readings)

    def hold(self, sentence: EditedText, language: str) -> HeldText:
        """Returns the sentence with stand-ins for its words, before the rules.

        Of a particle with two forms after a word, the one is taken that follows the reading. A word whose reading does
        not fit into MAX_READINGS_CHARS stays as it is. Time is linear in the sentence. Thread-safe.
        """
        if self._has_no_words():
            return HeldText(sentence, {})
        if not unicodedata.is_normalized("NFC", sentence.text):
            sentence = sentence.composed()
        tables = self._tables(sentence.text, language)
        return _held(sentence, tables) if tables else HeldText(sentence, {})

    def _has_no_words(self) -> bool:
        return not self._sections and self._of_request is None

    def _tables(self, text: str, language: str) -> list[WordTable]:
        request, tags = language.replace("_", "-").lower(), list[str]()
        read = language_of_rules(text, language)
        if read and read != request.partition("-")[0]:
            tags.append(read)
        while request:
            tags.append(request)
            request = request.rpartition("-")[0]
        found = (self._sections.get(tag) for tag in dict.fromkeys([*tags, EVERY_LANGUAGE]))
        return [table for table in (self._of_request, *found) if table is not None]


class _StandIns:
    """Gives each different reading of one sentence a letter that the sentence does not have."""

    def __init__(self, text: str) -> None:
        self._free = iter(char for char in _STAND_INS if char not in text)
        self._of: dict[str, str] = {}

    def of(self, said: str) -> str:
        """Returns the stand-in; if there is none left, the reading itself."""
        if said not in self._of:
            self._of[said] = next(self._free, said)
        return self._of[said]

    def readings(self) -> dict[str, str]:
        """Returns what is said for each stand-in."""
        return {stand_in: said for said, stand_in in self._of.items() if stand_in != said}


def _held(sentence: EditedText, tables: Sequence[WordTable]) -> HeldText:
    text, stand_ins, edits, place = _Flat(sentence.text), _StandIns(sentence.text), list[Edit](), 0
    room = MAX_READINGS_CHARS
    while place < len(text.text):
        end, said = place, ""
        for table in tables if text.words.begins(place) else ():
            if (found := table.longest(text, place, end - place)) is not None:
                end, said = found
        if end == place or len(said) > room:
            place = max(end, place + 1)
            continue
        room -= len(said)
        particle = text.words.particle(end)
        stand_in = stand_ins.of(_parted(text.text, place, end, said, particle))
        edits.append((text.place(place), text.place(end - 1) + 1, stand_in))
        place = end + len(particle)  # it belongs to the word: no other entry replaces it
        if particle and (form := _form(said, particle)) != particle:
            edits.append((text.place(end), text.place(end) + len(particle), form))
    return HeldText(sentence.edited(edits), stand_ins.readings())


def _form(said: str, particle: str) -> str:
    return attached.form_of_either(said, particle) if "(" in particle else attached.form_after(said, particle)


def _parted(text: str, first: int, end: int, said: str, particle: str) -> str:
    """Returns the reading with a space where a sign has parted the word from the one beside it: LG㈜, ㈜오라."""
    before, after = text[first - 1 : first], text[end : end + 1]
    if before.isalnum() and not text[first].isalnum():
        said = f" {said}"
    if after.isalnum() and not text[end - 1].isalnum() and not particle:
        said = f"{said} "
    return said


def _small(text: str) -> str:
    """Returns the text in small letters, of the same length."""
    small = text.lower()
    return small if len(small) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _digest(sections: Mapping[str, Mapping[str, Pronunciation]]) -> str:
    words = sorted((tag, word, *pronunciation) for tag, of in sections.items() for word, pronunciation in of.items())
    if not words:
        return ""
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:8]


NO_WORDS = Lexicon({})
"""The lexicon of a node without one."""
