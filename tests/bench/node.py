"""The whole node as processes: latency, first audio against the HTTP mode, and recovery times after `kill -9`.

Each function starts a new node, prints nothing and returns its table. The functions block, so call them in a thread.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orastream.contract.messages import Report
from tests.bench.measure import number, percentile, ratio, table
from tests.support.processes import until
from tests.support.scenes import Scene, running_node, scene_on
from tests.support.services import ServiceProcess, Stack
from tests.support.speech import utterance_of

SHORT = "네, 알겠습니다."
TEN_SECONDS = (
    "안녕하세요. 오늘은 날씨가 아주 맑습니다. 어제는 비가 왔지만 지금은 하늘이 파랗습니다. "
    "점심에는 무엇을 드시겠습니까? 저는 비빔밥이 좋습니다."
)
FIRST_AUDIO_GOAL = 0.25
IN_FLIGHT_S = 0.1
"""After a kill, chunks that are on the wire still arrive for this long. They show no recovery."""
SETTLE_S = 2.5
"""A process calls another one gone only when it has been connected for two seconds itself."""
RECOVERY_S = 60.0
"""Timeout of one recovery: far above every goal."""
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


def recovery(tries: int) -> tuple[str, bool]:
    """`kill -9` of each process in mid-utterance: seconds from the kill until the speech goes on, and the goals missed.

    With two replicas of each service. nats-server and OraServer are started again at once, and that time counts too.
    """
    rows, missed = [], False
    for part in PARTS:
        times: list[float] = _on_a_node(lambda scene, part=part: _recoveries(scene, part, tries), replicas=2, **SLOW)
        rows.append([part.name, *(number(percentile(times, p), 2) for p in (50, 95, 100)), f"{part.goal_s:g}"])
        missed |= percentile(times, 95) > part.goal_s
    return table([f"recovery, s ({tries} tries)", "p50", "p95", "max", "goal (p95)"], rows), missed


async def _recoveries(scene: Scene, part: Part, tries: int) -> list[float]:
    return [await recover(scene, part, f"try-{number_of_try}") for number_of_try in range(tries)]


async def recover(scene: Scene, part: Part, request: str) -> float:
    """One kill in the middle of an utterance: seconds until the next chunk, or until the session has a new owner."""
    await asyncio.sleep(SETTLE_S)
    await scene.ask(request, request, use_websocket=part.websocket)
    await (scene.until_received(request) if part.websocket else scene.until_synthesising(request, request))
    killed_at = time.monotonic()
    await part.kill(scene)
    await asyncio.sleep(IN_FLIGHT_S)
    before = await _chunks(scene, request)

    async def goes_on() -> bool:
        if part.websocket:
            return await _chunks(scene, request) > before
        return any([await _works("http_bridge", p) for p in scene.stack["http_bridge"] if p.running])

    await until(goes_on, f"the speech goes on after the kill of {part.name}", timeout_s=RECOVERY_S, poll_s=0.02)
    took_s = time.monotonic() - killed_at
    for process in (p for siblings in scene.stack.processes.values() for p in siblings if not p.running):
        await process.start()
    await scene.delivered(request, request)
    return took_s


async def _chunks(scene: Scene, request: str) -> int:
    got = utterance_of(await scene.stack.received(), scene.id(request))
    return 0 if got is None else int(got["chunks"])


def kill_busy(service: str) -> Callable[[Scene], Awaitable[None]]:
    """Return what kills the process of `service` that works on the utterance."""

    async def kill(scene: Scene) -> None:
        for process in scene.stack[service]:
            if process.running and await _works(service, process):
                process.kill()
                return
        raise AssertionError(f"no {service} works on the request that was to be disturbed")

    return kill


async def _works(service: str, process: ServiceProcess) -> bool:
    """Whether a synth speaks, or a bridge owns a session in which something is left to do."""
    if service == "synth":
        return await process.metric("orastream_synth_working") > 0
    sessions = await process.metric(f"orastream_{service}_sessions")
    return sessions > await process.metric(f"orastream_{service}_sessions_without_work")


async def _restart_nats(scene: Scene) -> None:
    scene.stack.nats_server.kill()
    await scene.stack.nats_server.start()


async def _restart_oraserver(scene: Scene) -> None:
    oraserver = scene.stack.only("oraserver")
    oraserver.kill()
    await oraserver.start()


@dataclass(frozen=True)
class Part:
    """What is killed, how, and within how many seconds (p95) the speech must go on."""

    name: str
    kill: Callable[[Scene], Awaitable[None]]
    goal_s: float
    websocket: bool = True
    """Whether the utterance goes by WebSocket, so that its next chunk shows the recovery."""


PARTS = (
    Part("synth (next chunk)", kill_busy("synth"), 1.5),
    Part("ws_bridge (next chunk)", kill_busy("ws_bridge"), 1.5),
    Part("http_bridge (session taken)", kill_busy("http_bridge"), 1.5, websocket=False),
    Part("nats-server, restarted (next chunk)", _restart_nats, 5.0),
    Part("OraServer, restarted (next chunk)", _restart_oraserver, 5.0),
)
