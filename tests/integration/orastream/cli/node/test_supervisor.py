"""The supervisor with real processes: restarts, drain, and no process left at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orastream.cli.node.supervisor import NodePart, NotStarted, PartKeeper, State, Supervisor
from tests.support.services import REPOSITORY, environment

pytestmark = pytest.mark.integration

SLEEPER = "import time; open({ready!r}, 'w').close(); print('up', flush=True); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER.partition("; ")[2]
PARENT = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    "open({ready!r}, 'w').write(str(child.pid)); time.sleep(600)"
)


def a_part(folder: Path, name: str, code: str = SLEEPER, *, stage: int = 0, grace_s: float = 5.0) -> NodePart:
    """A process that runs this code. It is ready when it has created the file `<name>.ready`."""
    ready = folder / f"{name}.ready"

    async def lacks() -> str | None:
        return None if ready.exists() else "its file"

    command = (sys.executable, "-c", code.format(ready=str(ready)))
    return NodePart(name, command, dict(os.environ), lacks, stage=stage, grace_s=grace_s)


def gone(pid: int) -> bool:
    """Whether no process with this id runs. A zombie does not count as running."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def until(condition: Callable[[], object], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def supervised(folder: Path, *parts: NodePart) -> AsyncIterator[Supervisor]:
    async with Supervisor(parts, folder / "logs") as supervisor:
        await supervisor.ready(20)
        yield supervisor


async def test_supervisor_restarts_a_killed_process(tmp_path: Path) -> None:
    sentences: list[str] = []

    def on_event(_keeper: PartKeeper, sentence: str) -> None:
        sentences.append(sentence)

    async with Supervisor([a_part(tmp_path, "synth")], tmp_path / "logs", on_event) as supervisor:
        await supervisor.ready(20)
        keeper = supervisor.keeper("synth")
        first = keeper.pid
        assert first is not None
        (tmp_path / "synth.ready").unlink()
        os.kill(first, signal.SIGKILL)
        await until(lambda: keeper.restarts == 1 and keeper.state is State.READY)
        assert keeper.pid not in (None, first)
        assert keeper.log.last_lines(5) == ["up"]
    assert gone(first)
    assert any("SIGKILL" in sentence for sentence in sentences)
    assert any("ready again" in sentence for sentence in sentences)


async def test_supervisor_drains_stage_by_stage_within_the_deadline(tmp_path: Path) -> None:
    ended: list[str] = []

    def on_event(keeper: PartKeeper, _sentence: str) -> None:
        if keeper.state is State.STOPPED:
            ended.append(keeper.part.name)

    parts = [
        a_part(tmp_path, "nats", stage=2),
        a_part(tmp_path, "oraserver", stage=1),
        a_part(tmp_path, "deaf", DEAF, grace_s=0.3),
    ]
    async with Supervisor(parts, tmp_path / "logs", on_event) as supervisor:
        await supervisor.ready(20)
        pids = [keeper.pid for keeper in supervisor.keepers]
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert ended == ["deaf", "oraserver", "nats"]
    assert all(pid is not None and gone(pid) for pid in pids)


async def test_supervisor_kills_the_children_of_a_killed_process(tmp_path: Path) -> None:
    async with supervised(tmp_path, a_part(tmp_path, "synth", PARENT)) as supervisor:
        engine = int((tmp_path / "synth.ready").read_text())
        assert not gone(engine)
        pid = supervisor.keeper("synth").pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: gone(engine))


async def test_start_again_starts_the_process_with_another_environment(tmp_path: Path) -> None:
    code = "import os; print(os.environ.get('TTS_ENGINE_RTF'), flush=True); " + SLEEPER.replace("print('up'); ", "")
    async with supervised(tmp_path, a_part(tmp_path, "synth", code)) as supervisor:
        keeper = supervisor.keeper("synth")
        (tmp_path / "synth.ready").unlink()
        keeper.start_again({"TTS_ENGINE_RTF": "0.1"})
        await supervisor.ready(20)
        assert keeper.log.last_lines(5)[0] == "0.1"
        assert keeper.restarts == 0


async def test_files_of_a_process_are_written_before_each_start(tmp_path: Path) -> None:
    """nats-server would not start without its configuration, or with one that was edited."""
    config = tmp_path / "new" / "nats.conf"
    code = f"print(open({str(config)!r}).read(), flush=True); " + SLEEPER.replace("print('up', flush=True); ", "")
    part = replace(a_part(tmp_path, "nats", code), files={config: "as planned"})
    async with supervised(tmp_path, part) as supervisor:
        keeper = supervisor.keeper("nats")
        assert keeper.log.last_lines(5) == ["as planned"]
        for restarts, edit in enumerate((config.unlink, lambda: config.write_text("edited")), 1):
            edit()
            (tmp_path / "nats.ready").unlink()
            assert keeper.pid is not None
            os.kill(keeper.pid, signal.SIGKILL)
            await until(lambda count=restarts: keeper.restarts == count and keeper.state is State.READY)  # type: ignore[misc]
            assert keeper.log.last_lines(5) == ["as planned"]


async def test_supervisor_tries_again_when_a_file_cannot_be_written(tmp_path: Path) -> None:
    """For example on a full disk. Here a folder has its name."""
    config = tmp_path / "nats.conf"
    part = replace(a_part(tmp_path, "nats"), files={config: "as planned"})
    async with supervised(tmp_path, part) as supervisor:
        keeper = supervisor.keeper("nats")
        config.unlink()
        config.mkdir()
        assert keeper.pid is not None
        os.kill(keeper.pid, signal.SIGKILL)
        await until(lambda: keeper.restarts >= 2)
        config.rmdir()
        await until(lambda: keeper.state is State.READY)
        assert config.read_text() == "as planned"


async def test_start_fails_at_once_when_a_process_exits_with_a_settings_error(tmp_path: Path) -> None:
    code = "import sys; sys.exit(print('synth: TTS_ENGINE: unknown', flush=True) or 2)"
    with pytest.raises(NotStarted, match="TTS_ENGINE: unknown"):
        async with supervised(tmp_path, a_part(tmp_path, "synth", code)):
            pass


async def test_start_fails_when_a_command_does_not_exist(tmp_path: Path) -> None:
    async def never() -> str | None:
        return "everything"

    part = NodePart("nats-server", (str(tmp_path / "nowhere"),), dict(os.environ), never)
    with pytest.raises(NotStarted, match="No such file"):
        async with supervised(tmp_path, part):
            pass


async def test_start_that_takes_too_long_names_what_is_not_ready(tmp_path: Path) -> None:
    part = a_part(tmp_path, "synth", "import time; time.sleep(600)")
    with pytest.raises(NotStarted, match="its file"):
        async with Supervisor([part], tmp_path / "logs") as supervisor:
            await supervisor.ready(0.5)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux'")
async def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, {str(REPOSITORY)!r})
from tests.integration.orastream.cli.node.test_supervisor import a_part, supervised, DEAF, PARENT

async def main():
    folder = Path({str(tmp_path)!r})
    async with supervised(folder, a_part(folder, "deaf", DEAF), a_part(folder, "other")) as supervisor:
        print(*(keeper.pid for keeper in supervisor.keepers), flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment({}), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in (await asyncio.wait_for(process.stdout.readline(), 30)).split()]
    assert len(pids) == 2
    process.kill()
    await process.wait()
    await until(lambda: all(gone(pid) for pid in pids))


async def test_a_held_process_stays_dead_until_it_is_released(tmp_path: Path) -> None:
    async with supervised(tmp_path, a_part(tmp_path, "one")) as node:
        keeper = node.keeper("one")
        first = keeper.pid
        assert first is not None
        keeper.hold()
        await until(lambda: keeper.state is State.HELD)
        assert keeper.pid is None and gone(first)
        await asyncio.sleep(0.5)  # longer than the first wait before a restart
        assert keeper.state is State.HELD
        keeper.release()
        await until(lambda: keeper.state is State.READY)
        assert keeper.pid not in (None, first)
        keeper.hold()  # one that is held at the end does not keep the supervisor
    assert keeper.state is State.STOPPED
