"""What a `text` of protocol v2 adds to the sentences that are known. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from orastream.contract.oraserver.from_bridge import SentenceText
from services.oraserver.v2.events import SentenceKept, Word, WordsKept


def new_words(known: SentenceKept | None, message: SentenceText) -> Sequence[Word]:
    """Returns the words of the message that are not known: those that begin after the last one that is known.

    All of them, if the sentence is new or has begun again at another time.
    """
    words = message.words or ()
    if known is None or known.ms != message.ms or not known.words:
        return words
    last_begin = known.words[-1][2]
    return [word for word in words if word[2] > last_begin]


def change(number: int, known: SentenceKept | None, message: SentenceText) -> SentenceKept | WordsKept | None:
    """Returns the event by which utterance `number` takes the message; None if it adds nothing.

    A sentence that begins again at another time loses its words.
    """
    m, words = message, tuple(new_words(known, message))
    if known is not None and (known.ms, known.text, known.first, known.past) == (m.ms, m.text, m.first, m.past):
        return WordsKept(number, m.number, words) if words else None
    before = known.words or () if known is not None and known.ms == m.ms else ()
    return SentenceKept(number, m.number, m.ms, m.text, m.first, m.past, before + words or None)
