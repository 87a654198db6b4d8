"""`parse_delivery` distinguishes a consumer's deliveries from other messages in the same inbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.broker import Broker
from orastream.jetstream.pull_consumer import parse_delivery

pytestmark = pytest.mark.unit

BUS = Broker("nats://127.0.0.1:1", name="test")


@pytest.mark.parametrize(
    "reply",
    ["$JS.ACK.S.synth.2.7.5.1000.0", "$JS.ACK._.ACCOUNT.S.synth.2.7.5.1000.0", "$JS.ACK.d.A.S.synth.2.7.5.1000.0.x"],
)
def test_parse_delivery_reads_a_delivery(reply: str) -> None:
    delivery = parse_delivery(BUS, "tts.session.s.request", reply, b"")
    assert delivery is not None
    assert (delivery.delivered, delivery.sequence, delivery.time_ns) == (2, 7, 1000)


@pytest.mark.parametrize(
    "reply",
    ["", "_INBOX.x", "$JS.ACK", "$JS.ACK.S.synth.2.7.5", "$JS.ACK.S.synth.2.-7.5.1000.0", "x.y.S.synth.2.7.5.1000.0"]
    + ["$JS.ACK.S.synth.2.\xb2.5.1000.0", "$JS.ACK.S.synth.2.\udcff.5.1000.0", "$JS.ACK.S.synth.2..5.1000.0"],
)
def test_parse_delivery_returns_none_for_other_messages(reply: str) -> None:
    """A status of the server, or a message that another client sent to the inbox."""
    assert parse_delivery(BUS, "tts.session.s.request", reply, b"") is None


@given(
    st.text(max_size=60) | st.lists(st.text(max_size=4), max_size=14).map(lambda parts: "$JS.ACK." + ".".join(parts))
)
def test_parse_delivery_raises_for_no_reply_subject(reply: str) -> None:
    parse_delivery(BUS, "s", reply, b"")
