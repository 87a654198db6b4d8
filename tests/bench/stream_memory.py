"""Memory of ws_bridge for an idle session, and for one in work, over protocol v1 and v2."""

from __future__ import annotations

import asyncio
import contextlib

from orastream.delivery.rules.lifetime import REST_AFTER_S
from tests.bench.contenders import WsBridge
from tests.bench.load import Load, Plan
from tests.bench.measure import number, table
from tests.bench.processes import NatsServer, Sink
from tests.bench.sessions import resident_kb

FIRST_SESSIONS, AT_ONCE, OPENED_PER_S = 20, 20, 50
CHUNK_BYTES = 24 << 10
SETTLE_S = REST_AFTER_S + 2.0
IN_WORK_S = 1.0
IDLE_S = 110.0
"""WEBSOCKET_IDLE_SECONDS: longer than the measurement takes."""


async def measure(sessions: int) -> tuple[str, str]:
    """The table, and the line about the goal: over v2 an idle session takes less than over v1."""
    kb = {protocol: await _held_kb(protocol, sessions) for protocol in ("v1", "v2")}
    rows = [[f"{protocol}, {sessions} sessions", *(number(value, 1) for value in kb[protocol])] for protocol in kb]
    idle = [kb[protocol][0] for protocol in ("v1", "v2")]
    verdict = "met" if idle[1] < idle[0] else "MISSED"
    return (
        table(["memory of ws_bridge", "KB an idle session", "KB more for one in work"], rows),
        f"goal {verdict}: an idle session takes {idle[1]:.1f} KB over v2, {idle[0]:.1f} KB over v1 (less)",
    )


async def _held_kb(protocol: str, sessions: int) -> tuple[float, float]:
    """KB of an idle session, and how much more each one takes in mid-utterance."""
    bridge = WsBridge(ORASERVER_PROTOCOL=protocol, WEBSOCKET_IDLE_SECONDS=IDLE_S)
    plan = Plan(CHUNK_BYTES, 2, sessions=FIRST_SESSIONS + sessions, ahead=1_000_000, requests=True)
    async with NatsServer() as server, Sink("--streams", "--chunk-bytes", str(CHUNK_BYTES)) as sink:
        async with Load(server.url, sink.address, plan) as load:
            await bridge.start(server.url, sink.ws_url)
            try:
                (pid,) = bridge.pids
                await _say(load, range(FIRST_SESSIONS))
                await asyncio.sleep(SETTLE_S)
                before_kb = resident_kb(pid)
                for index in range(sessions):
                    await _say(load, [FIRST_SESSIONS + index])
                    await asyncio.sleep(1 / OPENED_PER_S)
                await asyncio.sleep(SETTLE_S)
                idle_kb = resident_kb(pid)
                return (idle_kb - before_kb) / sessions, (await _in_work_kb(load, pid, sessions) - idle_kb) / sessions
            finally:
                await bridge.stop()


async def _say(load: Load, indexes: range | list[int]) -> None:
    """One utterance of two chunks in each session."""

    async def one(index: int) -> None:
        async with load.utterance(index, 2) as put:
            await put(0)
            await put(1)

    await asyncio.gather(*map(one, indexes))
    await load.all_arrived()


async def _in_work_kb(load: Load, pid: int, sessions: int) -> int:
    """The memory of the process while each session has an utterance of which two chunks have come, and no end."""
    async with contextlib.AsyncExitStack() as stack:
        for at in range(0, sessions, AT_ONCE):
            several = range(at, min(at + AT_ONCE, sessions))
            opened = [stack.enter_async_context(load.utterance(FIRST_SESSIONS + index, 2)) for index in several]
            for put in await asyncio.gather(*opened):
                await put(0)
                await put(1)
        await load.window.flush()
        await asyncio.sleep(IN_WORK_S)
        found = resident_kb(pid)
    await load.all_arrived()
    return found
