"""CPU per chunk, rate and latency of each contender, alternating in one run.

Utterances of ten chunks are those of a conversation. They also show the fixed cost of an utterance (reports, deleting
its request, logs), which only our bridge has. Long utterances show the cost of a chunk.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.bench.contenders import FLOOR, REAL, WITH_DEFLATE, WITHOUT_DEFLATE, Contender, all_contenders
from tests.bench.load import Load, Plan, Stalled
from tests.bench.measure import Sample, Shape, cpu_seconds, median, number, percentile, ratio, table
from tests.bench.processes import NatsServer, ProcessFailed, Sink, build_c_forwarder

SHAPES = BURST_SMALL, BURST, HALF_A_MINUTE, LONG = (
    Shape(4 << 10, 10),
    Shape(32 << 10, 10),
    Shape(32 << 10, 48),
    Shape(32 << 10, 480),
)
MAX_CHUNKS = {4 << 10: 15_360, 32 << 10: 3_840}
"""Maximum number of chunks by chunk size: 120 MiB on disk for a cell, and whole utterances in the four sessions."""

LATENCY_CHUNKS = 60
CELL_S = 60.0
LOAD_BOUND_BELOW = 0.05

GOALS = (
    (BURST, WITHOUT_DEFLATE, 0.7),
    (BURST_SMALL, WITHOUT_DEFLATE, 1.1),
    (LONG, WITHOUT_DEFLATE, 0.4),
    (LONG, WITH_DEFLATE, 0.1),
)
"""Maximum ratio of the real bridge's CPU per chunk to that contender's. Users have the short utterances."""


async def measure(rounds: int, seconds: float, budget_s: float, say: Callable[[str], None]) -> list[Sample]:
    """Measure each contender at each shape `rounds` times, in rotating order. No cell begins after `budget_s`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + budget_s
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder:
        contenders = all_contenders(build_c_forwarder(Path(folder)))
        for round_number in range(rounds):
            turn = round_number % len(contenders)
            for shape in SHAPES:
                for contender in contenders[turn:] + contenders[:turn]:
                    if loop.time() > deadline:
                        say(f"the time is used up in round {round_number + 1} of {rounds}")
                        return samples
                    most = MAX_CHUNKS[shape.chunk_bytes]
                    plan = Plan(*shape, seconds=seconds, max_chunks=most, requests=contender.wants_requests)
                    sample = await _cell(contender, shape, plan)
                    samples.append(sample)
                    say(f"round {round_number + 1}: {_line(sample)}")
    return samples


async def _cell(contender: Contender, shape: Shape, plan: Plan) -> Sample:
    """Measure one contender at one shape, with a new server and sink. After a failure the sample has a `problem`."""
    try:
        async with asyncio.timeout(CELL_S), NatsServer() as server, Sink() as sink:
            async with Load(server.url, sink.address, plan) as load:
                try:
                    await contender.start(server.url, sink.ws_url)
                    return await _measured(contender, shape, load, sink)
                except Stalled:
                    contender.check()  # if it has ended, that is the better error
                    raise
                finally:
                    await contender.stop()
    except (Stalled, ProcessFailed, TimeoutError) as exc:
        return Sample(contender.name, shape, 0, 0, 0, False, 0, problem=str(exc) or f"over {CELL_S:g} s")


async def _measured(contender: Contender, shape: Shape, load: Load, sink: Sink) -> Sample:
    await load.warm_up()
    pids = contender.pids
    cpu, sink_cpu = sum(map(cpu_seconds, pids)), cpu_seconds(sink.pid)
    run = await load.run()
    cpu, sink_cpu = sum(map(cpu_seconds, pids)) - cpu, cpu_seconds(sink.pid) - sink_cpu
    latencies_ms = await load.latencies_ms(LATENCY_CHUNKS)
    contender.check()
    return Sample(
        contender.name,
        shape,
        run.chunks,
        run.seconds,
        cpu,
        run.held_back < LOAD_BOUND_BELOW,
        sink_cpu / run.seconds,
        latencies_ms,
    )


def _line(sample: Sample) -> str:
    name = f"{sample.contender}, {str(sample.shape).strip()}"
    if sample.problem:
        return f"{name}: does not count: {sample.problem}"
    return (
        f"{name}: {number(sample.cpu_us_per_chunk)} us/chunk, {number(sample.chunks_per_s)}/s ({sample.chunks} chunks)"
    )


def report(samples: Iterable[Sample]) -> str:
    """The table of medians, and a line for each goal."""
    cells: dict[tuple[Shape, str], list[Sample]] = {}
    for sample in samples:
        cells.setdefault((sample.shape, sample.contender), []).append(sample)
    cpu = {key: [sample.cpu_us_per_chunk for sample in cell] for key, cell in cells.items()}
    names = [name for name in (REAL, WITH_DEFLATE, WITHOUT_DEFLATE, FLOOR) if any(key[1] == name for key in cells)]
    rows, bound = [], False
    for shape in sorted({shape for shape, _ in cells}):
        for name in names:
            cell, ours = cells.get((shape, name), []), cpu.get((shape, name), [])
            latencies = [ms for sample in cell for ms in sample.latencies_ms]
            load_bound = any(sample.load_bound for sample in cell)
            bound = bound or load_bound
            rows.append(
                [
                    f"{shape}  {name}",
                    number(median(ours)),
                    (">= " if load_bound else "") + number(median(sample.chunks_per_s for sample in cell)),
                    number(ratio(ours, cpu.get((shape, WITHOUT_DEFLATE), [])), 2),
                    number(ratio(ours, cpu.get((shape, FLOOR), [])), 1),
                    number(percentile(latencies, 50), 2),
                    number(percentile(latencies, 95), 2),
                    number(median(sample.sink_busy for sample in cell), 2),
                    f"{sum(not sample.problem for sample in cell)}/{len(cell)}",
                ]
            )
    headers = [
        "an utterance",
        "CPU us/chunk",
        "chunks/s",
        "x naive",
        "x floor",
        "p50 ms",
        "p95 ms",
        "sink busy",
        "rounds",
    ]
    notes = [
        "x naive: CPU against the naive build without compression; x floor: against the C forwarder.",
        "p50, p95: publish -> sink, one chunk at a time. sink busy: near 1 it would be the brake.",
    ]
    if bound:
        notes.append(">=: the publisher was the brake, not the contender.")
    notes += [f"{sample.contender}: {sample.problem}" for cell in cells.values() for sample in cell if sample.problem]
    return "\n".join([table(headers, rows), *notes, *verdicts(cpu)])


def verdicts(cpu: dict[tuple[Shape, str], list[float]]) -> list[str]:
    """A line for each goal, if the real bridge was measured."""
    lines = []
    for shape, against, goal in GOALS:
        if not {(shape, REAL), (shape, against)} <= cpu.keys():
            continue
        got = ratio(cpu[shape, REAL], cpu[shape, against])
        if got != got:
            lines.append(f"goal OPEN: no valid measurement of {REAL} against '{against}', {shape}")
            continue
        judged = "met" if got <= goal else "MISSED"
        lines.append(f"goal {judged}: {shape}: {REAL} uses {got:.2f} of the CPU of '{against}' (at most {goal})")
    return lines


def goals_missed(samples: Iterable[Sample]) -> bool:
    """Whether the real bridge was measured and has missed a goal or failed."""
    cpu: dict[tuple[Shape, str], list[float]] = {}
    real_failed = False
    for sample in samples:
        cpu.setdefault((sample.shape, sample.contender), []).append(sample.cpu_us_per_chunk)
        real_failed = real_failed or (sample.contender == REAL and bool(sample.problem))
    return real_failed or any("MISSED" in line for line in verdicts(cpu))
