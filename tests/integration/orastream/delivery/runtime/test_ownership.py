"""Taking sessions by compare-and-set over a real nats-server."""

from __future__ import annotations

import asyncio

import pytest

from orastream.contract.errors import NodeUnavailable
from orastream.delivery.runtime.ownership import Lease, OwnedBy, Owners, Ownership
from orastream.jetstream.api import JetStream
from orastream.jetstream.topology import HEARTBEAT_LIFE_S
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = pytest.mark.integration


async def bridge(js: JetStream) -> tuple[Lease, Owners]:
    """A bridge that has just stored a heartbeat."""
    lease = Lease(js, "ws_bridge")
    await lease.beat()
    return lease, Owners(js, "ws_bridge", lease)


async def test_one_of_many_takes_a_session(js: JetStream) -> None:
    """Several bridges take a session at once: one gets it. After its release, the next take is not a takeover."""
    bridges = [await bridge(js) for _ in range(8)]
    taken = await asyncio.gather(*(owners.take("s") for _, owners in bridges))
    (winner,) = [number for number, ownership in enumerate(taken) if isinstance(ownership, Ownership)]
    ownership = taken[winner]
    assert isinstance(ownership, Ownership) and not ownership.taken_over
    owners = bridges[winner][1]
    assert await owners.still_ours(ownership)
    await owners.release(ownership)
    again = await bridges[winner - 1][1].take("s")
    assert isinstance(again, Ownership) and not again.taken_over and again.epoch > ownership.epoch
    assert not await owners.still_ours(ownership)


async def test_a_dead_owner_is_taken_over_and_a_living_one_is_not(js: JetStream) -> None:
    """An owner's record is valid while its heartbeat is stored."""
    dying, dead = await bridge(js)
    first = await dead.take("s")
    assert isinstance(first, Ownership)
    lease, other = await bridge(js)
    assert await other.take("s") == OwnedBy(dying.bridge)

    second: Ownership | OwnedBy | None = None

    async def took() -> bool:
        await lease.beat()
        nonlocal second
        second = await other.take("s")
        return isinstance(second, Ownership)

    await until(took, "the dead owner's session is taken", timeout_s=HEARTBEAT_LIFE_S * 4, poll_s=0.2)
    assert isinstance(second, Ownership) and second.taken_over and second.epoch > first.epoch
    await dead.release(first)
    assert await other.still_ours(second), "a former owner's release took the record away"


async def test_a_lease_ends_before_its_heartbeat(js: JetStream) -> None:
    """After `end` it allows no write either."""
    lease, _ = await bridge(js)
    now = asyncio.get_running_loop().time()
    assert lease.term.valid(now)
    assert not lease.term.valid(now + HEARTBEAT_LIFE_S)
    await lease.end()
    assert not lease.term.valid(now)


@pytest.mark.parametrize(
    "junk", [b'{"stream":"TTS_SESSIONS","seq":7}', b"\xff", b"[]", b'{"owner":7}', b'{"owner":"a.b"}']
)
async def test_a_record_that_is_none_is_written_over(js: JetStream, junk: bytes) -> None:
    """Any publisher can name the record's key as its reply subject; the server then stores its ack there."""
    await js.store(NAMES.owner_key("ws_bridge", "s"), junk)
    _, owners = await bridge(js)
    ownership = await owners.take("s")
    assert isinstance(ownership, Ownership) and ownership.taken_over


async def test_what_could_not_be_released_is_released_later(nats_server: NatsServer, js: JetStream) -> None:
    """NATS was not running when the session was released."""
    _, owners = await bridge(js)
    ownership = await owners.take("s")
    assert isinstance(ownership, Ownership)
    nats_server.kill()
    with pytest.raises(NodeUnavailable):
        async with asyncio.timeout(30):
            await owners.release(ownership)
    await nats_server.start()
    await owners.release_late()
    assert await js.last(NAMES.owners_stream, NAMES.owner_key("ws_bridge", "s")) is None


async def test_a_heartbeat_after_a_bridge_was_called_gone_counts_again(js: JetStream) -> None:
    """It lives after all: no other bridge may take its sessions from now on."""
    lease, owners = await bridge(js)
    ownership = await owners.take("s")
    assert isinstance(ownership, Ownership)
    _, other = await bridge(js)
    assert await other.alive(lease.bridge)
    await other.gone(lease.bridge)
    assert not await other.alive(lease.bridge), "its last heartbeat counts no longer, although it is stored"
    await lease.beat()
    assert await other.alive(lease.bridge) and await other.take("s") == OwnedBy(lease.bridge)
    assert await owners.still_ours(ownership)


async def test_the_sessions_of_a_bridge_are_those_of_its_kind(js: JetStream) -> None:
    lease, owners = await bridge(js)
    _, other = await bridge(js)
    http = Owners(js, "http_bridge", lease)
    for session in ("a", "b"):
        assert await owners.take(session) is not None
    assert await http.take("c") is not None and await other.take("d") is not None
    assert [session async for session in owners.sessions_of(lease.bridge)] == ["a", "b"]
