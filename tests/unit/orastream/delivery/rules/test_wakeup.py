"""Which wake-ups need an owner, and when a cancel may be deleted: all cases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.messages import Transport
from orastream.delivery.rules.wakeup import Step, by_claim, cancel_is_applied, first_step, if_stored

pytestmark = pytest.mark.unit

FIRST: list[tuple[Transport | None, int, Step]] = [
    ("websocket", 1, Step.OWN),
    ("websocket", 2, Step.ASK_STORED),
    ("http", 1, Step.ACK),
    ("http", 5, Step.ACK),
    (None, 1, Step.ASK_REPORT),
    (None, 2, Step.ASK_STORED),
    ("none", 1, Step.NAK),
    ("none", 2, Step.ASK_STORED),
]


@pytest.mark.parametrize(("stated", "delivered", "step"), FIRST)
def test_what_is_done_first(stated: Transport | None, delivered: int, step: Step) -> None:
    """The steps of ws_bridge."""
    assert first_step(stated, "websocket", delivered) is step


@pytest.mark.parametrize(
    ("stated", "stored", "step"),
    [
        ("websocket", True, Step.OWN),
        (None, True, Step.ASK_REPORT),
        ("none", True, Step.ASK_REPORT),
        ("websocket", False, Step.ACK),
        (None, False, Step.ACK),
        ("none", False, Step.ACK),
    ],
)
def test_a_request_that_is_not_stored_any_more_needs_no_owner(
    stated: Transport | None, stored: bool, step: Step
) -> None:
    assert if_stored(stated, stored) is step


@pytest.mark.parametrize(
    ("claimed", "step"),
    [("websocket", Step.OWN), (None, Step.OWN), ("http", Step.ACK), ("none", Step.ACK)],
)
def test_the_claim_says_who_delivers_what_leaves_it_open(claimed: Transport | None, step: Step) -> None:
    """A request that no synth has claimed needs an owner, which ends it when it expires."""
    assert by_claim(claimed, "websocket") is step


@given(st.integers(1, 100), st.sets(st.integers(1, 100)))
def test_a_cancel_is_deleted_once_no_request_before_it_is_stored(cancel: int, requests: set[int]) -> None:
    before = {request for request in requests if request < cancel}
    requests.discard(cancel)
    assert cancel_is_applied(cancel, min(requests, default=None)) is not bool(before)
