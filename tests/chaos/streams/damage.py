"""Many sessions over protocol v2, while the reference OraServer drops and damages frames of audio."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from orastream.contract.messages import Report
from tests.support.scenes import Scene, reference
from tests.support.speech import sha256

TEXT = "네, 알겠습니다."
WAIT_S = 240.0
MAX_RESENT = 1.2
"""The most bytes that may be sent again for each byte that was dropped or damaged."""
SETTINGS: dict[str, object] = {
    "ORASERVER_PROTOCOL": "v2",
    "ORASERVER_CONNECTIONS": 4,
    "ORASERVER_CRC": "on",
    "TTS_AUDIO_MAX_BYTES": 1 << 30,
}
"""Of the node: protocol v2 with checksums, so that damage is found."""


@dataclass(frozen=True, slots=True)
class DamagePlan:
    """How much is spoken, and what share of the frames does not arrive: half is dropped, half damaged."""

    sessions: int
    utterances: int
    share: float = 0.05
    seed: int = 1


@dataclass(frozen=True, slots=True)
class DamageOutcome:
    """What came of it."""

    utterances: int
    seconds: float
    lost_bytes: int
    resent_bytes: int
    lost_frames: int
    audio_frames: int
    connections: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.utterances} utterances in {self.seconds:.0f} s over {self.connections} connections: "
            f"{self.lost_frames} of {self.audio_frames} frames dropped or damaged; {self.resent_bytes} bytes sent "
            f"again for {self.lost_bytes} lost ones "
            f"({self.resent_bytes / max(self.lost_bytes, 1):.3f}, at most {MAX_RESENT})"
        )


async def speak_through_damage(scene: Scene, plan: DamagePlan) -> DamageOutcome:
    """Have all utterances spoken, those of a session one after the other, and compare what arrived with the engine's.

    The node of the scene needs SETTINGS. The faults are cleared at the end.
    """
    began = time.monotonic()
    await scene.stack.misbehave(drop_audio=plan.share / 2, damage_audio=plan.share / 2, seed=plan.seed)
    problems: list[str] = []

    async def session(name: str) -> None:
        for number in range(plan.utterances):
            report = await scene.client.say(
                TEXT,
                session_id=scene.id(name),
                phone_id=f"phone of {name}",
                request_id=scene.id(f"{name}.{number}"),
                fire_and_forget=False,
                use_websocket=True,
                wait_s=WAIT_S,
                ttl_seconds=600,
            )
            assert isinstance(report, Report)
            if report.status != "delivered":
                problems.append(f"{report.request_id} is {report.status}: {report.error}")

    async with asyncio.TaskGroup() as tasks:
        for index in range(plan.sessions):
            tasks.create_task(session(f"s{index}"))
    seconds = time.monotonic() - began
    streams = await scene.stack.oraserver("GET", "/streams")
    await scene.stack.misbehave()
    counts = streams["counts"]
    lost, resent = counts["dropped_bytes"] + counts["damaged_bytes"], counts["retransmitted_bytes"]
    if resent > MAX_RESENT * lost:
        problems.append(f"{resent} bytes were sent again for {lost} lost ones")
    if counts["connections"] > 4:
        problems.append(f"{counts['connections']} connections")
    problems += await _differences(scene, plan)
    return DamageOutcome(
        plan.sessions * plan.utterances,
        seconds,
        lost,
        resent,
        counts["dropped_frames"] + counts["damaged_frames"],
        counts["audio_frames"],
        counts["connections"],
        tuple(problems),
    )


async def _differences(scene: Scene, plan: DamagePlan) -> list[str]:
    """What OraServer has that it should not have, and the other way round."""
    received = await scene.stack.received()
    expected = sha256(await reference(TEXT))
    of_session: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in received["utterances"]:
        of_session[one["sessionId"]].append(one)
    problems = [f"{received['violations']} violations of the protocol"] if received["violations"] else []
    for index in range(plan.sessions):
        name = f"s{index}"
        utterances = sorted(of_session[scene.id(name)], key=lambda one: int(one["seq"]))
        wanted = [scene.id(f"{name}.{number}") for number in range(plan.utterances)]
        if [one["requestId"] for one in utterances] != wanted:
            problems.append(f"{name} has {[one['requestId'] for one in utterances]}")
        problems += [
            f"{one['requestId']} is not complete, or differs: {one}"
            for one in utterances
            if not one["complete"] or one["sha256"] != expected
        ]
    return problems
