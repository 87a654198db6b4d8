"""ws_bridge over protocol v1 and over v2, side by side: the same bridge, load and receiver, alternating in one run.

The receiver is the sink, which stores nothing. Utterances are PCM of 24 kHz in bursts (their callers wait for the end,
so v2 sends without regard to a listener) and as a conversation; what Opus takes is measured on a node with a synth.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from orastream.contract.messages import Report
from tests.bench import stream_cancels, stream_encoding, stream_memory
from tests.bench.contenders import WsBridge
from tests.bench.load import SPEC, Load, Plan
from tests.bench.measure import Shape, cpu_seconds, median, number, percentile, ratio, table
from tests.bench.node import TEN_SECONDS
from tests.bench.processes import NatsServer, Sink
from tests.bench.sink_counts import SinkCounts
from tests.support.nats_server import NatsServer as NodeServer
from tests.support.services import Stack

PROTOCOLS = ("v1", "v2")
BURST, LONG = Shape(32 << 10, 10), Shape(32 << 10, 480)
MAX_CHUNKS = 3_840
CHUNK_BYTES, CHUNKS, SPEECH_S, PERIOD_S = 24 << 10, 10, 5.0, 10.0
UNIT_BYTES = 32 << 10
SAID = 6
"""Utterances of about ten seconds of each format, on a node."""

CPU_GOAL = 0.9
"""Maximum ratio of the CPU of v2 to that of v1, for 32 KiB of audio."""
OPUS_GOAL = 0.12
"""Maximum ratio of what Opus takes over v2 to what WAV takes over v1, in bytes on the wire."""


@dataclass(frozen=True, slots=True)
class StreamSample:
    """One shape over one protocol in one round."""

    shape: str
    protocol: str
    audio_bytes: int
    cpu_seconds: float
    wire_bytes: int
    frames: int
    """WebSocket frames of data that the sink has read."""
    first_audio_ms: tuple[float, ...] = ()
    server_cpu_seconds: float = 0.0
    """CPU of nats-server, in a conversation."""
    utterances: int = 0
    """In a conversation."""

    @property
    def us_per_unit(self) -> float:
        """CPU of ws_bridge in microseconds for UNIT_BYTES of audio."""
        return self.cpu_seconds / self.audio_bytes * UNIT_BYTES * 1e6

    @property
    def wire_bytes_per_s(self) -> float:
        """Bytes on the wire for a second of speech."""
        return self.wire_bytes / SPEC.seconds(self.audio_bytes)


async def measure(quick: bool, say: Callable[[str], None]) -> tuple[str, bool]:
    """The tables, and whether a goal was missed. `say` gets a line about each cell."""
    rounds, seconds, sessions, turns = (1, 1.0, 50, 1) if quick else (3, 2.0, 100, 3)
    samples = []
    for _ in range(rounds):
        for shape in (BURST, LONG):
            for protocol in PROTOCOLS:
                samples.append(await _burst(protocol, shape, seconds))
                say(f"{samples[-1].shape} over {protocol}: {number(samples[-1].us_per_unit)} us for 32 KiB")
    # Both at the same time: what else the machine does disturbs both.
    talks = await asyncio.gather(*(talk(protocol, sessions, turns) for protocol in PROTOCOLS))
    for talk in talks:
        say(f"conversation over {talk.protocol}: {number(talk.us_per_unit)} us for 32 KiB")
    samples += talks
    text, verdicts = report(samples)
    spoken, opus_verdict = await asyncio.to_thread(formats)
    memory, memory_verdict = await stream_memory.measure(100 if quick else 500)
    cancels, cancel_verdict = await stream_cancels.measure(200 if quick else 1_000)
    verdicts += [opus_verdict, memory_verdict, cancel_verdict]
    missed = any("MISSED" in verdict for verdict in verdicts)
    tables = [text, stream_encoding.measure(), spoken, memory, cancels]
    return "\n\n".join([*tables, "\n".join(verdicts)]), missed


def sink_for(chunk_bytes: int) -> Sink:
    """A sink that speaks both protocols and counts the chunks of the load."""
    return Sink("--streams", "--chunk-bytes", str(chunk_bytes))


async def _burst(protocol: str, shape: Shape, seconds: float) -> StreamSample:
    """Four sessions at full speed."""
    plan = Plan(*shape, seconds=seconds, max_chunks=MAX_CHUNKS, requests=True, waits=True)
    bridge = WsBridge(ORASERVER_PROTOCOL=protocol)
    async with NatsServer() as server, sink_for(shape.chunk_bytes) as sink:
        async with Load(server.url, sink.address, plan) as load:
            try:
                await bridge.start(server.url, sink.ws_url)
                await load.warm_up()
                (pid,) = bridge.pids
                before, cpu = await load.sink.counts(), cpu_seconds(pid)
                run = await load.run()
                cpu, after = cpu_seconds(pid) - cpu, await load.sink.counts()
            finally:
                await bridge.stop()
    assert not after["faults"], after
    audio_bytes = run.chunks * shape.chunk_bytes
    sent = {name: after[name] - before[name] for name in ("wire_bytes", "frames")}
    return StreamSample(str(shape).strip(), protocol, audio_bytes, cpu, **sent)


async def talk(protocol: str, sessions: int, turns: int, **settings: object) -> StreamSample:
    """Each session speaks for SPEECH_S seconds of every PERIOD_S, a chunk when its audio would be made.

    `settings` are those of ws_bridge. Raises Stalled and ProcessFailed.
    """
    plan = Plan(CHUNK_BYTES, CHUNKS, sessions=sessions, ahead=1_000_000, requests=True)
    bridge = WsBridge(ORASERVER_PROTOCOL=protocol, **settings)
    async with NatsServer() as server, sink_for(CHUNK_BYTES) as sink:
        async with Load(server.url, sink.address, plan) as load:
            try:
                await bridge.start(server.url, sink.ws_url)
                return await _talked(protocol, (bridge.pids[0], server.pid), load, sessions, turns)
            finally:
                await bridge.stop()


async def _talked(protocol: str, pids: tuple[int, int], load: Load, sessions: int, turns: int) -> StreamSample:
    """`pids`: those of ws_bridge and nats-server."""
    clock = asyncio.get_running_loop().time
    began = clock() + 0.5
    began_ns: list[list[int]] = [[] for _ in range(sessions)]

    async def session(index: int) -> None:
        for turn in range(turns + 2):  # one before the measurement, and one that goes on after it
            await asyncio.sleep(max(0.0, began + index * PERIOD_S / sessions + turn * PERIOD_S - clock()))
            began_ns[index].append(time.monotonic_ns())
            async with load.utterance(index, CHUNKS) as put:
                first = clock()
                for chunk in range(CHUNKS):
                    await asyncio.sleep(max(0.0, first + chunk * SPEECH_S / CHUNKS - clock()))
                    await put(chunk)

    async with asyncio.TaskGroup() as group:
        for index in range(sessions):
            group.create_task(session(index))
        await asyncio.sleep(began + PERIOD_S - clock())
        before, cpu = await load.sink.counts(), [cpu_seconds(pid) for pid in pids]
        await asyncio.sleep(began + PERIOD_S + turns * PERIOD_S - clock())
        spent = [cpu_seconds(pid) - already for pid, already in zip(pids, cpu, strict=True)]
        after = await load.sink.counts()
    await load.all_arrived()
    if protocol == "v1":
        firsts = {name: arrivals[::CHUNKS] for name, arrivals in (await load.sessions_ns()).items()}
    else:
        firsts = await load.sink.firsts_ns()
    late = [
        (firsts[f"bench-{index}"][turn] - began_ns[index][turn]) / 1e6
        for index in range(sessions)
        for turn in range(1, turns + 1)
    ]
    audio_bytes = sessions * CHUNKS * turns * CHUNK_BYTES
    sent = {name: after[name] - before[name] for name in ("wire_bytes", "frames")}
    sample = StreamSample("conversation", protocol, audio_bytes, spent[0], **sent, first_audio_ms=tuple(late))
    return replace(sample, server_cpu_seconds=spent[1], utterances=sessions * turns)


def report(samples: Iterable[StreamSample]) -> tuple[str, list[str]]:
    """The table of the shapes, and a line for each goal."""
    samples = list(samples)
    rows, verdicts = [], []
    for shape in dict.fromkeys(one.shape for one in samples):
        of = {p: [one for one in samples if (one.shape, one.protocol) == (shape, p)] for p in PROTOCOLS}
        cpu = {p: [one.us_per_unit for one in found] for p, found in of.items()}
        wire = {p: median(one.wire_bytes_per_s for one in found) for p, found in of.items()}
        share = ratio(cpu["v2"], cpu["v1"])
        for protocol in PROTOCOLS:
            late = [ms for one in of[protocol] for ms in one.first_audio_ms]
            rows.append(
                [
                    f"{shape}, {protocol}",
                    number(median(cpu[protocol])),
                    number(share if protocol == "v2" else 1.0, 2),
                    number(median(one.frames / one.audio_bytes * UNIT_BYTES for one in of[protocol]), 2),
                    number(wire[protocol]),
                    number(wire[protocol] / wire["v1"], 2),
                    *(number(percentile(late, p), 1) for p in (50, 99)),
                ]
            )
        verdicts.append(
            f"goal {'met' if share <= CPU_GOAL else 'MISSED'}: {shape} over v2 uses {share:.2f} of v1's CPU "
            f"(at most {CPU_GOAL})"
        )
    headers = ["ws_bridge, PCM of 24 kHz", "CPU us/32 KiB", "x v1", "frames", "bytes/s of speech", "x v1"]
    return table([*headers, "first audio p50 ms", "p99 ms"], rows), verdicts


def formats() -> tuple[str, str]:
    """Bytes on the wire for a second of eSpeak's speech as WAV and Opus over both protocols, and the goal of Opus."""
    found: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder:
        for protocol in PROTOCOLS:
            for name in ("wav", "opus"):
                found[name, protocol] = _spoken(Path(folder) / f"{name}-{protocol}", name, protocol)
    rows = [
        [f"{name}, {protocol}", number(value), f"{value / found['wav', 'v1']:.3f}"]
        for (name, protocol), value in found.items()
    ]
    share = found["opus", "v2"] / found["wav", "v1"]
    verdict = "met" if share <= OPUS_GOAL else "MISSED"
    return (
        table(["a node with eSpeak", "bytes/s of speech", "x WAV over v1"], rows),
        f"goal {verdict}: Opus over v2 takes {share:.3f} of the bytes of WAV over v1 (at most {OPUS_GOAL})",
    )


def _spoken(folder: Path, name: str, protocol: str) -> float:
    """Bytes on the wire for a second of speech, with a listener: the callers do not wait for the end."""

    async def run() -> float:
        async with sink_for(0) as sink:
            server = NodeServer(folder, {})
            await server.start()
            stack = Stack(server, folder, {}, ORASERVER_WEBSOCKET_URL=sink.ws_url, ORASERVER_PROTOCOL=protocol)
            try:
                await stack.start("synth", "ws_bridge", TTS_AUDIO_MAX_BYTES=256 << 20)
                return await _say_all(stack, sink, name)
            finally:
                stack.kill()
                server.kill()

    folder.mkdir()
    return asyncio.run(run())


async def _say_all(stack: Stack, sink: Sink, name: str) -> float:
    async with stack.client() as client, SinkCounts(sink.address) as counts:
        before = (await counts.counts())["wire_bytes"]

        async def one(index: int) -> float:
            ids = {"session_id": f"s{index}", "phone_id": "p", "request_id": f"r{index}"}
            await client.say(TEN_SECONDS, **ids, use_websocket=True, fire_and_forget=True, format=name)
            final = await client.wait(f"s{index}", f"r{index}", 50)
            assert isinstance(final, Report) and final.status == "delivered", final
            return final.audio_seconds

        seconds = sum(await asyncio.gather(*map(one, range(SAID))))
        return ((await counts.counts())["wire_bytes"] - before) / seconds
