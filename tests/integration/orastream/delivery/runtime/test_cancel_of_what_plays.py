"""The wake-up of a cancel for which nothing is stored, at a bridge that does not own the session."""

from __future__ import annotations

import pytest

from orastream.delivery.runtime.ownership import Lease, OwnedBy, Owners
from orastream.delivery.runtime.wakeup_judge import Need, WakeupJudge
from orastream.jetstream.api import JetStream
from orastream.jetstream.pull_consumer import Delivery

pytestmark = pytest.mark.integration


async def cancelled(js: JetStream) -> Delivery:
    """Store a cancel, and return a wake-up for it."""
    ack = await js.store(js.names.cancel("s"), b"{}")
    return Delivery(js.broker, js.names.session_cancel("s"), b"{}", "nobody", ack.sequence, 0, 1)


async def is_stored(js: JetStream, delivery: Delivery) -> bool:
    return await js.get(js.names.sessions_stream, delivery.sequence) is not None


async def test_it_goes_to_the_living_owner_with_end_frames(js: JetStream) -> None:
    """The owner may have to end what plays. At rest it does not know of the cancel."""
    owner, other = Lease(js, "ws_bridge"), Lease(js, "ws_bridge")
    await owner.beat()
    assert not isinstance(await Owners(js, "ws_bridge", owner).take("s"), OwnedBy | None)
    owners = Owners(js, "ws_bridge", other)
    with_frames = WakeupJudge(js, "websocket", max_text_chars=100, player=owners.owner)
    delivery = await cancelled(js)
    assert await with_frames.need("s", delivery) is Need.PRESENT_OWNER and await is_stored(js, delivery)
    assert await owners.owner("s") == OwnedBy(owner.bridge)
    without = WakeupJudge(js, "websocket", max_text_chars=100)
    assert await without.need("s", delivery) is Need.NOTHING and not await is_stored(js, delivery)


async def test_without_a_living_owner_it_is_deleted(js: JetStream) -> None:
    """Else it would be delivered again and again."""
    owners = Owners(js, "ws_bridge", Lease(js, "ws_bridge"))
    judge = WakeupJudge(js, "websocket", max_text_chars=100, player=owners.owner)
    delivery = await cancelled(js)
    assert await judge.need("s", delivery) is Need.NOTHING and not await is_stored(js, delivery)
