"""`kill -9` of ws_bridge and of the reference OraServer in mid-utterance, over protocol v2: exactly once, in order."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orastream.contract.messages import Report
from tests.support.processes import until
from tests.support.scenes import TEXT, Scene, reference
from tests.support.services import ServiceProcess
from tests.support.speech import sha256

WAIT_S = 90.0
GONE_S = 2.5
"""A bridge calls another one gone only when it has been connected for two seconds itself."""
MAX_PAUSE_S = 1.0
"""Before a kill, at most, from the moment on at which an utterance is under way."""
SETTINGS: dict[str, object] = {
    "ORASERVER_PROTOCOL": "v2",
    "ORASERVER_CRC": "on",
    "TTS_ENGINE_RTF": 0.2,
    "SYNTH_SLOTS": 4,
    "WEBSOCKET_MAX_RETRIES": 6,
    "TTS_AUDIO_MAX_BYTES": 1 << 30,
}
"""Of the node, which has two of each bridge. The engine is slow, so that kills come in mid-utterance."""


@dataclass(frozen=True, slots=True)
class KillsPlan:
    """How many kills, and of whom: `oraserver`, `ws_bridge`."""

    kills: int
    seed: int = 1
    sessions: int = 4
    victims: tuple[str, ...] = ("ws_bridge", "oraserver")


@dataclass(slots=True)
class KillsOutcome:
    """What came of it."""

    utterances: int = 0
    seconds: float = 0.0
    killed: Counter[str] = field(default_factory=Counter)
    in_two_processes: int = 0
    """Utterances that the application got from more than one process of OraServer."""
    opened_again: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        killed = ", ".join(f"{name} {times} times" for name, times in sorted(self.killed.items()))
        return (
            f"{self.utterances} utterances in {self.seconds:.0f} s; killed: {killed}; {self.opened_again} utterances "
            f"were opened again, {self.in_two_processes} were given on by more than one process of OraServer"
        )


class Kills:
    """One run on the node of a scene, which needs SETTINGS. OraServer must not have received anything before."""

    def __init__(self, scene: Scene, plan: KillsPlan) -> None:
        self._scene, self._plan = scene, plan
        self._random = random.Random(plan.seed)
        self._over = False
        self._bridge_killed_at = 0.0
        self.outcome = KillsOutcome()

    async def run(self) -> KillsOutcome:
        """Speak in all sessions until all kills have happened, and compare what the application got."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for index in range(self._plan.sessions):
                tasks.create_task(self._session(f"s{index}", waits=bool(index % 2)))
            for number in range(self._plan.kills):
                await self._kill(self._plan.victims[number % len(self._plan.victims)])
            self._over = True
        self.outcome.seconds = time.monotonic() - began
        await self._judge()
        return self.outcome

    async def _session(self, name: str, *, waits: bool) -> None:
        """One utterance after the other. Those whose caller `waits` are sent as fast as they are made."""
        scene, number = self._scene, 0
        while not self._over:
            request = f"{name}.{number}"
            number += 1
            options: dict[str, Any] = {"fire_and_forget": not waits, "use_websocket": True, "ttl_seconds": 600}
            await scene.client.say(
                TEXT,
                session_id=scene.id(name),
                phone_id="p",
                request_id=scene.id(request),
                **({**options, "wait_s": WAIT_S} if waits else options),
            )
            report = await scene.client.wait(scene.id(name), scene.id(request), WAIT_S)
            assert isinstance(report, Report)
            self.outcome.utterances += 1
            if report.status != "delivered":
                self.outcome.problems.append(f"{request} is {report.status}: {report.error}")

    async def _kill(self, service: str) -> None:
        """Kill a process at a random moment of an utterance, and start it again."""
        if service == "ws_bridge":
            await asyncio.sleep(max(0.0, self._bridge_killed_at + GONE_S - time.monotonic()))

        async def in_mid_utterance() -> bool:
            await until(self._under_way, "an utterance is under way", timeout_s=WAIT_S)
            await asyncio.sleep(self._random.uniform(0, MAX_PAUSE_S))
            return await self._under_way()

        await until(in_mid_utterance, "a random moment of an utterance", timeout_s=WAIT_S, poll_s=0)
        victim = await self._victim(service)
        victim.kill()
        self.outcome.killed[victim.name] += 1
        await victim.start()
        if service == "ws_bridge":
            self._bridge_killed_at = time.monotonic()

    async def _victim(self, service: str) -> ServiceProcess:
        """The one of its processes that has the most sessions with work."""
        processes = self._scene.stack[service]
        if len(processes) == 1:
            return processes[0]
        busy = {
            process.name: await process.metric(f"orastream_{service}_sessions")
            - await process.metric(f"orastream_{service}_sessions_without_work")
            for process in processes
        }
        return max(processes, key=lambda process: busy[process.name])

    async def _under_way(self) -> bool:
        """Whether OraServer has some of an utterance, and not all of it."""
        utterances = (await self._scene.stack.received())["utterances"]
        return any(one["state"] == "unfinished" and one["bytes"] for one in utterances)

    async def _judge(self) -> None:
        outcome, received = self.outcome, await self._scene.stack.received()
        folder = Path(received["dataDir"])
        given = given_ranges(folder)
        expected = sha256(await reference(TEXT))
        utterances = received["utterances"]
        if received["violations"]:
            outcome.problems.append(f"violations of the protocol: {[one['violations'] for one in utterances]}")
        if len(utterances) != outcome.utterances:
            outcome.problems.append(f"{len(utterances)} utterances arrived of {outcome.utterances}")
        for one in utterances:
            number = int(Path(one["file"]).name.partition("-")[0])
            ranges = given.get(number, [])
            outcome.in_two_processes += len({process for _, _, process in ranges}) > 1
            outcome.opened_again += one["opens"] > 1
            if not one["complete"] or one["sha256"] != expected or one["skipped"]:
                outcome.problems.append(f"{one['requestId']} is not complete, or differs: {one}")
            wrong = [(a, b) for a, b in zip([(0, 0, 0), *ranges], ranges, strict=False) if a[1] != b[0]]
            if wrong or not ranges or ranges[-1][1] != one["size"]:
                outcome.problems.append(f"the application got {one['requestId']} in {ranges}, of {one['size']} bytes")


def given_ranges(data_dir: Path) -> dict[int, list[tuple[int, int, int]]]:
    """By number of the utterance: each range that the application has got (from, to), and the pid, in this order."""
    found: dict[int, list[tuple[int, int, int]]] = {}
    for line in (data_dir / "v2" / "application.jsonl").read_text().splitlines():
        entry = json.loads(line)
        found.setdefault(entry["number"], []).append((entry["from"], entry["to"], entry["process"]))
    return found
