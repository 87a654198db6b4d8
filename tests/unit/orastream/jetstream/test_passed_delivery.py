"""A delivery that one bridge passes on to another: it can be acked there, and nothing else gets through."""

from __future__ import annotations

import base64
import json

import pytest

from orastream.broker import Broker
from orastream.contract.stored_requests import StoredCancel, read_message
from orastream.jetstream.passed_delivery import NOT_PASSED, passed, passed_delivery
from orastream.jetstream.pull_consumer import Delivery
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

NOBODY = Broker("nats://127.0.0.1:1", name="test")
ACK = "$JS.ACK.TTS_SESSIONS.ws_bridge.2.17.5.1700000000000000000.0"


def test_the_receiver_can_ack_the_same_delivery() -> None:
    delivery = Delivery(NOBODY, "tts.session.s.request", b"text", ACK, 17, 1_700_000_000_000_000_000, 2)
    received = passed_delivery(NOBODY, passed(delivery), "ws_bridge")
    assert received is not None
    assert (received.subject, received.reply, received.sequence, received.delivered) == (
        delivery.subject,
        ACK,
        17,
        2,
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        {"subject": "tts.session.s.request"},
        {"subject": 1, "ack": ACK},
        {"subject": "tts.session.s.request", "ack": 1},
        {"subject": "tts.session.s.request", "ack": "$JS.API.STREAM.DELETE.TTS_SESSIONS"},
        {"subject": "tts.session.s.request", "ack": ACK.replace("ws_bridge", "synth")},
        {"subject": "tts.session.s.request", "ack": ACK.replace("TTS_SESSIONS", "OTHER")},
    ],
)
def test_anything_else_is_ignored(body: bytes | dict[str, object]) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert passed_delivery(NOBODY, data, "ws_bridge") is None


def test_the_message_of_a_request_is_never_taken_from_another_process() -> None:
    body = {"subject": "tts.session.s.request", "ack": ACK, "data": base64.b64encode(b"{}").decode()}
    received = passed_delivery(NOBODY, json.dumps(body).encode(), "ws_bridge")
    assert received is not None and received.data == NOT_PASSED


@pytest.mark.parametrize("data", [b"", b"{}", b'{"requestId":"r"}', b"\xff"])
def test_a_cancel_is_passed_with_its_message(data: bytes) -> None:
    """A bridge of the other kind may delete it before its new holder reads it."""
    delivery = Delivery(NOBODY, "tts.session.s.cancel", data, ACK, 17, 1_700_000_000_000_000_000, 2)
    received = passed_delivery(NOBODY, passed(delivery), "ws_bridge")
    assert received is not None and received.data == data


@pytest.mark.parametrize("data", [b"{" + b" " * 2000 + b"}", None])
def test_a_cancel_without_its_message_cancels_nothing(data: bytes | None) -> None:
    """It is too long, or from a bridge of an earlier version. An empty message would cancel the whole session."""
    subject = "tts.session.s.cancel"
    delivery = Delivery(NOBODY, subject, data or b"", ACK, 17, 1_700_000_000_000_000_000, 2)
    body = passed(delivery) if data else json.dumps({"subject": subject, "ack": ACK}).encode()
    received = passed_delivery(NOBODY, body, "ws_bridge")
    assert received is not None
    stored = read_message(received, NAMES, max_text_chars=100)
    assert isinstance(stored, StoredCancel) and stored.cancel is None
