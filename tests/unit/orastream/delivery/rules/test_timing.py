"""When the listener plays what was written, as far as the bridge can know."""

from __future__ import annotations

import pytest

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.messages import Report
from orastream.delivery.rules.timing import Timing

pytestmark = pytest.mark.unit

SENTENCE_S = 4
ASKED_AT, FIRST_AT = 100.0, 100.5


def claim(**more: object) -> Report:
    fields = {"request_id": "r", "session_id": "s", "request_seq": 3, "status": "synthesizing"}
    return Report.model_validate({**fields, **more})


def written(every_s: float, base: Report, sentences: range) -> Timing:
    """Each of these sentences is a chunk, written `every_s` seconds after the one before."""
    timing = Timing(ASKED_AT, piecewise=True)
    for number in sentences:
        chunk = AudioChunk(1, number, 1000 * SENTENCE_S * number, number, b"x")
        timing.wrote(chunk, base, FIRST_AT + every_s * number)
    return timing


@pytest.mark.parametrize("every_s", [0.1, 4.0, 6.0])
def test_a_text_that_comes_slowly_plays_until_its_last_sentence_is_over(every_s: float) -> None:
    """Also if the session was taken over by this bridge after two sentences."""
    of_last = FIRST_AT + 3 * max(every_s, SENTENCE_S)
    whole = written(every_s, claim(), range(4))
    assert whole.began_at(claim()) + 4 * SENTENCE_S == pytest.approx(of_last + SENTENCE_S)
    figures = written(every_s, claim(), range(2)).figures(claim())
    resumed = claim(delivered_chunks=2, status="delivering", epoch=5, **figures)
    rest = written(every_s, resumed, range(2, 4))
    assert rest.began_at(resumed) + 4 * SENTENCE_S == pytest.approx(of_last + SENTENCE_S)


def test_without_a_chunk_it_is_the_time_of_the_request() -> None:
    timing = Timing(ASKED_AT, piecewise=True)
    assert timing.began_at(None) == timing.began_at(claim()) == ASKED_AT
