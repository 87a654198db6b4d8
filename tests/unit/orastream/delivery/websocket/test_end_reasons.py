"""The reason in a close frame: as much of it as a close frame takes."""

from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.websocket.end_reasons import MAX_CLOSE_REASON_BYTES, in_close_frame


@given(st.text(max_size=200))
def test_a_reason_is_cut_between_characters(reason: str) -> None:
    cut = in_close_frame(reason)
    assert len(cut.encode()) <= MAX_CLOSE_REASON_BYTES and reason.startswith(cut)
    assert cut == reason or len(reason[: len(cut) + 1].encode()) > MAX_CLOSE_REASON_BYTES
