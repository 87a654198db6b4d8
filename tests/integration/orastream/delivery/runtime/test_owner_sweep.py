"""Records that dead bridges have left are deleted; no others, and no bridge that takes a session is hurt."""

from __future__ import annotations

import asyncio

import pytest

from orastream.client.async_client import Client
from orastream.delivery.runtime import owner_sweep
from orastream.delivery.runtime.owner_sweep import OwnerSweep
from orastream.delivery.runtime.ownership import Lease, Owners
from orastream.jetstream import page_cursor
from orastream.jetstream.api import JetStream, Stored
from tests.support.names import NAMES
from tests.support.processes import until
from tests.support.services import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


def nothing(_session: str) -> bool:
    """It serves no session."""
    return False


async def sessions(js: JetStream) -> list[str]:
    """The sessions that have a record."""
    return sorted(
        message.subject.rpartition(".")[2]
        for message in await js.read(NAMES.owners_stream, NAMES.owner_keys, 0, batch=256)
    )


async def take(js: JetStream, session: str, *, alive: bool, kind: str = "ws_bridge") -> Lease:
    """A bridge takes a session; without a heartbeat it counts as dead."""
    lease = Lease(js, kind)
    if alive:
        await lease.beat()
    assert await Owners(js, kind, lease).take(session) is not None
    return lease


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_sweep, "CONFIRM_AFTER_S", 0.2)


async def test_only_what_dead_bridges_have_left(js: JetStream, client: Client) -> None:
    """Not the records of living bridges, those of the bridge itself, and those of sessions that have work."""
    await take(js, "dead", alive=False)
    await take(js, "dead-http", alive=False, kind="http_bridge")
    await take(js, "alive", alive=True)
    own = await take(js, "own", alive=False)
    await take(js, "work", alive=False)
    await client.say("a", session_id="work", phone_id="p")
    await take(js, "cancelled", alive=False)
    await client.cancel("cancelled")
    await js.store(NAMES.owner_key("ws_bridge", "junk"), b"junk")
    assert await OwnerSweep(js, own.bridge, {"own"}.__contains__).sweep() == 3
    assert await sessions(js) == ["alive", "cancelled", "own", "work"]
    assert await OwnerSweep(js, own.bridge, {"own"}.__contains__).sweep() == 0


async def test_a_record_of_its_own_without_a_session(js: JetStream) -> None:
    """The ack of its write was lost: the bridge has left the session to others, which see a living owner."""
    own = await take(js, "unknown", alive=True)
    assert await OwnerSweep(js, own.bridge, nothing).sweep() == 1
    assert await sessions(js) == []


async def test_a_bridge_that_is_back_in_time_keeps_its_sessions(js: JetStream) -> None:
    """Heartbeats expire while NATS is away, and are stored again within a second of its return."""
    lease = await take(js, "s", alive=False)
    sweeping = asyncio.create_task(OwnerSweep(js, "ws_bridge-other", nothing).sweep())
    await asyncio.sleep(0.1)
    await lease.beat()
    assert await sweeping == 0 and await sessions(js) == ["s"]


async def test_pages_go_on_where_the_last_sweep_ended(js: JetStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cursor, "PAGE", 2)
    monkeypatch.setattr(page_cursor, "MAX_PAGES", 2)
    for number in range(7):
        await take(js, f"s{number}", alive=False)
    sweep = OwnerSweep(js, "ws_bridge-other", nothing)
    assert [await sweep.sweep() for _ in range(2)] == [4, 3]


async def test_a_taker_whose_record_is_swept_takes_the_session(js: JetStream, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record disappears between its read and the write of the new one: `take` writes again."""
    await take(js, "s", alive=False)
    lease = Lease(js, "ws_bridge")
    await lease.beat()
    last = JetStream.last

    async def swept(self: JetStream, stream: str, subject: str) -> Stored | None:
        record = await last(self, stream, subject)
        if stream == NAMES.owners_stream and record is not None:
            monkeypatch.setattr(JetStream, "last", last)
            await js.delete(NAMES.owners_stream, record.sequence)
        return record

    monkeypatch.setattr(JetStream, "last", swept)
    ownership = await Owners(js, "ws_bridge", lease).take("s")
    assert ownership is not None and ownership.taken_over, "its writes are fenced as after every takeover"
    assert await OwnerSweep(js, "ws_bridge-other", nothing).sweep() == 0


async def test_the_records_of_killed_bridges(js: JetStream, client: Client, stack: Stack) -> None:
    """Six sessions of a bridge that was killed: the next bridge deletes their records soon after its start."""
    await stack.start("oraserver", "synth", "ws_bridge")
    for number in range(6):
        await client.say("네.", session_id=f"s{number}", phone_id="p", fire_and_forget=False)
    assert len(await sessions(js)) == 6

    async def tidied() -> bool:
        return await js.after(NAMES.sessions_stream, NAMES.session_events("*"), 0) is None

    await until(tidied, "all requests are deleted", timeout_s=5)
    stack.only("ws_bridge").kill()
    await stack.start("ws_bridge")

    async def none() -> bool:
        return await sessions(js) == []

    await until(none, "no record is left", timeout_s=25)
