"""The words of a sentence from the events of eSpeak. Pure.

eSpeak reports where a word begins, in the text and in the audio, with these properties (eSpeak NG 1.52):

- A number has several events, one for each of its parts. They stand anywhere inside the number, also before an earlier
  one, and their lengths overlap.
- Some written words have no event, because the voice speaks them together with the word before: `세 명이`, `e-mail`.
- After an abbreviation with a full stop the place of a word can be that of the white space before it.
- A clause can be without a word event although it is spoken: `네.`
- The end of a clause has an event, at the sample after the pause that follows. Its text position is the clause's end.

So events whose ranges touch in one run of characters without white space are one word, and a word ends in the text
before the next one begins, without punctuation and white space at its end.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from services.synth.engines.base import SpokenWord

_BYTES = 2


class EspeakEvent(NamedTuple):
    """An event of eSpeak about the text: the begin of a word, or the end of a clause."""

    kind: Literal["word", "end"]
    position: int
    """Characters of the text before the word, or before the end of the clause."""
    length: int
    """Characters of the word; 0 for an end."""
    sample: int
    """From the begin of the sentence."""


@dataclass(slots=True)
class _OpenWord:
    first: int
    reach: int  # an event before that place is part of the word
    begin_sample: int


class WordEvents:
    """The words of one sentence, as its events come. `text` is what eSpeak was given. Not thread-safe."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: _OpenWord | None = None
        self._end = 0  # of the last word, in the text
        self.clause_sample = 0
        """Where the current clause begins. No later word begins before it."""

    @property
    def length(self) -> int:
        """Characters of the text."""
        return len(self._text)

    def begin(self, first: int, length: int, sample: int) -> SpokenWord | None:
        """A word event: of `length` characters from `first` on, at that sample. Returns the word before, if it ends."""
        first = self._after_space(min(max(first, self._end), len(self._text)))
        reach = self._reach(first, first + length)
        before = self._open
        if before is None:
            letter = self._first_letter(first)
            self._open = _OpenWord(letter, reach, sample if letter == first else self.clause_sample)
            return None
        if first < before.reach or sample <= before.begin_sample:
            before.reach = max(before.reach, reach)
            return None
        word = self._closed(before, first, sample)
        self._open = _OpenWord(max(first, self._end), reach, sample)
        return word

    def end_clause(self, end: int, sample: int) -> SpokenWord | None:
        """The clause's text ends before the character `end`, its speech before `sample`. Returns its last word."""
        end = min(end, len(self._text))
        word, self._open = self._open, None
        if word is None and (first := self._first_letter(end)) < end:
            word = _OpenWord(first, end, self.clause_sample)
        return None if word is None else self._closed(word, end, sample)

    def _closed(self, word: _OpenWord, before: int, sample: int) -> SpokenWord | None:
        """Returns the word that ends before the character `before` and `sample`; None if nothing is left of it."""
        end = self._without_punctuation(word.first, max(before, min(word.reach, len(self._text))))
        if end <= word.first or sample <= word.begin_sample:
            return None
        self._end = end
        return SpokenWord(word.first, end, word.begin_sample, sample)

    def _reach(self, first: int, end: int) -> int:
        """Returns `end`, or the place of the first white space before it."""
        return next((at for at in range(first, min(end, len(self._text))) if self._text[at].isspace()), end)

    def _after_space(self, first: int) -> int:
        """Returns the place of the first character from there on that is not white space."""
        return next((at for at in range(first, len(self._text)) if not self._text[at].isspace()), len(self._text))

    def _first_letter(self, first: int) -> int:
        """Returns the place of the first letter or digit after the last word, or `first` if that is before it."""
        return next((at for at in range(self._end, first) if self._text[at].isalnum()), first)

    def _without_punctuation(self, first: int, end: int) -> int:
        """Returns the end of the text from `first` without what is not spoken at its end; `end` if nothing else is."""
        last = end
        while last > first and not _is_letter(self._text[last - 1]):
            last -= 1
        if last == first:  # a sign that is spoken, such as a slash
            return first + len(self._text[first:end].rstrip())
        while last < end and (unicodedata.category(self._text[last])[0] == "S" or self._text[last] == "%"):
            last += 1
        return last


def _is_letter(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"


class WordedAudio:
    """The audio of one sentence, with its words: each word before the last sample of it. Not thread-safe.

    `give` gets the audio as it comes, and returns False to stop. It holds the last piece
    with sound, and the silence after it: a word may end there, and eSpeak says so only with the next word or after the
    pause.
    """

    def __init__(self, text: str, give: Callable[[bytes], bool], word: Callable[[SpokenWord], None]) -> None:
        self._words = WordEvents(text)
        self._give = give
        self._word = word
        self._held: deque[bytes] = deque()
        self._samples = 0  # received so far
        self._sound_end = 0  # the sample after the last one that is not zero
        self._released = 0  # samples given so far

    def receive(self, pcm: bytes, events: Iterable[EspeakEvent]) -> bool:
        """Takes the next samples, and the events in them. Returns False once `give` has returned False."""
        begin, seen = self._samples, 0
        for event in events:
            if event.kind == "word":
                self._report(self._words.begin(event.position, event.length, event.sample))
            else:
                until = min(max(event.sample - begin, seen // _BYTES) * _BYTES, len(pcm))
                self._hear(pcm[seen:until])
                seen = until
                self._report(self._words.end_clause(event.position, min(event.sample, self._sound_end)))
                self._words.clause_sample = event.sample
        self._hear(pcm[seen:])
        self._held.append(pcm)
        return self._release(max(self._sound_end, self._words.clause_sample + 1))

    def finish(self) -> bool:
        """Gives what is held, at the end of the sentence. Returns as `receive`."""
        self._report(self._words.end_clause(self._words.length, self._sound_end))
        return not self._held or self._release(self._samples + 1)

    def _hear(self, pcm: bytes) -> None:
        sound = len(pcm.rstrip(b"\0"))
        if sound:
            self._sound_end = self._samples + (sound + 1) // _BYTES
        self._samples += len(pcm) // _BYTES

    def _report(self, word: SpokenWord | None) -> None:
        if word is not None:
            self._word(word)

    def _release(self, before: int) -> bool:
        """Gives the held pieces that end before that sample; if there is none, asks whether to go on."""
        goes_on, given = True, False
        while goes_on and self._held and self._released + len(self._held[0]) // _BYTES < before:
            piece = self._held.popleft()
            self._released += len(piece) // _BYTES
            goes_on, given = self._give(piece), True
        return goes_on if given else self._give(b"")
