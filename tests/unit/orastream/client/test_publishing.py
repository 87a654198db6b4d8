"""Message ids that nobody else can know, and the errors for what a stream refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.client.publishing import message_id, refusal
from orastream.contract import subjects
from orastream.contract.errors import InvalidRequest, NodeUnavailable, Overloaded, PublishRefused, StreamFull

pytestmark = pytest.mark.unit

TOKENS = st.text(min_size=1, max_size=20).filter(lambda text: subjects.untoken(subjects.token(text)) == text)


def valid(text: str) -> bool:
    try:
        subjects.check_id(text, "id")
    except InvalidRequest:
        return False
    return True


IDS = st.text(min_size=1, max_size=20).filter(valid)


@given(IDS, IDS, st.none() | st.integers(0, 9), IDS, IDS, st.none() | st.integers(0, 9))
def test_ids_are_equal_only_for_the_same_message(
    s1: str, r1: str, i1: int | None, s2: str, r2: str, i2: int | None
) -> None:
    """A request and the pieces of its text, of any sessions."""
    one, other = (
        message_id(*subjects.tokens(session, request), *([] if index is None else [index]))
        for session, request, index in ((s1, r1, i1), (s2, r2, i2))
    )
    assert (one == other) == ((s1, r1, i1) == (s2, r2, i2))


def test_another_process_has_other_ids() -> None:
    """Otherwise another caller could compute the id of a request and send it first."""
    code = "from orastream.client.publishing import message_id; print(message_id('victim', 'order-17'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    theirs = done.stdout.strip()
    assert len(theirs) == 32
    assert theirs != message_id("victim", "order-17") == message_id("victim", "order-17")


@pytest.mark.parametrize(
    ("refused", "kind", "says"),
    [
        (StreamFull("x", 10077, "maximum messages per subject exceeded"), Overloaded, "session s has no room"),
        (StreamFull("x", 10077, "maximum bytes exceeded"), Overloaded, "the node has no room"),
        (StreamFull("x", 10023, "insufficient resources"), Overloaded, "the node has no room"),
        (PublishRefused("x", 10054, "message size exceeds maximum allowed"), InvalidRequest, "text: the request has"),
        (PublishRefused("x", 10109, "invalid operation on sealed stream"), NodeUnavailable, "sealed"),
    ],
)
def test_refusal_names_what_is_full_or_too_large(refused: PublishRefused, kind: type[Exception], says: str) -> None:
    error = refusal("the request", "s", refused)
    assert type(error) is kind and says in str(error)
    assert error.retryable == (kind is not InvalidRequest)
