"""Living processes that others call gone, while the machine has far more to do than cores: there should be none.

Starts a node with three processes of each worker, and busy processes beside it. Blocks, so call it in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from orastream.contract.errors import NodeUnavailable, WaitTimeout
from orastream.contract.messages import Report
from tests.bench.measure import table
from tests.support.scenes import Scene, running_node, scene_on
from tests.support.services import Stack

BUSY = 8
REPLICAS = 3
SESSIONS = 6
RETENTION_S = 30
"""How long audio is kept: with the default of ten minutes the stream of audio would be full after one minute."""
TEXT = "안녕하세요. 오늘은 날씨가 맑습니다."
CALLED_GONE = "a process is gone"
TAKEN = ("another owner has taken the session", "another owner has taken the session while the lease had run out")


def measure(seconds: float) -> tuple[str, bool]:
    """Speak for so long under load. Returns the table, and whether a living process was called gone."""
    with (
        tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder,
        running_node(Path(folder), {}, replicas=REPLICAS, TTS_AUDIO_RETENTION_SECONDS=RETENTION_S) as stack,
    ):
        with _busy(BUSY):
            statuses = asyncio.run(_speak(stack, seconds))
            load = os.getloadavg()[0]
        gone, taken = _said(stack)
    statuses_shown = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    rows = [[f"{seconds:.0f}", f"{load:.1f}", statuses_shown, str(gone), str(taken)]]
    return table(["seconds", "load", "requests", "living process called gone", "session taken from it"], rows), gone > 0


@contextlib.contextmanager
def _busy(count: int) -> Iterator[None]:
    """Run so many processes that never wait."""
    loop = "import os\nwhile os.getppid() == {}: sum(range(100000))"
    busy = [subprocess.Popen([sys.executable, "-c", loop.format(os.getpid())]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


async def _speak(stack: Stack, seconds: float) -> Counter[str]:
    """Sessions that ask one request after the other, alternating the transport; returns the number of each status."""
    statuses: Counter[str] = Counter()
    until = time.monotonic() + seconds

    async def talk(scene: Scene, number: int) -> None:
        count = 0
        while time.monotonic() < until:
            count += 1
            try:
                report = await scene.client.say(
                    TEXT,
                    session_id=scene.id(f"s{number}"),
                    phone_id="p",
                    request_id=f"r{count}",
                    use_websocket=bool(count % 2),
                    fire_and_forget=False,
                    wait_s=60,
                    ttl_seconds=60,
                )
            except (NodeUnavailable, WaitTimeout) as exc:
                statuses[type(exc).__name__] += 1
                continue
            assert isinstance(report, Report)
            statuses[report.status] += 1

    async with scene_on(stack, "load") as scene, asyncio.TaskGroup() as tasks:
        for number in range(SESSIONS):
            tasks.create_task(talk(scene, number))
    return statuses


def _said(stack: Stack) -> tuple[int, int]:
    """How often a log says that a process is gone, and that a session was taken. No process has ended."""
    gone = taken = 0
    for process in (one for replicas in stack.processes.values() for one in replicas):
        assert process.running, f"{process.name} has ended"
        for line in process.text().splitlines():
            if line.startswith("{"):
                entry = json.loads(line)
                gone += entry["event"] == CALLED_GONE
                taken += entry["event"] == "session left" and entry.get("reason") in TAKEN
    return gone, taken
