"""The contents of a checkpoint, and how often one is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.messages import Report
from orastream.delivery.rules.checkpoint import DELAY_S, RETRY_S, CheckpointClock, final_of, report_of
from orastream.delivery.rules.progress import Progress

pytestmark = pytest.mark.unit

COUNTS = st.integers(0, 1000)


def claim(**fields: Any) -> Report:
    report = Report(request_id="r", session_id="s", phone_id="p", request_seq=7, status="synthesizing")
    return report.with_(**fields)


def figures(first_audio_ms: float | None) -> dict[str, Any]:
    return {"first_audio_ms": first_audio_ms, "transfer_ms": None, "underruns": 0, "underrun_ms": 0.0}


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 4))
def test_no_count_is_lower_than_that_of_an_earlier_owner(
    before_bytes: int, here_bytes: int, before_reconnects: int, here_reconnects: int, chunks: int
) -> None:
    base = claim(
        status="delivering",
        delivered_chunks=2,
        bytes=before_bytes,
        audio_seconds=before_bytes / 10,
        sent_seconds=before_bytes / 10,
        reconnects=before_reconnects,
    )
    progress = Progress(chunks=chunks, bytes=here_bytes, audio_seconds=here_bytes / 10, reconnects=here_reconnects)
    report = report_of(base, progress, figures(5.0), epoch=9)
    assert report.bytes == (max(before_bytes, here_bytes) if chunks == base.delivered_chunks else here_bytes)
    assert report.audio_seconds >= base.audio_seconds
    assert report.sent_seconds >= report.audio_seconds == max(base.audio_seconds, progress.audio_seconds)
    assert report.reconnects == before_reconnects + here_reconnects
    assert (report.delivered_chunks, report.epoch, report.request_seq) == (chunks, 9, 7)


def test_all_audio_of_a_delivered_utterance_was_sent() -> None:
    current = claim(audio_seconds=2.0, sent_seconds=2.001)
    assert final_of(current, "delivered", None, 3).sent_seconds == 2.0
    cut = final_of(current, "cancelled", None, 3)
    assert (cut.status, cut.sent_seconds, cut.epoch) == ("cancelled", 2.001, 3)


def test_the_status_is_delivering_from_the_first_write_on() -> None:
    assert report_of(claim(), Progress(), figures(None), 1).status == "synthesizing"
    assert report_of(claim(), Progress(), figures(3.0), 1).status == "delivering"
    assert report_of(claim(total_chunks=4, rtf=0.5), Progress(), figures(None), 1).total_chunks == 4


def test_a_checkpoint_is_due_after_a_change_and_at_most_every_checkpoint_every_s() -> None:
    clock = CheckpointClock()
    assert not clock.due(0, 10.0)
    assert clock.due(1, 10.0)
    clock.taken(1, 10.0)
    assert not clock.due(1, 99.0), "this version is written"
    assert not clock.due(2, 40.0) and not clock.due(3, 40.0 + DELAY_S / 2)
    assert clock.due(3, 40.0 + DELAY_S)


def test_a_checkpoint_that_was_not_stored_is_due_again() -> None:
    clock = CheckpointClock()
    clock.taken(1, 10.0)
    clock.skipped()
    assert not clock.due(1, 10.0 + RETRY_S / 2)
    assert clock.due(1, 10.0 + RETRY_S)


def test_totals_come_from_the_progress_as_soon_as_it_has_them() -> None:
    base = claim(total_chunks=4, rtf=0.5, retransmitted=2, underruns=7)
    unknown = report_of(base, Progress(retransmitted=3), figures(None), 1)
    assert (unknown.total_chunks, unknown.rtf, unknown.retransmitted) == (4, 0.5, 5)
    known = report_of(base, Progress(total_chunks=0, rtf=0.0), figures(2.0), 1)
    assert (known.total_chunks, known.rtf) == (0, 0.0)
    assert (known.first_audio_ms, known.underruns) == (2.0, 0), "the figures replace those of the base"
