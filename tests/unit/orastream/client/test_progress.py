"""When a follower of one request stops waiting for more."""

from __future__ import annotations

from typing import Any

import pytest

from orastream.client.progress import PLAYED_S, SILENT_S, ProgressEnd
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.messages import Report


def a_report(status: Any = "delivered", **changes: Any) -> Report:
    report = Report(request_id="r", session_id="s", request_seq=7, status=status, transport="websocket")
    return report.with_(**{"audio_seconds": 4.0, **changes})


def a_message(*, done: bool = False, seq: int = 7) -> DeliveryProgress:
    return DeliveryProgress(request_id="r", session_id="s", request_seq=seq, sent_ms=1, acked_ms=1, done=done)


def test_before_the_final_report_it_waits() -> None:
    end = ProgressEnd()
    end.read(a_report("delivering"), 0.0, 1.0)
    end.received(a_message(), 2.0)
    assert end.ends_at() is None


def test_it_ends_when_the_report_is_final_and_the_play_has_ended() -> None:
    end = ProgressEnd()
    end.read(a_report(), 0.0, 5.0)
    assert end.ends_at() == 5.0 + SILENT_S and not end.played
    end.received(a_message(), 9.0)
    assert end.ends_at() == 9.0 + SILENT_S
    end.received(a_message(done=True), 10.0)
    assert end.ends_at() is not None and end.ends_at() <= 10.0 and end.played  # type: ignore[operator]


def test_the_end_of_the_play_may_come_before_the_report() -> None:
    end = ProgressEnd()
    end.received(a_message(done=True), 1.0)
    assert end.ends_at() is None
    end.read(a_report("cancelled"), 0.0, 2.0)
    assert end.ends_at() == 2.0 and end.played


def test_the_end_of_an_earlier_request_with_this_id_does_not_count() -> None:
    end = ProgressEnd()
    end.received(a_message(done=True, seq=3), 1.0)
    end.read(a_report(), 0.0, 2.0)
    assert end.ends_at() == 2.0 + SILENT_S


@pytest.mark.parametrize(
    "report",
    [
        a_report(transport="http"),
        a_report(transport="none"),
        a_report(fallback="http"),
        a_report("cancelled", audio_seconds=0.0),
        a_report("expired", audio_seconds=0.0, transport=None),
    ],
)
def test_of_what_no_bridge_publishes_it_does_not_wait(report: Report) -> None:
    end = ProgressEnd()
    end.read(report, 0.0, 3.0)
    assert end.ends_at() == 3.0 and not end.played


def test_what_was_played_long_ago_is_not_waited_for() -> None:
    for age_s, waits in ((4.0 + PLAYED_S - 1, True), (4.0 + PLAYED_S + 1, False)):
        end = ProgressEnd()
        end.read(a_report(), age_s, 3.0)
        assert end.ends_at() == (3.0 + SILENT_S if waits else 3.0)
