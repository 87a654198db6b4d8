"""Which waiting requests count as cancelled in a synth's load."""

from __future__ import annotations

import json

import pytest

from orastream.broker import Broker
from orastream.contract.names import Names
from orastream.jetstream.api import JetStream
from orastream.jetstream.pull_consumer import Delivery
from services.synth.queue.fair_queue import FairQueue
from services.synth.queue.load_report import LoadReport
from services.synth.queue.pace import Pace
from services.synth.queue.queued_request import QueuedRequest, queued_request
from services.synth.queue.slots import Slots
from services.synth.settings import SynthSettings

pytestmark = pytest.mark.unit

UNCONNECTED = Broker("nats://127.0.0.1:1", name="test")


def queued(session: str, second: int, **fields: object) -> QueuedRequest:
    """A request of the session that was stored at this second."""
    body = {"text": "a", "sessionId": session, "phoneId": "p", **fields}
    subject = f"tts.session.{session}.request"
    delivery = Delivery(UNCONNECTED, subject, json.dumps(body).encode(), "", second, second * 10**9, 1)
    return queued_request(session, delivery, Names("tts"), SynthSettings())


async def test_what_a_later_request_of_its_session_supersedes_counts_as_cancelled() -> None:
    load = LoadReport(JetStream(UNCONNECTED), "synth", Slots(1, 0, 0), FairQueue(), Pace(None), lambda: True)
    old, other, new, late = (
        queued("s", 1),
        queued("another", 1),
        queued("s", 2, supersede=True),
        queued("s", 1, supersede=True),
    )
    for request in (old, other):
        load.queued(request)
        assert not load.cancelled(request)
    for request in (new, late):  # an earlier one comes again
        load.queued(request)
    assert [load.cancelled(request) for request in (old, late, other, new)] == [True, True, False, False]


async def test_load_has_no_slots_while_no_engine_process_can_speak() -> None:
    speaks = True
    load = LoadReport(JetStream(UNCONNECTED), "synth", Slots(2, 0, 0), FairQueue(), Pace(None), lambda: speaks)
    assert (load.load().slots, load.load().free) == (2, 2)
    speaks = False
    assert (load.load().slots, load.load().free, load.load().work_s) == (0, 0, 0.0)
