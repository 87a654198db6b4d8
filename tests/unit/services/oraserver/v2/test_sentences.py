"""What a `text` adds to the sentences that are known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.oraserver.from_bridge import SentenceText
from services.oraserver.v2.events import SentenceKept, Word, WordsKept
from services.oraserver.v2.sentences import change, new_words
from tests.support.bridge_frames import text

pytestmark = pytest.mark.unit


def after(messages: list[SentenceText]) -> SentenceKept | None:
    """The sentence as it is known after these messages."""
    known: SentenceKept | None = None
    for message in messages:
        match change(1, known, message):
            case SentenceKept() as sentence:
                known = sentence
            case WordsKept(words=words):
                assert known is not None
                known = replace(known, words=(known.words or ()) + words)
    return known


@given(
    chunks=st.lists(st.lists(st.integers(1, 50), max_size=4), max_size=8),
    links=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=6),
)
def test_each_word_is_kept_once_wherever_the_chunks_are_sent_again(
    chunks: list[list[int]], links: list[tuple[int, int]]
) -> None:
    """Each link begins where an earlier one has been, and sends some messages. The last one sends all."""
    at, texts = 0, [text()]
    for durations in chunks:
        words: list[Word] = []
        for ms in durations:
            words.append((at, 1, at, at + ms))
            at += ms
        texts.append(text(words=tuple(words) or None))
    messages, reached = texts[:1], 1
    for begin, count in [*links, (0, len(texts))]:
        first = min(begin, reached)
        messages += texts[first : first + count]
        reached = max(reached, min(first + count, len(texts)))
    known = after(messages)
    assert known is not None
    assert list(known.words or ()) == [word for one in texts for word in one.words or ()]


def test_only_another_time_makes_the_words_new() -> None:
    known = SentenceKept(1, 0, 10, "a", None, None, ((0, 1, 10, 20),))
    again = text(ms=10, words=((0, 1, 10, 20), (2, 1, 20, 30)))
    assert list(new_words(known, again)) == [(2, 1, 20, 30)]
    assert list(new_words(known, replace(again, ms=11))) == [(0, 1, 10, 20), (2, 1, 20, 30)]
    other = after([text(ms=10, words=((0, 1, 10, 20),)), replace(again, text="other words")])
    assert other is not None
    assert (other.text, other.words) == ("other words", again.words)
