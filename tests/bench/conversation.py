"""What a conversation costs: many sessions at once, short utterances, each chunk when its audio would be made.

Each session speaks for SPEECH_S seconds in ten chunks, is silent for as long, and begins again. The sessions begin at
different times, so that the load is even. CPU is measured after the first turn of each session, when connections exist.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contenders import FLOOR, REAL, WITHOUT_DEFLATE, Contender, all_contenders
from tests.bench.load import Load, Plan, Stalled
from tests.bench.measure import cpu_seconds, number, percentile, table
from tests.bench.processes import NatsServer, ProcessFailed, Sink, build_c_forwarder

CHUNKS = 10
CHUNK_BYTES = 24 << 10
SPEECH_S = 5.0
PERIOD_S = 10.0
NO_LIMIT = 1_000_000
CELL_S = 150.0
FEW, MANY = 300, 1_000

NAIVE_GOAL = 1.2
"""Maximum ratio of the real bridge's CPU per chunk to that of the naive forwarder without compression."""
LATE_GOAL = 2.0
"""Maximum ratio of first audio (p95) with MANY sessions to that with FEW."""


@dataclass(frozen=True, slots=True)
class Talked:
    """One contender with so many sessions."""

    contender: str
    sessions: int
    chunks: int = 0
    cpu_seconds: float = 0.0
    server_cpu_seconds: float = 0.0
    first_audio_ms: tuple[float, ...] = ()
    """From the begin of an utterance (its request, if the contender wants one) to its first chunk at the sink."""
    problem: str = ""

    @property
    def us_per_chunk(self) -> float:
        """CPU of the contender, in microseconds a chunk."""
        return self.cpu_seconds / self.chunks * 1e6 if self.chunks else float("nan")

    @property
    def server_us_per_chunk(self) -> float:
        """CPU of nats-server, in microseconds a chunk."""
        return self.server_cpu_seconds / self.chunks * 1e6 if self.chunks else float("nan")


async def measure(turns: int, say: Callable[[str], None], *, many: bool = True) -> list[Talked]:
    """Measure all contenders with FEW sessions and, if `many`, some of them with MANY. `turns` of each session count.

    `say` gets a line about each cell.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder:
        contenders = all_contenders(build_c_forwarder(Path(folder)))
        cells = [(one, FEW) for one in contenders if one.name in (REAL, WITHOUT_DEFLATE, FLOOR) or one.tuned]
        cells += [(one, MANY) for one in contenders if many and one.name in (REAL, WITHOUT_DEFLATE)]
        for contender, sessions in cells:
            talked = await _cell(contender, sessions, turns)
            found.append(talked)
            cost = f"{number(talked.us_per_chunk)} us a chunk, nats-server {number(talked.server_us_per_chunk)}"
            say(f"{contender.name}, {sessions} sessions: {talked.problem or cost}")
    return found


async def _cell(contender: Contender, sessions: int, turns: int) -> Talked:
    plan = Plan(CHUNK_BYTES, CHUNKS, sessions=sessions, ahead=NO_LIMIT, requests=contender.wants_requests)
    try:
        async with asyncio.timeout(CELL_S + turns * PERIOD_S), NatsServer() as server, Sink() as sink:
            async with Load(server.url, sink.address, plan) as load:
                try:
                    await contender.start(server.url, sink.ws_url)
                    return await _talked(contender, server, load, sessions, turns)
                except Stalled:
                    contender.check()
                    raise
                finally:
                    await contender.stop()
    except (Stalled, ProcessFailed, TimeoutError) as exc:
        return Talked(contender.name, sessions, problem=str(exc) or f"over {CELL_S:g} s")


async def _talked(contender: Contender, server: NatsServer, load: Load, sessions: int, turns: int) -> Talked:
    clock = asyncio.get_running_loop().time
    began = clock() + 0.5
    began_ns: list[list[int]] = [[] for _ in range(sessions)]

    async def until(at: float) -> None:
        await asyncio.sleep(max(0.0, at - clock()))

    async def session(index: int) -> None:
        for turn in range(turns + 2):  # one before the measurement, and one that goes on after it
            await until(began + index * PERIOD_S / sessions + turn * PERIOD_S)
            began_ns[index].append(time.monotonic_ns())
            async with load.utterance(index, CHUNKS) as put:
                first = clock()
                for chunk in range(CHUNKS):
                    await until(first + chunk * SPEECH_S / CHUNKS)
                    await put(chunk)

    def cpu() -> tuple[float, float]:
        contender.check()
        return sum(map(cpu_seconds, contender.pids)), cpu_seconds(server.pid)

    async with asyncio.TaskGroup() as group:
        for index in range(sessions):
            group.create_task(session(index))
        await until(began + PERIOD_S)
        before = cpu()
        await until(began + PERIOD_S + turns * PERIOD_S)
        after = cpu()
    await load.all_arrived()
    contender.check()
    arrived_ns = await load.sessions_ns()
    late = [
        (arrived_ns[f"bench-{index}"][turn * CHUNKS] - began_ns[index][turn]) / 1e6
        for index in range(sessions)
        for turn in range(1, turns + 1)
    ]
    chunks = sessions * CHUNKS * turns
    return Talked(contender.name, sessions, chunks, after[0] - before[0], after[1] - before[1], tuple(late))


def report(talks: Iterable[Talked]) -> str:
    """The table, and a line for each goal."""
    talks = list(talks)
    found = {(one.contender, one.sessions): one for one in talks}
    rows = []
    for one in talks:
        naive, floor = found.get((WITHOUT_DEFLATE, one.sessions)), found.get((FLOOR, one.sessions))
        rows.append(
            [
                f"{one.sessions:5} sessions  {one.contender}",
                number(one.us_per_chunk),
                number(one.us_per_chunk * CHUNKS / 1000, 2),
                number(one.us_per_chunk / naive.us_per_chunk if naive else float("nan"), 2),
                number(one.us_per_chunk / floor.us_per_chunk if floor else float("nan"), 1),
                number(one.server_us_per_chunk * CHUNKS / 1000, 2),
                number(one.server_us_per_chunk / naive.server_us_per_chunk if naive else float("nan"), 2),
                *(number(percentile(one.first_audio_ms, p), 1) for p in (50, 95)),
            ]
        )
    headers = [
        f"paced: {SPEECH_S:g} s in {CHUNKS} chunks every {PERIOD_S:g} s",
        "us/chunk",
        "ms/utterance",
        "x naive",
        "x floor",
        "nats-server ms/utterance",
        "x naive",
        "first audio p50 ms",
        "p95 ms",
    ]
    notes = [f"{one.contender}, {one.sessions} sessions: {one.problem}" for one in talks if one.problem]
    return "\n".join([table(headers, rows), *notes, *verdicts(talks)])


def verdicts(talks: Iterable[Talked]) -> list[str]:
    """A line for each goal that can be judged."""
    found = {(one.contender, one.sessions): one for one in talks if not one.problem}
    lines = []
    real, naive, many = found.get((REAL, FEW)), found.get((WITHOUT_DEFLATE, FEW)), found.get((REAL, MANY))
    if real and naive:
        part = real.us_per_chunk / naive.us_per_chunk
        lines.append(
            f"goal {'met' if part <= NAIVE_GOAL else 'MISSED'}: {REAL} uses {part:.2f} of the CPU of "
            f"'{WITHOUT_DEFLATE}' with {FEW} sessions (at most {NAIVE_GOAL})"
        )
    if real and many:
        part = percentile(many.first_audio_ms, 95) / percentile(real.first_audio_ms, 95)
        lines.append(
            f"goal {'met' if part <= LATE_GOAL else 'MISSED'}: first audio (p95) with {MANY} sessions is {part:.2f} of "
            f"that with {FEW} (at most {LATE_GOAL:g})"
        )
    return lines


def goals_missed(talks: Iterable[Talked]) -> bool:
    """Whether the real bridge has failed or missed a goal."""
    talks = list(talks)
    return any(one.contender == REAL and one.problem for one in talks) or any("MISSED" in v for v in verdicts(talks))
