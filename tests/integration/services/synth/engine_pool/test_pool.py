"""The pool under crashes, kills and cancellation, and engines that misbehave."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
import uvloop

from services.synth.engine_pool.pool import EnginePool
from services.synth.engine_pool.process import ProcessLimits
from services.synth.engines.base import EngineCrashed, EngineError
from tests.support.engines import KOREAN, LOG, LONG, RATE, eventually, gone, install_strange_engine, spoken

pytestmark = pytest.mark.integration


@pytest.fixture
async def pool() -> AsyncIterator[EnginePool]:
    async with EnginePool("espeak", 1, log=LOG) as pool:
        yield pool


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EnginePool]:
    """Makes a pool of the strange engine."""
    install_strange_engine(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return partial(EnginePool, "strange", slots=1, log=LOG)


async def test_killed_engine_fails_one_utterance_and_is_replaced(pool: EnginePool) -> None:
    async with pool.acquire() as engine:
        speech = engine.speak(LONG, voice=None, language="ko-KR", rtf=1.0)
        await anext(speech)
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(EngineCrashed, match="engine 'espeak' died"):
            async for _ in speech:
                pass
        with pytest.raises(EngineCrashed, match="is gone"):
            engine.speak(KOREAN, voice=None, language="ko-KR")
    async with pool.acquire() as other:
        assert other.pid != engine.pid
        assert await spoken(other, KOREAN)
    assert pool.restarts == 1
    assert pool.alive == 1


async def test_idle_engine_is_replaced_when_it_is_killed(pool: EnginePool) -> None:
    async with pool.acquire() as engine:
        victim = engine.pid
    os.kill(victim, signal.SIGKILL)
    await eventually(lambda: pool.restarts == 1)
    async with pool.acquire() as engine:
        assert await spoken(engine, KOREAN)


async def test_slot_is_free_when_the_speaking_task_is_cancelled(pool: EnginePool) -> None:
    begun = asyncio.Event()

    async def speak() -> None:
        async with pool.acquire() as engine:
            async for _ in engine.speak(LONG, voice=None, language="ko-KR", rtf=1.0):
                begun.set()

    task = asyncio.create_task(speak())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with pool.acquire() as engine:
        assert await spoken(engine, KOREAN)
    assert pool.restarts == 0


async def test_slots_are_given_in_the_order_of_the_requests(pool: EnginePool) -> None:
    order: list[int] = []

    async def take(number: int) -> None:
        async with pool.acquire():
            order.append(number)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        async with pool.acquire():
            tasks = [group.create_task(take(number)) for number in range(5)]
            await asyncio.sleep(0)
            tasks[1].cancel()
        late = group.create_task(take(9))  # asks while the slot is being passed to the first waiter
    assert late.done()
    assert order == [0, 2, 3, 4, 9]


async def test_engine_ignores_sigterm_and_sigint_while_it_speaks(pool: EnginePool) -> None:
    async with pool.acquire() as engine:
        whole = await spoken(engine, KOREAN)
        speech = engine.speak(KOREAN, voice=None, language="ko-KR", rtf=0.1)
        first = await anext(speech)
        os.kill(engine.pid, signal.SIGTERM)
        os.kill(engine.pid, signal.SIGINT)
        assert first + b"".join([pcm async for pcm in speech]) == whole


async def test_processes_end_with_the_pool(pool: EnginePool) -> None:
    async with EnginePool("espeak", 2, log=LOG) as pool, pool.acquire() as one, pool.acquire() as other:
        await anext(one.speak(LONG, voice=None, language="ko-KR", rtf=1.0))
        pids = [one.pid, other.pid]
    assert all(gone(pid) for pid in pids)


PARENT = """
import asyncio, structlog
from services.synth.engine_pool.pool import EnginePool
async def main():
    async with EnginePool("espeak", 2, log=structlog.get_logger()) as pool:
        async with pool.acquire() as one, pool.acquire() as other:
            await anext(one.speak("안녕하세요 " * 20, voice=None, language="ko", rtf=5.0))
            print(one.pid, other.pid, flush=True)
            await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_processes_end_when_their_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in (await asyncio.to_thread(parent.stdout.readline)).split()]
        assert len(pids) == 2
        assert not any(map(gone, pids))
        parent.kill()
        await eventually(lambda: all(map(gone, pids)))


def test_pool_works_on_uvloop() -> None:
    async def main() -> None:
        async with EnginePool("espeak", 2, log=LOG) as pool, pool.acquire() as engine:
            assert len(await spoken(engine, KOREAN)) > RATE
            await anext(engine.speak(LONG, voice=None, language="ko-KR", rtf=1.0))

    uvloop.run(main())


async def test_engine_pauses_when_its_audio_is_not_read(strange: Callable[..., EnginePool]) -> None:
    async with strange() as pool, pool.acquire() as engine:
        written = Path(f"/proc/{engine.pid}/io")
        async with aclosing(engine.speak("x", voice="endless", language="ko")) as speech:
            await anext(speech)
            await eventually(lambda: "pipe" in Path(f"/proc/{engine.pid}/wchan").read_text() or _blocked(engine.pid))
            assert int(written.read_text().split("wchar: ")[1].split()[0]) < 400_000
    assert pool.restarts == 0, "the engine was killed; it must react to stop while its pipe is full"


def _blocked(pid: int) -> bool:
    """Whether the process wrote nothing for a while (if the kernel does not show what it waits for)."""
    before = Path(f"/proc/{pid}/io").read_text().split("wchar: ")[1].split()[0]
    time.sleep(0.2)
    return before == Path(f"/proc/{pid}/io").read_text().split("wchar: ")[1].split()[0]


async def test_prints_of_an_engine_do_not_disturb_the_protocol(strange: Callable[..., EnginePool]) -> None:
    async with strange() as pool, pool.acquire() as engine:
        assert not pool.info.deterministic
        assert len(await spoken(engine, "x", voice="calm")) == 1600 + 8000


async def test_traceback_in_the_log_of_an_engine_has_no_variables(
    strange: Callable[..., EnginePool], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The text is one of them, and the key of a speech server."""
    monkeypatch.setenv("STRANGE", "logs")
    async with strange() as pool, pool.acquire() as engine:
        assert await spoken(engine, "a word of the listener", voice="logs")
    log = capfd.readouterr().err
    assert "a bug of the engine" in log and "ZeroDivisionError: a bug" in log
    assert "listener" not in log


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("fails", "set STRANGE_WEIGHTS"),
        ("exits", "ended while it started .*3"),
        ("hangs", "not ready after"),
    ],
)
async def test_pool_that_cannot_start_raises_with_the_reason(
    strange: Callable[..., EnginePool], monkeypatch: pytest.MonkeyPatch, behaviour: str, message: str
) -> None:
    monkeypatch.setenv("STRANGE", behaviour)
    with pytest.raises(EngineError, match=message):
        async with strange(slots=2, limits=ProcessLimits(start_s=3.0 if behaviour == "hangs" else 30.0)):
            raise AssertionError("the pool started")


async def test_pool_raises_when_the_engine_is_not_installed() -> None:
    with pytest.raises(EngineError, match="'parrot' is not installed; there is: .*espeak"):
        async with EnginePool("parrot", 2, log=LOG):
            raise AssertionError("the pool started")


async def test_pool_raises_when_the_interpreter_does_not_exist() -> None:
    with pytest.raises(EngineError, match="/no/python cannot be started: No such file"):
        async with EnginePool("espeak", 2, log=LOG, python="/no/python"):
            raise AssertionError("the pool started")


async def test_engine_is_usable_after_an_error(strange: Callable[..., EnginePool]) -> None:
    async with strange() as pool, pool.acquire() as engine:
        for voice, message in (("raises", "out of breath"), ("half", "half a sample")):
            with pytest.raises(EngineError, match=message):
                await spoken(engine, "x", voice=voice)
        assert await spoken(engine, "x", voice="calm")
        assert pool.restarts == 0


@pytest.mark.parametrize(
    ("voice", "stall_s", "message"), [("hangs", 0.5, "gave nothing for 0.5 s"), ("bug", 20.0, "died")]
)
async def test_engine_that_hangs_or_has_a_bug_is_replaced(
    strange: Callable[..., EnginePool], voice: str, stall_s: float, message: str
) -> None:
    async with strange(limits=ProcessLimits(stall_s=stall_s)) as pool:
        async with pool.acquire() as engine:
            with pytest.raises(EngineCrashed, match=message):
                await spoken(engine, "x", voice=voice)
        async with pool.acquire() as engine:
            assert await spoken(engine, "x", voice="calm")
        assert pool.restarts == 1


async def test_engine_that_does_not_react_to_stop_is_killed(strange: Callable[..., EnginePool]) -> None:
    async with strange() as pool:
        started = time.monotonic()
        async with pool.acquire() as engine:
            await anext(engine.speak("x", voice="deaf", language="ko"))
        assert time.monotonic() - started < 10, "the engine was not killed; it sleeps for a minute"
        async with pool.acquire() as engine:
            assert await spoken(engine, "x", voice="calm")
