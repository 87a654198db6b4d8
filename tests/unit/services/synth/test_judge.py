"""How the requests of a full queue are read: one in each round of the event loop, and each once."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from orastream.broker import Broker
from orastream.contract.names import Names
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.pull_consumer import Delivery
from services.synth.judge import Judge
from services.synth.queue.fair_queue import FairQueue
from services.synth.queue.queued_request import QueuedRequest, queued_request
from services.synth.settings import SynthSettings

pytestmark = pytest.mark.unit

UNCONNECTED = Broker("nats://127.0.0.1:1", name="test")
CONTEXT: Any = SimpleNamespace(engine=SimpleNamespace(name="espeak"))
SLOW = "<speak>a" + "<s/>" * 1240 + "</speak>"


class World:
    """A queue, its judge, and the requests that were read."""

    def __init__(self) -> None:
        self.queue: FairQueue[QueuedRequest] = FairQueue()
        self.judge = Judge(CONTEXT, self.queue, lambda _: pytest.fail("no job"), lambda: None, lambda: None)
        self.reads: list[int] = []

    def delivered(self, sequence: int) -> QueuedRequest:
        """A request that is put into the queue."""
        body = {"text": SLOW, "ssml": True, "sessionId": "s", "phoneId": "p"}
        data = json.dumps(body).encode()
        delivery = Delivery(UNCONNECTED, "tts.session.s.request", data, "", sequence, 10**9, 1)
        request = queued_request("s", delivery, Names("tts"), SynthSettings())
        read = request.read

        def counted() -> StoredRequest:
            self.reads.append(sequence)
            return read()

        request.read = counted
        self.queue.put("s", sequence, request)
        return request


async def test_a_full_queue_is_read_one_request_in_each_round_of_the_event_loop() -> None:
    world, at_once = World(), 0
    reading = [asyncio.create_task(world.judge.read(world.delivered(sequence))) for sequence in range(20)]
    assert world.reads == [], "a request was read when it came"
    while not all(task.done() for task in reading):
        before = len(world.reads)
        await asyncio.sleep(0)
        at_once = max(at_once, len(world.reads) - before)
    assert (world.reads, at_once, len(world.queue)) == (list(range(20)), 1, 20)


async def test_a_request_that_can_be_spoken_is_read_once_and_one_that_has_left_the_queue_is_not_read() -> None:
    world = World()
    await world.judge.read(world.delivered(1))
    await world.judge.read(world.delivered(1))  # it was nak'ed, and is delivered again
    gone = world.delivered(2)
    world.queue.discard("s", 2, gone)
    await world.judge.read(gone)
    assert world.reads == [1]
