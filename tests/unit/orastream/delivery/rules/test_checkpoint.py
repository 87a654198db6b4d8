"""The contents of a checkpoint, and how often one is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.messages import Report
from orastream.delivery.rules.checkpoint import CHECKPOINT_EVERY_S, CheckpointClock, report_of
from orastream.delivery.rules.utterance_effects import Progress

pytestmark = pytest.mark.unit

COUNTS = st.integers(0, 1000)


def claim(**fields: Any) -> Report:
    report = Report(request_id="r", session_id="s", phone_id="p", request_seq=7, status="synthesizing")
    return report.with_(**fields)


def figures(first_audio_ms: float | None) -> dict[str, Any]:
    return {"first_audio_ms": first_audio_ms, "transfer_ms": None, "underruns": 0, "underrun_ms": 0.0}


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_it_never_says_less_than_an_earlier_owner(
    before_bytes: int, here_bytes: int, before_breaks: int, here_breaks: int, chunks: int
) -> None:
    base = claim(status="delivering", bytes=before_bytes, audio_seconds=before_bytes / 10, reconnects=before_breaks)
    progress = Progress(chunks=chunks, bytes=here_bytes, audio_seconds=here_bytes / 10, reconnects=here_breaks)
    report = report_of(base, progress, figures(5.0), epoch=9)
    assert report.bytes == max(before_bytes, here_bytes) and report.audio_seconds >= base.audio_seconds
    assert report.reconnects == before_breaks + here_breaks
    assert (report.delivered_chunks, report.epoch, report.request_seq) == (chunks, 9, 7)


def test_its_status_is_delivering_from_the_first_write_on() -> None:
    assert report_of(claim(), Progress(), figures(None), 1).status == "synthesizing"
    assert report_of(claim(), Progress(), figures(3.0), 1).status == "delivering"
    assert report_of(claim(total_chunks=4, rtf=0.5), Progress(), figures(None), 1).total_chunks == 4


def test_it_is_written_when_there_is_something_new_and_not_too_often() -> None:
    clock = CheckpointClock()
    assert not clock.due(0, 10.0)
    assert clock.due(1, 10.0)
    clock.taken(1, 10.0)
    assert not clock.due(1, 99.0), "nothing new"
    assert not clock.due(2, 10.0 + CHECKPOINT_EVERY_S / 2)
    assert clock.due(2, 10.0 + CHECKPOINT_EVERY_S)
