"""CPU per chunk, rate and latency of each contender, alternating in one run."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.bench.contenders import FLOOR, REAL, WITH_DEFLATE, WITHOUT_DEFLATE, Contender, all_contenders
from tests.bench.load import Load, Plan, Stalled
from tests.bench.measure import Sample, cpu_seconds, median, number, percentile, ratio, table
from tests.bench.processes import NatsServer, ProcessFailed, Sink, build_c_forwarder

SIZES = (4 << 10, 32 << 10)
MAX_CHUNKS = {4 << 10: 16_000, 32 << 10: 4_000}
"""Also bounds what is on disk: 128 MiB a cell."""

LATENCY_CHUNKS = 60
CELL_S = 60.0
LOAD_BOUND_BELOW = 0.05

GOALS = ((WITHOUT_DEFLATE, 0.4), (WITH_DEFLATE, 0.1))
"""The real bridge's CPU per chunk of 32 KiB, at most this part of that contender's."""


async def measure(rounds: int, seconds: float, budget_s: float, say: Callable[[str], None]) -> list[Sample]:
    """`rounds` times each contender at each size, in rotating order; no cell is begun after `budget_s`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + budget_s
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder:
        contenders = all_contenders(build_c_forwarder(Path(folder)))
        for round_number in range(rounds):
            turn = round_number % len(contenders)
            for size in SIZES:
                for contender in contenders[turn:] + contenders[:turn]:
                    if loop.time() > deadline:
                        say(f"the time is used up in round {round_number + 1} of {rounds}")
                        return samples
                    sample = await _cell(
                        contender, Plan(size, seconds, MAX_CHUNKS[size], requests=contender.wants_requests)
                    )
                    samples.append(sample)
                    say(f"round {round_number + 1}: {_line(sample)}")
    return samples


async def _cell(contender: Contender, plan: Plan) -> Sample:
    """One contender at one size, with a server and a sink of its own; a failure is a sample with a problem."""
    try:
        async with asyncio.timeout(CELL_S), NatsServer() as server, Sink() as sink:
            async with Load(server.url, sink.address, plan) as load:
                try:
                    await contender.start(server.url, sink.ws_url)
                    return await _measured(contender, plan, load, sink)
                except Stalled:
                    contender.check()  # that it died says more
                    raise
                finally:
                    await contender.stop()
    except (Stalled, ProcessFailed, TimeoutError) as exc:
        return Sample(contender.name, plan.chunk_bytes, 0, 0, 0, False, 0, problem=str(exc) or f"over {CELL_S:g} s")


async def _measured(contender: Contender, plan: Plan, load: Load, sink: Sink) -> Sample:
    await load.warm_up()
    pids = contender.pids
    cpu, sink_cpu = sum(map(cpu_seconds, pids)), cpu_seconds(sink.pid)
    run = await load.run()
    cpu, sink_cpu = sum(map(cpu_seconds, pids)) - cpu, cpu_seconds(sink.pid) - sink_cpu
    latencies_ms = await load.latencies_ms(LATENCY_CHUNKS)
    contender.check()
    return Sample(
        contender.name,
        plan.chunk_bytes,
        run.chunks,
        run.seconds,
        cpu,
        run.held_back < LOAD_BOUND_BELOW,
        sink_cpu / run.seconds,
        latencies_ms,
    )


def _line(sample: Sample) -> str:
    name = f"{sample.contender}, {sample.chunk_bytes >> 10} KiB"
    if sample.problem:
        return f"{name}: does not count: {sample.problem}"
    return (
        f"{name}: {number(sample.cpu_us_per_chunk)} us/chunk, {number(sample.chunks_per_s)}/s ({sample.chunks} chunks)"
    )


def report(samples: Iterable[Sample]) -> str:
    """The table of medians, and what it says about the goals."""
    cells: dict[tuple[int, str], list[Sample]] = {}
    for sample in samples:
        cells.setdefault((sample.chunk_bytes, sample.contender), []).append(sample)
    cpu = {key: [sample.cpu_us_per_chunk for sample in cell] for key, cell in cells.items()}
    names = [name for name in (REAL, WITH_DEFLATE, WITHOUT_DEFLATE, FLOOR) if any(key[1] == name for key in cells)]
    rows, bound = [], False
    for size in sorted({size for size, _ in cells}):
        for name in names:
            cell = cells[size, name]
            latencies = [ms for sample in cell for ms in sample.latencies_ms]
            load_bound = any(sample.load_bound for sample in cell)
            bound = bound or load_bound
            rows.append(
                [
                    f"{size >> 10:2} KiB  {name}",
                    number(median(cpu[size, name])),
                    (">= " if load_bound else "") + number(median(sample.chunks_per_s for sample in cell)),
                    number(ratio(cpu[size, name], cpu.get((size, WITHOUT_DEFLATE), [])), 2),
                    number(ratio(cpu[size, name], cpu.get((size, FLOOR), [])), 1),
                    number(percentile(latencies, 50), 2),
                    number(percentile(latencies, 95), 2),
                    number(median(sample.sink_busy for sample in cell), 2),
                    f"{sum(not sample.problem for sample in cell)}/{len(cell)}",
                ]
            )
    headers = ["", "CPU us/chunk", "chunks/s", "x naive", "x floor", "p50 ms", "p95 ms", "sink busy", "rounds"]
    notes = [
        "x naive: CPU against the naive build without compression; x floor: against the C forwarder.",
        "p50, p95: publish -> sink, one chunk at a time. sink busy: near 1 it would be the brake.",
    ]
    if bound:
        notes.append(">=: the publisher was the brake, not the contender.")
    notes += [f"{sample.contender}: {sample.problem}" for cell in cells.values() for sample in cell if sample.problem]
    return "\n".join([table(headers, rows), *notes, *verdicts(cpu)])


def verdicts(cpu: dict[tuple[int, str], list[float]]) -> list[str]:
    """A line for each goal, once the real bridge takes part."""
    size = 32 << 10
    lines = []
    for against, goal in GOALS:
        if (size, REAL) in cpu and (size, against) in cpu:
            got = ratio(cpu[size, REAL], cpu[size, against])
            if got != got:
                lines.append(f"goal OPEN: no valid measurement of {REAL} against '{against}'")
                continue
            word = "met" if got <= goal else "MISSED"
            lines.append(
                f"goal {word}: {REAL} uses {got:.2f} of the CPU of '{against}' per 32 KiB chunk (at most {goal})"
            )
    return lines


def goals_missed(samples: Iterable[Sample]) -> bool:
    """Whether the real bridge took part and missed a goal, or did not get through."""
    cpu: dict[tuple[int, str], list[float]] = {}
    real_failed = False
    for sample in samples:
        cpu.setdefault((sample.chunk_bytes, sample.contender), []).append(sample.cpu_us_per_chunk)
        real_failed = real_failed or (sample.contender == REAL and bool(sample.problem))
    return real_failed or any("MISSED" in line for line in verdicts(cpu))
