"""The whole node with espeak: CPU an utterance of each process, and where the time to the first audio goes.

Sessions are warm: their bridge owns them, and their connection to OraServer is open. Both functions block.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from orastream.broker import Headers
from orastream.contract import codec, subjects
from orastream.contract.audio_messages import AudioChunk, AudioStart, unpack
from orastream.jetstream.place import parse_time, place_of
from tests.bench.contenders import Naive
from tests.bench.load import Load, Plan
from tests.bench.measure import cpu_seconds, number, percentile, table
from tests.bench.processes import NatsServer, Sink
from tests.support.scenes import running_node, scene_on
from tests.support.services import Stack
from tests.support.speech import utterance_of

SIX_SECONDS = "안녕하세요. 오늘은 날씨가 아주 맑습니다. 어제는 비가 왔지만 지금은 하늘이 파랗습니다."
SHORT = "네, 알겠습니다."
SESSIONS, AT_ONCE = 8, 2
SYNTH_GOAL_MS, HTTP_BRIDGE_GOAL_MS = 3.5, 0.2
LATENCY_GOAL = 4.0
"""Maximum ratio of publish → OraServer (p50) to that of the naive forwarder, which has its audio already."""


def cost(utterances: int) -> tuple[str, bool]:
    """CPU of each process in ms an utterance, with the transport stated and left open; and whether a goal is missed."""
    rows, missed = [], False
    for name, options in (("transport stated", {"use_websocket": True}), ("transport left open", {})):
        with (
            tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder,
            running_node(Path(folder), {}, replicas=1) as stack,
        ):
            spent = asyncio.run(_spent(stack, utterances, options))
        rows.append([name, *(number(spent[process], 2) for process in PROCESSES)])
        if options:
            missed = spent["synth"] > SYNTH_GOAL_MS or spent["http_bridge"] > HTTP_BRIDGE_GOAL_MS
    goal = f"goals, transport stated: synth {SYNTH_GOAL_MS} ms, http_bridge {HTTP_BRIDGE_GOAL_MS} ms"
    return f"{table(['CPU, ms an utterance', *PROCESSES], rows)}\n{goal}: {'MISSED' if missed else 'met'}", missed


PROCESSES = ("engine", "synth", "nats-server", "ws_bridge", "http_bridge")


async def _spent(stack: Stack, utterances: int, options: dict[str, bool]) -> dict[str, float]:
    synth = stack.only("synth").pid

    def cpu() -> dict[str, float]:
        return {
            "engine": sum(cpu_seconds(pid) for pid in children(synth)),
            "synth": cpu_seconds(synth),
            "nats-server": cpu_seconds(stack.nats_server.pid),
            "ws_bridge": cpu_seconds(stack.only("ws_bridge").pid),
            "http_bridge": cpu_seconds(stack.only("http_bridge").pid),
        }

    async with scene_on(stack, "bench") as scene:
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(index: int, name: str) -> None:
            async with limit:
                await scene.ask(f"s{index % SESSIONS}", name, SIX_SECONDS, **options)
                report = await scene.client.wait(scene.id(f"s{index % SESSIONS}"), scene.id(name), 30)
                assert report.status == "delivered", report

        await asyncio.gather(*(one(index, f"warm-{index}") for index in range(2 * SESSIONS)))
        before = cpu()
        await asyncio.gather(*(one(index, f"r{index}") for index in range(utterances)))
        after = cpu()
    return {name: (after[name] - before[name]) / utterances * 1000 for name in PROCESSES}


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


HOPS = ("request stored", "claimed", "`start` stored", "first chunk stored", "at OraServer")


@dataclass(slots=True)
class _Marks:
    """When the server stored what belongs to one request, in unix seconds."""

    published_at: float
    at: dict[str, float] = field(default_factory=dict)


def hops(count: int) -> tuple[str, bool]:
    """Milliseconds from the publish of a short request to each step, against a naive forwarder; and the goal missed.

    The naive forwarder only forwards: its time is from the publish of a chunk to the sink.
    """
    with (
        tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder,
        running_node(Path(folder), {}, replicas=1) as stack,
    ):
        marks = asyncio.run(_marks(stack, count))
    naive_ms = asyncio.run(_naive(count))
    rows = []
    for hop in HOPS:
        late = [(one.at[hop] - one.published_at) * 1000 for one in marks if hop in one.at]
        rows.append([hop, *(number(percentile(late, p), 1) for p in (50, 95)), str(len(late))])
    rows.append(["naive forwarder, one chunk", *(number(percentile(naive_ms, p), 1) for p in (50, 95)), str(count)])
    times = percentile([(one.at[HOPS[-1]] - one.published_at) * 1000 for one in marks], 50) / percentile(naive_ms, 50)
    text = f"publish to OraServer (p50): {times:.1f} x naive (at most {LATENCY_GOAL:g}): "
    missed = times > LATENCY_GOAL
    return (
        f"{table(['ms since the publish', 'p50', 'p95', 'utterances'], rows)}\n{text}{'MISSED' if missed else 'met'}",
        missed,
    )


async def _marks(stack: Stack, count: int) -> list[_Marks]:
    async with scene_on(stack, "bench") as scene:
        found: dict[str, _Marks] = {}

        def on_message(subject: str, _reply: str, data: bytes, headers: Headers) -> None:
            what, request = _event(subject, data)
            if (marks := found.get(request)) is not None and what:
                marks.at.setdefault(what, parse_time(place_of(headers)[2]))

        broker = scene.client.broker
        for subject in ("tts.session.*.*", "tts.report.*.*", "tts.audio.*.*"):
            await broker.subscribe(subject, on_message)
        await broker.round_trip()
        for index in range(count + 2):
            name = scene.id(f"r{index}")
            found[name] = _Marks(time.time())
            await scene.client.say(
                SHORT, session_id=scene.id("s"), phone_id="p", request_id=name, use_websocket=True, fire_and_forget=True
            )
            report = await scene.client.wait(scene.id("s"), name, 30)
            assert report.status == "delivered", report
        for name, marks in found.items():
            got = utterance_of(await stack.received(scene.id("s")), name)
            assert got is not None
            marks.at[HOPS[-1]] = got["firstChunkAt"]
    return list(found.values())[2:]  # the first ones open the session and the connection


def _event(subject: str, data: bytes) -> tuple[str, str]:
    """Which step a stored message shows, and of which request."""
    _, kind, _, last = subject.split(".")
    if kind == "session":
        return HOPS[0], str(codec.decode(data).get("requestId"))
    if kind == "report":
        return HOPS[1], str(codec.decode(data).get("requestId"))
    message = unpack(data)
    what = {AudioStart: HOPS[2], AudioChunk: HOPS[3]}.get(type(message), "")
    return what, subjects.untoken(last) or ""


async def _naive(count: int) -> list[float]:
    contender = Naive(compression=False)
    async with NatsServer() as server, Sink() as sink:
        async with Load(server.url, sink.address, Plan(8 << 10, sessions=1)) as load:
            await contender.start(server.url, sink.ws_url)
            try:
                await load.warm_up()
                return list(await load.latencies_ms(count))
            finally:
                await contender.stop()
