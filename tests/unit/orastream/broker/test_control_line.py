"""Subjects that can be published to, and reply subjects that can be answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.broker import control_line
from orastream.contract.errors import PublishRefused
from orastream.contract.subjects import decoded

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "words", [("a" * 4001,), ("a" * 3000, "b" * 1001), ("\ud800",), (decoded(b"a.\xff"),), ("a", "\udcff")]
)
def test_check_refuses_subjects_that_no_server_accepts(words: tuple[str, ...]) -> None:
    with pytest.raises(PublishRefused) as caught:
        control_line.check(*words)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200


@given(st.binary(max_size=40))
def test_answerable_returns_a_reply_subject_that_can_be_encoded(reply: bytes) -> None:
    assert control_line.answerable(reply).encode() in (reply, b"")


def test_answerable_returns_nothing_for_a_reply_subject_that_cannot_be_sent() -> None:
    assert control_line.answerable(b"_INBOX.\xff") == control_line.answerable(b"a" * 4001) == ""
    assert control_line.answerable("_INBOX.안녕".encode()) == "_INBOX.안녕"
