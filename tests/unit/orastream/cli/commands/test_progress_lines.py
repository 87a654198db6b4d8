"""The lines of running deliveries in `orastream watch`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orastream.cli.commands.progress_lines import BAR_CHARS, MAX_LINES, SILENT_S, ProgressBoard, progress_line
from orastream.contract.delivery_progress import DeliveryProgress


def a_message(number: int = 1, **changes: Any) -> DeliveryProgress:
    fields = {"request_id": f"r{number}", "session_id": "s", "request_seq": number, "sent_ms": 2000, "acked_ms": 1000}
    return DeliveryProgress(**fields | {"played_ms": 500, "played_by": "played", "total_ms": 4000} | changes)


def test_a_line_says_what_was_played_acknowledged_and_sent() -> None:
    line = progress_line(a_message(retransmitted_bytes=12_345)).plain
    assert line.startswith("███▓▓▓▒▒▒▒▒▒············ s/r1 played 0.5 s · acknowledged 1.0 s · sent 2.0 s of 4.0 s")
    assert line.endswith("12,345 bytes sent again")
    assert "played ?" in progress_line(a_message(played_ms=None)).plain
    assert " of " not in progress_line(a_message(total_ms=None)).plain


MS = st.integers(0, 10_000)


@given(st.none() | MS, MS, MS, st.none() | MS)
def test_the_bar_has_always_the_same_length(played: int | None, acked: int, sent: int, total: int | None) -> None:
    line = progress_line(a_message(played_ms=played, acked_ms=acked, sent_ms=sent, total_ms=total)).plain
    bar, _, rest = line.partition(" s/r1 ")
    assert rest and len(bar) == BAR_CHARS


def test_control_characters_of_ids_are_escaped() -> None:
    assert "\x1b" not in progress_line(a_message(request_id="\x1b[2J")).plain


def test_a_delivery_is_shown_until_it_is_done_or_silent() -> None:
    board = ProgressBoard()
    assert not board and board.lines(0.0) == []
    board.received(a_message(2), 0.0)
    board.received(a_message(1), 1.0)
    assert [" s/r1 " in line.plain for line in board.lines(2.0)] == [True, False], "in the order of the requests"
    board.received(a_message(1, done=True), 2.0)
    assert len(board.lines(2.0)) == 1
    assert board.lines(SILENT_S) == [] and not board


def test_of_many_deliveries_some_are_shown() -> None:
    board = ProgressBoard()
    for number in range(100):
        board.received(a_message(number), number / 100)
    lines = [line.plain for line in board.lines(1.0)]
    assert len(lines) == MAX_LINES + 1 and lines[-1] == "… and more"
