"""The server's clock, estimated from the answers of a real nats-server."""

from __future__ import annotations

import time

import pytest

from orastream.broker import Broker
from orastream.jetstream import management
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.names import NAMES

pytestmark = pytest.mark.integration

SLACK_S = 0.001
"""The server rounds no time, but this host's clock and its monotonic clock are not read at the same moment."""


async def test_after_the_start_the_clock_is_known_although_no_stream_existed(broker: Broker) -> None:
    js = JetStream(broker)
    await StreamKeeper(js, StreamLimits(audio_max_bytes=64 << 20)).ensure()
    assert js.clock.known


async def test_the_times_of_stored_messages_are_within_the_round_trip(js: JetStream) -> None:
    """The server runs on this host, so its clock is known."""
    began = time.monotonic()
    await management.stream_info(js, NAMES.sessions_stream)
    bound_s = (time.monotonic() - began) / 2 + SLACK_S
    assert abs(js.clock.skew_s()) <= bound_s
    before_s = js.clock.now_s()
    ack = await js.store(NAMES.request("s"), b"")
    after_s = js.clock.now_s()
    stored = await js.get(NAMES.sessions_stream, ack.sequence)
    assert stored is not None
    assert before_s - bound_s <= stored.time_s <= after_s + bound_s
    assert 0 <= js.clock.age_s(stored.time_s) <= js.clock.now_s() - before_s + bound_s


async def test_the_answer_names_the_leader_and_has_nanoseconds(js: JetStream) -> None:
    answer = await management.stream_info(js, NAMES.sessions_stream)
    sample = management.time_sample(answer, 0.0, 1.0)
    assert sample is not None and sample.server == answer["cluster"]["leader"] != ""
    assert len(answer["ts"].partition(".")[2]) >= 7, "micro- or nanoseconds"


@pytest.mark.parametrize("stream", [NAMES.audio_stream, NAMES.reports_stream])
async def test_other_streams_are_no_sample(broker: Broker, stream: str, js: JetStream) -> None:
    """In a cluster another server may lead them."""
    other = JetStream(broker)
    await management.stream_info(other, stream)
    assert not other.clock.known
