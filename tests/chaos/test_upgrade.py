"""An upgrade under load, and the way back: services of an older commit beside today's, process by process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest

from orastream.contract.messages import Report
from tests.support.processes import Logs
from tests.support.scenes import Scene, running_node, scene_on
from tests.support.services import REPOSITORY, ServiceProcess, environment

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

OLDER = "d8a5c84"
"""A commit of this repository: its services run first."""
ORDER = ("ws_bridge", "http_bridge", "gateway", "synth")
"""As the operator's guide says: synth last."""
SESSIONS = 6
TEXT = "안녕하세요. 오늘은 날씨가 아주 맑습니다. The quick brown fox jumps over the lazy dog. 비빔밥이 좋습니다."


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code of OLDER."""
    archive = subprocess.run(
        ["git", "archive", OLDER, "shared", "services"], cwd=REPOSITORY, capture_output=True, check=False
    )
    if archive.returncode and "REQUIRE_HISTORY" not in os.environ:
        pytest.skip(f"this checkout has no commit {OLDER} (REQUIRE_HISTORY=1 makes that a failure)")
    assert archive.returncode == 0, archive.stderr.decode()
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    found = subprocess.run(
        [sys.executable, "-c", "import orastream, services.synth; print(orastream.__file__, services.synth.__file__)"],
        env=environment({}, folder),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.count(str(folder)) == 2, f"its processes would not run that code: {found.stdout}"
    return folder


def test_services_are_upgraded_and_taken_back_under_load(older: Path, tmp_path: Path, logs: Logs) -> None:
    """Every request is delivered, with its own audio, in order, and no chunk is heard twice."""
    settings = {"TTS_ENGINE_RTF": 0.2, "SYNTH_SLOTS": 3}
    with running_node(tmp_path, logs, gateway=True, code=older, **settings) as stack:

        async def scenario() -> None:
            async with scene_on(stack, "upgrade") as scene:
                ended = asyncio.Event()
                async with asyncio.TaskGroup() as group:
                    talks = [group.create_task(talk(scene, number, ended)) for number in range(SESSIONS)]
                    await asyncio.sleep(3)
                    processes = [process for service in ORDER for process in stack[service]]
                    await exchange(processes, REPOSITORY)
                    await exchange(processes[::-1], older)
                    ended.set()
                spoken = [task.result() for task in talks]
                await check(scene, spoken)

        asyncio.run(scenario())


async def exchange(processes: Sequence[ServiceProcess], code: Path) -> None:
    """Stop each process and start it from `code`, one after the other."""
    for process in processes:
        assert await process.stop() == 0, f"{process.name} did not drain"
        process.run_from(code)
        await process.start()


async def talk(scene: Scene, number: int, ended: asyncio.Event) -> int:
    """One request after the other in a session, until `ended`. Returns how many were delivered; fails for another."""
    for turn in count():
        if ended.is_set():
            return turn
        report = await scene.client.say(
            TEXT,
            session_id=scene.id(f"s{number}"),
            phone_id="p",
            request_id=scene.id(f"s{number}-r{turn}"),
            use_websocket=number % 3 != 0,
            fire_and_forget=False,
        )
        assert isinstance(report, Report) and report.status == "delivered", report
    raise AssertionError


async def check(scene: Scene, spoken: Sequence[int]) -> None:
    """OraServer has got each request whole, in order, once."""
    assert min(spoken) >= 2, "too little was spoken meanwhile"
    for number, turns in enumerate(spoken):
        received = await scene.stack.received(scene.id(f"s{number}"))
        names = [utterance["requestId"] for utterance in received["utterances"]]
        assert names == [scene.id(f"s{number}-r{turn}") for turn in range(turns)]
        assert [utterance["repeats"] for utterance in received["utterances"]] == [0] * turns
        for name in names:
            await scene.check(name.removeprefix(f"{scene.name}."), TEXT)
