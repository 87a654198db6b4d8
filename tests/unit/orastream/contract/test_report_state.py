"""The verdict on a write conflict, for each combination of a stored report and one to write."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from orastream.contract.messages import FINAL, Report, Status
from orastream.contract.report_state import Verdict, judge

pytestmark = pytest.mark.unit


def report(request_seq: int, epoch: int, status: Status, chunks: int) -> Report:
    return Report(
        request_id="r", session_id="s", request_seq=request_seq, epoch=epoch, status=status, delivered_chunks=chunks
    )


ALL = [report(*of) for of in product((3, 4), (0, 1, 2), get_args(Status), (0, 5))]


def test_judge_returns_the_verdict_for_every_pair_of_reports() -> None:
    for stored, mine in product(ALL, ALL):
        verdict = judge(stored, mine)
        if stored.request_seq != mine.request_seq:
            assert verdict is Verdict.DUPLICATE
        elif stored == mine:
            assert verdict is Verdict.WRITTEN
        elif stored.status in FINAL:
            assert verdict is Verdict.FINAL  # never overwritten, by any writer
        elif stored.epoch > mine.epoch:
            assert verdict is Verdict.SUPERSEDED
        else:
            assert verdict is None


def test_judge_recognises_its_own_report_in_both_encodings() -> None:
    mine = report(3, 2, "delivered", 5).with_(audio_seconds=1.005, first_audio_ms=12.3, transfer_ms=0.1)
    for encoding in ("json", "msgpack"):
        assert judge(Report.decode(mine.encode(encoding)), mine) is Verdict.WRITTEN


def test_first_final_report_stays_when_two_writers_race() -> None:
    """Two writers that both retry, in any order: the first final report stays."""
    for one, other in product(ALL, ALL):
        stored: Report | None = None
        for mine in (one, other, one, other):
            if stored is None or judge(stored, mine) is None:
                assert stored is None or not stored.final
                stored = mine
        assert stored is not None
        if one.request_seq == other.request_seq and one.final and other.final:
            assert stored == one
