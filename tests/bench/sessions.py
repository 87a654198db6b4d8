"""What sessions cost ws_bridge and nats-server when nothing is said in them, and what a session's past costs."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from orastream.contract.messages import Report
from orastream.delivery.rules.lifetime import REST_AFTER_S
from tests.bench.contenders import WsBridge
from tests.bench.load import Load, Plan, Stalled
from tests.bench.measure import cpu_seconds, median, number, percentile, table
from tests.bench.processes import NatsServer, Sink
from tests.support.names import NAMES

SESSIONS = 1_000
FIRST_SESSIONS = 20
CHUNK_BYTES = 8 << 10
AT_ONCE = 20
SETTLE_S = REST_AFTER_S + 3.0
OPENED_PER_S = 25
"""Sessions that begin in a second. Those that begin at the same time as others need the memory of one that speaks."""
WATCHED_S = 20.0
MANY_SESSIONS, MANY_OPENED_PER_S = 10_000, 80
IDLE_S = 110.0
"""WEBSOCKET_IDLE_SECONDS: longer than it takes to open all sessions and to watch them."""
GIVEN_BACK_S = 60.0

CPU_GOAL = 0.01
MEMORY_GOAL_KB = 20.0
BACK_GOAL = 0.5
"""Most of the memory of ended sessions that may be left after GIVEN_BACK_S seconds, as a share of what they took."""

PAST = 1_200
PAIRS = 10
PASSED_S = 15.0
"""How long ago the past is."""
PAST_GOAL = 1.2


@asynccontextmanager
async def _bridge(sessions: int, **settings: object) -> AsyncIterator[tuple[NatsServer, WsBridge, Load]]:
    bridge = WsBridge(**settings)
    plan = Plan(CHUNK_BYTES, 2, sessions=FIRST_SESSIONS + sessions, ahead=1_000_000, requests=True)
    async with NatsServer() as server, Sink() as sink, Load(server.url, sink.address, plan) as load:
        await bridge.start(server.url, sink.ws_url)
        try:
            yield server, bridge, load
        finally:
            await bridge.stop()


async def _say(load: Load, indexes: Iterable[int]) -> None:
    """One utterance of two chunks in each session."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(index: int) -> None:
        async with limit, load.utterance(index, 2) as put:
            await put(0)
            await put(1)

    await asyncio.gather(*map(one, indexes))
    await load.all_arrived()


def resident_kb(pid: int) -> int:
    """The resident memory of a process, in KiB."""
    found = re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


@dataclass(frozen=True, slots=True)
class _Held:
    """What idle sessions take."""

    sessions: int
    shares: tuple[float, float]
    """Of a core: ws_bridge and nats-server."""
    held_kb: int

    @property
    def missed(self) -> bool:
        """Whether a goal was missed."""
        return max(self.shares) > CPU_GOAL * self.sessions / SESSIONS or self.held_kb / self.sessions > MEMORY_GOAL_KB

    @property
    def row(self) -> list[str]:
        """Its cells in the table."""
        shares = (f"{share * 100:.2f}" for share in self.shares)
        return [str(self.sessions), *shares, number(self.held_kb / self.sessions, 1)]


HELD = ["idle sessions", "ws_bridge, % of a core", "nats-server, %", "KB a session"]
HELD_GOAL = f"{CPU_GOAL:.0%} of a core for {SESSIONS} sessions, {MEMORY_GOAL_KB:g} KB a session"


async def idle() -> tuple[str, bool]:
    """CPU and memory of idle sessions, what is left of the memory after their end, and whether a goal was missed."""
    async with _bridge(SESSIONS, WEBSOCKET_IDLE_SECONDS=IDLE_S) as (server, bridge, load):
        (pid,) = bridge.pids
        held, before_kb = await _held(server, bridge, load, SESSIONS, OPENED_PER_S)
        await _gone(bridge, IDLE_S + 30)
        ended = time.monotonic()
        while resident_kb(pid) - before_kb > BACK_GOAL * held.held_kb and time.monotonic() - ended < GIVEN_BACK_S:
            await asyncio.sleep(1)
        left_kb = resident_kb(pid) - before_kb
    missed = held.missed or left_kb > BACK_GOAL * held.held_kb
    row = [*held.row, number(left_kb / SESSIONS, 1), number(time.monotonic() - ended, 0)]
    goal = f"goals: {HELD_GOAL}, at most half of it left {GIVEN_BACK_S:g} s after their end"
    return f"{table([*HELD, 'left after the end, KB', 's'], [row])}\n{goal}: {'MISSED' if missed else 'met'}", missed


async def many_idle() -> tuple[str, bool]:
    """CPU and memory of as many idle sessions as a bridge may own, first audio among them, and a goal missed."""
    async with _bridge(MANY_SESSIONS, WEBSOCKET_IDLE_SECONDS=3600, BRIDGE_MAX_SESSIONS=MANY_SESSIONS + 100) as (
        server,
        bridge,
        load,
    ):
        held, _ = await _held(server, bridge, load, MANY_SESSIONS, MANY_OPENED_PER_S)
        began_ns: dict[int, int] = {}
        for index in range(0, MANY_SESSIONS, MANY_SESSIONS // 100):
            began_ns[FIRST_SESSIONS + index] = time.monotonic_ns()
            await _say(load, [FIRST_SESSIONS + index])
        arrived_ns = await load.sessions_ns()
    late_ms = [(arrived_ns[f"bench-{index}"][2] - at) / 1e6 for index, at in began_ns.items()]
    row = [*held.row, *(number(percentile(late_ms, p), 1) for p in (50, 95))]
    headers = [*HELD, "first audio after a rest, ms, p50", "p95"]
    return f"{table(headers, [row])}\ngoals: {HELD_GOAL}: {'MISSED' if held.missed else 'met'}", held.missed


async def _held(
    server: NatsServer, bridge: WsBridge, load: Load, sessions: int, opened_per_s: int
) -> tuple[_Held, int]:
    """Open sessions, and measure them at rest. Also returns the bridge's memory before, in KiB."""
    (pid,) = bridge.pids
    clock = asyncio.get_running_loop().time
    await _say(load, range(FIRST_SESSIONS))  # what the process takes once is no session's
    await asyncio.sleep(SETTLE_S)
    before_kb, opened_at = resident_kb(pid), clock()
    for index in range(sessions):
        await asyncio.sleep(max(0.0, opened_at + index / opened_per_s - clock()))
        await _say(load, [FIRST_SESSIONS + index])
    await asyncio.sleep(SETTLE_S)
    began, cpu, server_cpu = time.monotonic(), cpu_seconds(pid), cpu_seconds(server.pid)
    await asyncio.sleep(WATCHED_S)
    seconds = time.monotonic() - began
    shares = ((cpu_seconds(pid) - cpu) / seconds, (cpu_seconds(server.pid) - server_cpu) / seconds)
    return _Held(sessions, shares, resident_kb(pid) - before_kb), before_kb


async def _gone(bridge: WsBridge, within_s: float) -> None:
    """Return when the bridge owns no session. Raises Stalled."""
    deadline = time.monotonic() + within_s
    while float(await bridge.metric("orastream_ws_bridge_sessions")):
        if time.monotonic() > deadline:
            raise Stalled(f"{bridge.name} still owns sessions after {within_s:g} s without work")
        await asyncio.sleep(0.5)


@dataclass(frozen=True, slots=True)
class _First:
    """The first utterance of a session that the bridge does not own yet."""

    first_audio_ms: float
    cpu_ms: float


async def past(pairs: int = PAIRS) -> tuple[str, bool]:
    """The first utterance in sessions with and without PAST final reports, and whether the goal was missed."""
    found: dict[bool, list[_First]] = {True: [], False: []}
    async with _bridge(2 * pairs + 4) as (_, bridge, load):
        await _say(load, range(4))
        for index in range(4, 4 + 2 * pairs, 2):
            await _remember(load, f"bench-{index}")
        await asyncio.sleep(PASSED_S)
        for index in range(4, 4 + 2 * pairs, 2):
            for with_past, session in ((True, index), (False, index + 1)):
                found[with_past].append(await _first(bridge, load, session))
    rows = []
    for with_past, firsts in found.items():
        late = [one.first_audio_ms for one in firsts]
        cost = number(median(one.cpu_ms for one in firsts), 2)
        name = f"{PAST if with_past else 0} past utterances"
        rows.append([name, *(number(percentile(late, p), 1) for p in (50, 95)), cost])
    times = [
        median(getattr(one, name) for one in found[True]) / median(getattr(one, name) for one in found[False])
        for name in ("first_audio_ms", "cpu_ms")
    ]
    missed = max(times) > PAST_GOAL
    headers = ["a session is taken", "first audio p50 ms", "p95 ms", "ws_bridge CPU ms"]
    goal = f"with its past: {times[0]:.2f} x first audio, {times[1]:.2f} x CPU (at most {PAST_GOAL:g}): "
    return f"{table(headers, rows)}\n{goal}{'MISSED' if missed else 'met'}", missed


async def _remember(load: Load, session: str) -> None:
    """Store the final reports of PAST utterances."""
    for number_of in range(PAST):
        report = Report(
            request_id=f"past-{number_of}",
            session_id=session,
            phone_id=f"phone-{session}",
            request_seq=number_of + 1,
            status="delivered",
            transport="websocket",
            epoch=1,
        )
        await load.window.put(
            NAMES.put_report(session, f"past-{number_of}"), report.encode("json"), f"{session}.{number_of}"
        )
    await load.window.flush()


async def _first(bridge: WsBridge, load: Load, index: int) -> _First:
    await asyncio.sleep(0.3)
    (pid,) = bridge.pids
    cpu, began_ns = cpu_seconds(pid), time.monotonic_ns()
    await _say(load, [index])
    arrived_ns = (await load.sessions_ns())[f"bench-{index}"][0]
    await asyncio.sleep(0.3)
    return _First((arrived_ns - began_ns) / 1e6, (cpu_seconds(pid) - cpu) * 1000)
