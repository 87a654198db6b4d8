"""The wake-up of a cancel for which nothing is stored, at a bridge that does not own the session."""

from __future__ import annotations

import pytest

from orastream.contract.messages import Transport
from orastream.delivery.runtime.ownership import Lease, OwnedBy, Owners
from orastream.delivery.runtime.wakeup_judge import Need, WakeupJudge
from orastream.jetstream.api import JetStream
from orastream.jetstream.pull_consumer import Delivery
from tests.support.heard import a_record, put_record

pytestmark = pytest.mark.integration

TRANSPORTS: tuple[Transport, Transport] = ("websocket", "http")


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


async def test_it_needs_an_owner_while_a_record_of_what_is_heard_is_not_done(js: JetStream) -> None:
    """Also if the bridge that has written it has ended: else the record stays as it is, and who has cancelled waits."""
    ws, http = (WakeupJudge(js, kind, max_text_chars=100, records=True) for kind in TRANSPORTS)
    await put_record(js, a_record("s", "r1", 1, done=False))
    delivery = await cancelled(js)
    assert await ws.need("s", delivery) is Need.OWNER and await is_stored(js, delivery)
    await Lease(js, "ws_bridge").beat()
    assert await http.need("s", delivery) is Need.NOTHING and await is_stored(js, delivery), "the ws_bridge deletes it"
    await put_record(js, a_record("s", "r1", 1))
    assert await ws.need("s", delivery) is Need.NOTHING and not await is_stored(js, delivery)


async def test_a_record_that_is_not_done_is_no_reason_to_keep_a_cancel_without_any_ws_bridge(js: JetStream) -> None:
    await put_record(js, a_record("s", "r1", 1, done=False))
    delivery = await cancelled(js)
    judge = WakeupJudge(js, "http", max_text_chars=100, records=True)
    assert await judge.need("s", delivery) is Need.NOTHING and not await is_stored(js, delivery)
