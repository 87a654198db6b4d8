"""The whole node as processes: latency, first audio against the HTTP mode, and recovery times after `kill -9`.

Each function starts a new node, prints nothing and returns its table. The functions block, so call them in a thread.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from orastream.contract.messages import Report
from tests.bench.measure import number, percentile, ratio, table
from tests.support.scenes import Scene, running_node, scene_on
from tests.support.services import ServiceProcess, Stack
from tests.support.speech import utterance_of

SHORT = "네, 알겠습니다."
TEN_SECONDS = (
    "안녕하세요. 오늘은 날씨가 아주 맑습니다. 어제는 비가 왔지만 지금은 하늘이 파랗습니다. "
    "점심에는 무엇을 드시겠습니까? 저는 비빔밥이 좋습니다."
)
FIRST_AUDIO_GOAL = 0.25
RECOVERY_GOAL_S = 15.0
SLOW = {"TTS_ENGINE_RTF": 0.25, "SYNTH_SLOTS": 2}


def _on_a_node(measure: Callable[[Scene], Awaitable[Any]], *, replicas: int, **settings: object) -> Any:
    """Run `measure` on a new node and return its result."""

    async def run(stack: Stack) -> Any:
        async with scene_on(stack, "bench") as scene:
            return await measure(scene)

    with (
        tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder,
        running_node(Path(folder), {}, replicas=replicas, **settings) as stack,
    ):
        return asyncio.run(run(stack))


async def _say(scene: Scene, session: str, request: str, text: str, **options: Any) -> tuple[Report, float]:
    """The final report, and milliseconds from the publish to the first chunk at OraServer (one machine, one clock)."""
    published_at = time.time()
    report = await scene.client.say(
        text,
        session_id=scene.id(session),
        phone_id="p",
        request_id=scene.id(request),
        fire_and_forget=False,
        **options,
    )
    assert isinstance(report, Report) and report.status == "delivered", report
    got = utterance_of(await scene.stack.received(scene.id(session)), scene.id(request))
    assert got is not None
    return report, (got["firstChunkAt"] - published_at) * 1000


def latency(count: int) -> str:
    """Latency from publish to OraServer: espeak at full speed, one utterance at a time, warm and cold sessions."""

    async def measure(scene: Scene) -> dict[str, list[tuple[Report, float]]]:
        await _say(scene, "warm", "first", SHORT)
        warm = [await _say(scene, "warm", f"w{n}", SHORT) for n in range(count)]
        cold = [await _say(scene, f"cold-{n}", f"c{n}", SHORT) for n in range(count // 2)]
        return {"warm session": warm, "cold session": cold}

    rows = []
    for name, results in _on_a_node(measure, replicas=1).items():
        for what, values in (
            ("publish to OraServer", [arrived for _, arrived in results]),
            ("firstAudioMs of the report", [report.first_audio_ms or 0.0 for report, _ in results]),
        ):
            rows.append(
                [f"{name}, {what}", *(number(percentile(values, p), 1) for p in (50, 95, 99)), str(len(values))]
            )
    return table(["latency, ms", "p50", "p95", "p99", "utterances"], rows)


def first_audio(rounds: int) -> tuple[str, bool]:
    """Time to first audio over WebSocket and HTTP, alternating, and whether the slowed engine missed the goal."""

    async def measure(scene: Scene) -> dict[bool, list[float]]:
        times: dict[bool, list[float]] = {True: [], False: []}
        for number_of_round in range(rounds + 1):
            for websocket in (True, False):
                request = f"r{number_of_round}-{websocket}"
                report, _ = await _say(scene, "s", request, TEN_SECONDS, use_websocket=websocket)
                if number_of_round:  # the first round warms up
                    times[websocket].append(report.first_audio_ms or 0.0)
        return times

    rows, missed = [], False
    for name, settings in (("espeak as it is", {}), ("espeak slowed to RTF 0.1", {"TTS_ENGINE_RTF": 0.1})):
        times = _on_a_node(measure, replicas=1, **settings)
        part = ratio(times[True], times[False])
        missed |= bool(settings) and part > FIRST_AUDIO_GOAL
        p50 = [number(percentile(times[websocket], 50), 1) for websocket in (True, False)]
        rows.append([name, *p50, f"{part:.2f}"])
    return table(["first audio, ms (p50)", "WebSocket", "HTTP", "ratio"], rows), missed


def recovery() -> tuple[str, bool]:
    """`kill -9` of each process in mid-utterance: seconds until OraServer gets audio again, and until the report."""
    results: list[tuple[str, float, float]] = _on_a_node(_recoveries, replicas=2, **SLOW)
    rows = [[name, number(next_chunk, 1), number(final, 1)] for name, next_chunk, final in results]
    missed = any(next_chunk > RECOVERY_GOAL_S for _, next_chunk, _ in results)
    return table(["recovery, s after the part is back", "next chunk", "final report"], rows), missed


async def _recoveries(scene: Scene) -> list[tuple[str, float, float]]:
    results = []
    for name, kill in (
        ("synth (another takes over)", _kill("synth", "orastream_synth_working")),
        ("ws_bridge (another takes over)", _kill("ws_bridge", "orastream_ws_bridge_sessions")),
        ("http_bridge (another takes over)", _kill("http_bridge", "orastream_http_bridge_sessions")),
        ("nats-server (restarted with its data)", _restart_nats),
        ("OraServer (restarted)", _restart_oraserver),
    ):
        http = name.startswith("http")
        request = name.partition(" ")[0]
        await scene.ask(request, request, use_websocket=not http)
        await (scene.until_synthesising(request, request) if http else scene.until_received(request))
        await kill(scene)
        back_at = time.monotonic()
        before = await _chunks(scene, request)
        while await _chunks(scene, request) <= before:
            await asyncio.sleep(0.02)
        next_chunk = time.monotonic() - back_at
        await scene.delivered(request, request)
        results.append((name, next_chunk, time.monotonic() - back_at))
        for process in (p for siblings in scene.stack.processes.values() for p in siblings if not p.running):
            await process.start()
    return results


async def _chunks(scene: Scene, request: str) -> int:
    got = utterance_of(await scene.stack.received(), scene.id(request))
    return 0 if got is None else int(got["chunks"])


def _kill(service: str, metric: str) -> Callable[[Scene], Awaitable[None]]:
    async def kill(scene: Scene) -> None:
        owners: list[ServiceProcess] = [p for p in scene.stack[service] if await p.metric(metric) > 0]
        owners[0].kill()

    return kill


async def _restart_nats(scene: Scene) -> None:
    scene.stack.nats_server.kill()
    await scene.stack.nats_server.start()


async def _restart_oraserver(scene: Scene) -> None:
    oraserver = scene.stack.only("oraserver")
    oraserver.kill()
    await oraserver.start()
