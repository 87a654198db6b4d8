"""What a sentence's audio passes on its way to the host: stored bytes are left out, a slowed engine gives it evenly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engine_pool.asked_sentence import PACED_MS, AskedSentence, SentenceOutput

pytestmark = pytest.mark.unit

RATE_HZ = 22_050
PACED_BYTES = 2 * (RATE_HZ * PACED_MS // 1000)


def output(**asked: Any) -> tuple[SentenceOutput, AskedSentence, list[bytes]]:
    sentence = AskedSentence({"id": 1, "skip_bytes": 0, "keep_skipped": False, "rtf": None, **asked})
    handed: list[bytes] = []

    def hand_over(_sentence: AskedSentence, pcm: bytes) -> bool:
        handed.append(pcm)
        return True

    return SentenceOutput(sentence, RATE_HZ, hand_over), sentence, handed


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10), st.integers(0, 300), st.booleans())
def test_stored_bytes_are_left_out_unless_they_are_kept(pieces: list[bytes], skip: int, keep: bool) -> None:
    out, _, handed = output(skip_bytes=skip, keep_skipped=keep)
    assert all(out.give(pcm) for pcm in pieces)
    whole = b"".join(pieces)
    assert b"".join(handed) == (whole if keep else whole[skip:])
    assert out.total == len(whole)


def test_a_large_piece_of_a_slowed_engine_is_handed_over_in_small_ones() -> None:
    out, _, handed = output(rtf=1e-6)
    assert out.give(bytes(3 * PACED_BYTES + 10))
    assert [len(pcm) for pcm in handed] == [PACED_BYTES] * 3 + [10]


def test_a_large_piece_is_handed_over_as_it_is() -> None:
    out, _, handed = output()
    assert out.give(bytes(3 * PACED_BYTES))
    assert [len(pcm) for pcm in handed] == [3 * PACED_BYTES]


def test_nothing_asks_whether_the_sentence_goes_on() -> None:
    out, sentence, handed = output()
    assert out.give(b"") and handed == []
    sentence.stop()
    assert not out.give(b"") and handed == []
