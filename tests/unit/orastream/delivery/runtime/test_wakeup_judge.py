"""Which wake-ups a bridge acks without reading the whole request: those that name the other transport, and no other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.broker import Broker
from orastream.contract.messages import Transport
from orastream.contract.stored_requests import StoredRequest, read_stored
from orastream.delivery.rules.wakeup import Step, first_step
from orastream.delivery.runtime.wakeup_judge import WakeupJudge
from orastream.jetstream.api import JetStream
from orastream.jetstream.pull_consumer import Delivery
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

BRIDGES: tuple[Transport, Transport] = ("websocket", "http")
UNCONNECTED = Broker("nats://127.0.0.1:1", name="test")
VALUES = st.sampled_from([None, True, False, "websocket", "http", "none", "auto", 1, 0, "", "WebSocket"])


def delivery(data: bytes, *, kind: str = "request", delivered: int = 1) -> Delivery:
    return Delivery(UNCONNECTED, f"tts.session.s.{kind}", data, "", 7, 0, delivered)


def for_another(of: Delivery, transport: Transport) -> bool:
    judge = WakeupJudge(JetStream(UNCONNECTED), transport, max_text_chars=100)
    return judge.is_for_another(of)


def body(**fields: Any) -> bytes:
    return json.dumps({"text": "Good.", "sessionId": "s", "phoneId": "p", **fields}).encode()


@given(VALUES, VALUES, st.sampled_from(["Good.", "", None]), st.integers(1, 3))
def test_it_agrees_with_the_whole_request_and_never_for_both_bridges(
    transport: object, use_websocket: object, text: str | None, delivered: int
) -> None:
    fields = {"transport": transport, "use_websocket": use_websocket, "text": text}
    of = delivery(body(**{name: value for name, value in fields.items() if value is not None}), delivered=delivered)
    stored = read_stored(NAMES, of.subject, of.sequence, 0.0, of.data, max_text_chars=100)
    assert isinstance(stored, StoredRequest)
    acked = [bridge for bridge in BRIDGES if for_another(of, bridge)]
    assert len(acked) < len(BRIDGES), "else nobody would deliver it"
    if stored.request is not None:
        assert acked == [
            bridge for bridge in BRIDGES if first_step(stored.stated_transport, bridge, delivered) is Step.ACK
        ]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", body(), body(transport="none")])
def test_what_names_no_transport_or_cannot_be_read_needs_a_closer_look(data: bytes) -> None:
    assert not any(for_another(delivery(data), bridge) for bridge in BRIDGES)


def test_a_cancel_is_no_request() -> None:
    assert not any(for_another(delivery(body(transport="http"), kind="cancel"), bridge) for bridge in BRIDGES)
    assert for_another(delivery(body(transport="http"), kind="request-shop"), "websocket")


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_one_that_supersedes_needs_a_closer_look_at_the_other_bridge_too(transport: str) -> None:
    """The owner of the session there may have to end what it delivers, or what plays."""
    assert not any(for_another(delivery(body(transport=transport, supersede=True)), bridge) for bridge in BRIDGES)
    assert any(for_another(delivery(body(transport=transport, supersede=False)), bridge) for bridge in BRIDGES)
