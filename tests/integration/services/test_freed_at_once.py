"""Sessions that have ended leave nothing behind that only Python's cyclic collector frees.

Services run it rarely. Until then such objects would stay, with the messages that a session's feeds had buffered.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.service import lifecycle
from tests.support.inprocess import running_node
from tests.support.processes import until
from tests.support.services import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SESSIONS = 30
MAX_OBJECTS = 20
"""For each session. asyncio's own transport of a closed socket leaves 8 in a circle; uvloop's, in services, none.

One feed in a circle leaves 40.
"""
LONG = "안녕하세요. 오늘은 날씨가 아주 맑습니다. 어제는 비가 왔지만 지금은 하늘이 파랗습니다."


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Without the cyclic collector in the test."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
async def node(stack: Stack, client: Client) -> AsyncIterator[dict[str, lifecycle.Process]]:
    """The node in this process, and OraServer in another one, which keeps what it has received."""
    del client  # its fixture has created the streams
    try:
        await stack.start("oraserver")
        async with running_node(
            stack.nats_server.url, stack.oraserver_url, tts_engine_rtf=0.02, websocket_idle_seconds=0.2
        ) as processes:
            yield processes
    finally:
        stack.kill()


async def talk(client: Client, name: str, number: int) -> None:
    """A session of one utterance over the one or the other transport; one in three is cancelled."""
    accepted = await client.say(
        LONG,
        session_id=name,
        request_id="r",
        phone_id="p",
        use_websocket=bool(number % 2),
        fire_and_forget=True,
    )
    assert isinstance(accepted, Acceptance)
    if number % 3 == 0:
        await asyncio.sleep(0.1)
        await client.cancel(name)
    report = await client.wait(name, "r", 30)
    assert report.status == ("cancelled" if number % 3 == 0 else "delivered")


async def burst(client: Client, node: dict[str, lifecycle.Process], name: str) -> None:
    """Let the sessions talk, six at a time, and wait until no bridge has one."""
    slots = asyncio.Semaphore(6)

    async def one(number: int) -> None:
        async with slots:
            await talk(client, f"{name}{number}", number)

    async with asyncio.TaskGroup() as group:
        for number in range(SESSIONS):
            group.create_task(one(number))

    async def released() -> bool:
        shown = "".join(process.metrics.render().decode() for process in node.values())
        return all(f"orastream_{bridge}_sessions 0.0" in shown for bridge in ("ws_bridge", "http_bridge"))

    await until(released, "all sessions are released", timeout_s=30)
    await asyncio.sleep(1)


def found_by_the_collector() -> Counter[str]:
    """Run the collector. Returns how many objects of each type it has freed."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = Counter(type(each).__qualname__ for each in gc.garbage)
    gc.garbage.clear()
    return found


@pytest.mark.usefixtures("no_collector")
async def test_ended_sessions_leave_nothing_to_the_collector(
    client: Client, node: dict[str, lifecycle.Process], record_property: Callable[[str, object], None]
) -> None:
    await burst(client, node, "first")
    gc.collect()
    await burst(client, node, "second")
    found = found_by_the_collector()
    objects = found.total() / SESSIONS
    record_property("figure", f"objects for the collector per ended session: {objects:.1f} (at most {MAX_OBJECTS})")
    assert objects < MAX_OBJECTS, found.most_common(20)
