"""Faults of OraServer: each one is recorded as lasting until OraServer has answered that it is over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.chaos.composed.faults import Faults
from tests.chaos.composed.node import Node
from tests.chaos.composed.schedule import Fault

pytestmark = pytest.mark.unit


class Receiver:
    """An OraServer that does not answer while it is deaf."""

    def __init__(self) -> None:
        self.deaf = False
        self.faults: list[dict[str, Any]] = []

    async def misbehave(self, **faults: object) -> None:
        await asyncio.sleep(0.01)
        if self.deaf:
            raise TimeoutError
        self.faults.append(faults)


def faults_of(receiver: Receiver) -> Faults:
    """The faults of a node that has nothing but that receiver."""
    node = SimpleNamespace(misbehave=receiver.misbehave, server_lock=asyncio.Lock())
    return Faults(cast(Node, node))


async def test_a_fault_lasts_until_the_receiver_has_answered_its_end() -> None:
    """It refused for longer than the record said, so failures of that time were judged as violations."""
    receiver = Receiver()
    faults = faults_of(receiver)
    running = asyncio.create_task(faults.run([Fault(0.0, 0.1, "receiver_403", "oraserver")]))
    await asyncio.sleep(0.05)
    assert receiver.faults == [{"ws_status": 403, "http_status": 403}]
    receiver.deaf = True
    await asyncio.sleep(0.3)
    receiver.deaf = False
    assert not running.done()
    await running
    (record,) = faults.done
    assert receiver.faults[-1] == {}
    assert record.ended - record.began >= 0.3 and not record.failed


async def test_a_fault_that_the_receiver_never_had_has_failed() -> None:
    receiver = Receiver()
    receiver.deaf = True
    faults = faults_of(receiver)
    running = asyncio.create_task(faults.run([Fault(0.0, 0.05, "receiver_403", "oraserver")]))
    await asyncio.sleep(0.2)
    receiver.deaf = False
    await running
    (record,) = faults.done
    assert record.failed and {"ws_status": 403, "http_status": 403} not in receiver.faults
