"""Several sentences at the same time in one engine process, each with its own stop, window and end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing, suppress
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import uvloop

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.audio_messages import AudioChunk
from orastream.contract.errors import SettingsError
from orastream.service import memory
from services.synth.engine_pool import frames
from services.synth.engine_pool.pool import EnginePool
from services.synth.engine_pool.process import STOP_S, ProcessLimits
from services.synth.engine_pool.slot import Slot
from services.synth.engines.base import EngineCrashed, EngineError
from services.synth.speech.speaker import PoolSpeaker
from services.synth.text.script import ScriptLine
from tests.support.engines import LOG, eventually, gone, install_choir_engine, spoken
from tests.support.processes import until
from tests.support.services import Stack

pytestmark = pytest.mark.integration

MakePool = Callable[..., EnginePool]


@pytest.fixture
def choir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePool:
    """Makes a pool of an engine that speaks three sentences at once."""
    install_choir_engine(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return partial(EnginePool, "choir", slots=3, log=LOG)


async def slot_of(stack: AsyncExitStack, pool: EnginePool) -> Slot:
    return await stack.enter_async_context(pool.acquire())


async def who(engine: Slot) -> tuple[int, bool, int]:
    """Returns process id, whether it speaks on the thread that loaded the engine, and its earlier sentences."""
    pcm = await spoken(engine, "x", voice="who")
    return int.from_bytes(pcm[:4], "little"), bool(pcm[4]), pcm[5]


async def test_one_process_speaks_several_sentences_at_the_same_time(choir: MakePool) -> None:
    async with choir() as pool, AsyncExitStack() as stack:
        assert (pool.alive, pool.info.at_once) == (1, 3)
        slots = [await slot_of(stack, pool) for _ in range(3)]
        endless = [one.speak(letter, voice="endless", language="ko") for one, letter in zip(slots, "abc", strict=True)]
        for _ in range(20):
            for speech, letter in zip(endless, "abc", strict=True):
                assert set(await anext(speech)) == {ord(letter)}, "a reader got the audio of another sentence"
        fourth = asyncio.create_task(slot_of(stack, pool))
        await endless[1].aclose()
        assert await spoken(slots[1], "d") == b"d" * 800, "the slot of the stopped sentence does not speak"
        assert set(await anext(endless[0])) | set(await anext(endless[2])) == {ord("a"), ord("c")}
        assert not fourth.done(), "a fourth sentence got a slot, although there are three"
        slots[2].leave()
        assert await spoken(await fourth, "e") == b"e" * 800
        assert set(await anext(endless[0])) == {ord("a")}


@pytest.mark.parametrize(("at_once", "slots", "processes"), [(1, 2, 2), (3, 2, 1), (3, 4, 2), (3, 7, 3)])
async def test_pool_starts_as_many_processes_as_the_slots_need(
    choir: MakePool, monkeypatch: pytest.MonkeyPatch, at_once: int, slots: int, processes: int
) -> None:
    monkeypatch.setenv("CHOIR_AT_ONCE", str(at_once))
    async with choir(slots=slots) as pool, AsyncExitStack() as stack:
        assert pool.alive == processes
        answers = [await who(await slot_of(stack, pool)) for _ in range(slots)]
        assert {pid for pid, _, _ in answers} == set(pool.pids), "a process does not speak"
        assert at_once > 1 or all(loaded for _, loaded, _ in answers), (
            "a single sentence is not spoken on the thread that loaded the engine"
        )
        assert all(before >= 1 for _, _, before in answers), "a process has not spoken its warm-up sentence"


async def test_pool_starts_one_process_for_an_engine_that_does_not_scale(
    choir: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHOIR_SCALES", "no")
    async with choir(slots=8) as pool, AsyncExitStack() as stack:
        assert pool.alive == 1
        for _ in range(3):
            await slot_of(stack, pool)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await slot_of(stack, pool)


async def test_slow_reader_does_not_delay_other_sentences(choir: MakePool) -> None:
    """Audio that it does not read waits in the process, within a window; other sentences continue."""
    async with choir() as pool, AsyncExitStack() as stack:
        slow, quick = await slot_of(stack, pool), await slot_of(stack, pool)
        flood = slow.speak("a", voice="flood", language="ko")
        first = await anext(flood)
        written = Path(f"/proc/{slow.pid}/io")
        for _ in range(50):
            assert await spoken(quick, "b") == b"b" * 800
        size = int(written.read_text().split("wchar: ")[1].split()[0])
        assert size < frames.WINDOW_BYTES + 3 * frames.PIECE_BYTES + 50 * 1_000
        rest = [pcm async for pcm in flood]
        assert len(first) + sum(map(len, rest)) == flood.total_bytes == 4_000_000, (
            "audio was lost because its reader was slow"
        )


async def test_sentence_has_no_total_when_its_reader_leaves_early(choir: MakePool) -> None:
    async with choir() as pool, pool.acquire() as engine, pool.acquire() as other:
        async with aclosing(engine.speak("a", voice="calm", language="ko")) as speech:
            await spoken(other, "b", voice="slow")  # by then all of `a` has come
        assert speech.total_bytes is None
        assert [pcm async for pcm in speech] == []
        assert await spoken(engine, "c") == b"c" * 800


async def test_error_ends_only_its_own_sentence(choir: MakePool) -> None:
    async with choir() as pool, AsyncExitStack() as stack:
        one, other = await slot_of(stack, pool), await slot_of(stack, pool)
        speech = one.speak("a", voice="endless", language="ko")
        with pytest.raises(EngineError, match="out of breath"):
            await spoken(other, "b", voice="raises")
        assert await anext(speech)
        assert pool.restarts == 0


@pytest.mark.parametrize("how", ["bug", "crashes", "killed"])
async def test_crash_fails_every_sentence_of_the_process(choir: MakePool, how: str) -> None:
    async with choir() as pool:
        async with AsyncExitStack() as stack:
            slots = [await slot_of(stack, pool) for _ in range(3)]
            speeches = [one.speak("a", voice="endless", language="ko") for one in slots[:2]]
            for speech in speeches:
                await anext(speech)
            if how == "killed":
                os.kill(slots[2].pid, signal.SIGKILL)
            else:
                with pytest.raises(EngineCrashed, match="engine 'choir' died"):
                    await spoken(slots[2], "b", voice=how)
            for speech in speeches:
                with pytest.raises(EngineCrashed, match="engine 'choir' died"):
                    async for _ in speech:
                        pass
            with pytest.raises(EngineCrashed, match="is gone"):
                slots[0].speak("a", voice="calm", language="ko")
        async with pool.acquire() as engine:
            assert (await who(engine))[2] == 1, "the new process has not spoken its warm-up sentence"
        assert pool.restarts == 1


@pytest.mark.parametrize("reader_waits", [True, False])
async def test_other_sentences_finish_when_one_hangs(choir: MakePool, reader_waits: bool) -> None:
    """Its reader gets an error; a new process takes over, and the old one ends after its last sentence."""
    async with choir(limits=ProcessLimits(stall_s=1.5)) as pool, AsyncExitStack() as stack:
        one, other = await slot_of(stack, pool), await slot_of(stack, pool)
        speech = one.speak("a", voice="endless", language="ko")
        if reader_waits:
            with pytest.raises(EngineCrashed, match="gave nothing for 1.5 s"):
                await spoken(other, "b", voice="hangs")
        else:
            hanging = other.speak("b", voice="hangs", language="ko")
            await anext(hanging)
            await hanging.aclose()
        await eventually(lambda: pool.restarts == 1, 30)
        for _ in range(100):
            assert await anext(speech), "another sentence of the process ended early"
        third = await slot_of(stack, pool)
        assert third.pid != one.pid
        assert await spoken(third, "c") == b"c" * 800
        await stack.aclose()
        await eventually(lambda: gone(one.pid))
        assert pool.pids == [third.pid]


async def test_queued_sentence_fails_at_once_when_all_threads_hang(
    choir: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence queued behind one that does not stop fails together with it, not after a timeout of its own."""
    monkeypatch.setenv("CHOIR_AT_ONCE", "1")
    async with choir(slots=1) as pool, pool.acquire() as engine:
        await anext(deaf := engine.speak("a", voice="hangs", language="ko"))
        deaf.stop()
        with pytest.raises(EngineCrashed, match="died"):
            async with asyncio.timeout(10):
                await spoken(engine, "b")


async def test_sentence_that_is_due_first_is_spoken_first(choir: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With real processes, waiting lines, a cancelled line, and a late urgent one."""
    monkeypatch.setenv("CHOIR_AT_ONCE", "1")
    async with choir(slots=1) as pool:
        speaker, order = PoolSpeaker(pool), list[str]()
        now = asyncio.get_running_loop().time()

        async def say(name: str, due_s: float) -> None:
            line = ScriptLine(name, name, "ko", 1.0)
            async with speaker.speak(line, voice=None, due_s=now + due_s, skip_bytes=0, keep_skipped=False) as speech:
                order.append(name)
                assert b"".join([pcm async for pcm in speech]) == name.encode() * 800

        async with asyncio.TaskGroup() as group:
            async with pool.acquire():
                dues = {"a": 5.0, "b": 1.0, "c": 3.0, "d": 1.0, "e": 0.0}
                waiting = {name: group.create_task(say(name, due_s)) for name, due_s in dues.items()}
                await asyncio.sleep(0)
                waiting["e"].cancel()
                group.create_task(say("f", 2.0))
                await asyncio.sleep(0)
        assert order == ["b", "d", "f", "c", "a"]


async def test_no_slot_is_lost_when_sentences_are_cancelled(choir: MakePool) -> None:
    async with choir() as pool:

        async def say(number: int) -> None:
            async with asyncio.timeout(0.002 * (number % 7) or None), pool.acquire(number % 5) as engine:
                await spoken(engine, "a", voice="endless" if number % 3 else "calm")

        for _ in range(5):
            tasks = [asyncio.create_task(say(number)) for number in range(24) if number % 7 or not number % 3]
            await asyncio.gather(*tasks, return_exceptions=True)
        async with AsyncExitStack() as stack:
            audio = [await spoken(await slot_of(stack, pool), "z") for _ in range(3)]
        assert audio == [b"z" * 800] * 3
        assert pool.restarts == 0


def test_pool_works_on_uvloop(choir: MakePool) -> None:
    async def main() -> None:
        async with choir(slots=4) as pool, AsyncExitStack() as stack:
            slots = [await slot_of(stack, pool) for _ in range(4)]
            assert await asyncio.gather(*(spoken(one, "a") for one in slots)) == [b"a" * 800] * 4
            os.kill(slots[0].pid, signal.SIGKILL)
            await eventually(lambda: pool.restarts == 1, 30)

    uvloop.run(main())


@pytest.mark.skipif(not memory.SUPPORTED, reason="this system does not report the memory of a process")
async def test_process_that_uses_too_much_memory_is_replaced_while_others_speak(choir: MakePool) -> None:
    async with choir(limits=ProcessLimits(max_memory_mb=150)) as pool:
        async with pool.acquire() as one:
            speech = one.speak("a", voice="endless", language="ko")
            for _ in range(3):
                async with pool.acquire() as other:
                    assert await spoken(other, "b", voice="leaks")
            while pool.replaced == 0:
                assert pool.alive >= 1
                async with pool.acquire() as other, asyncio.timeout(5):
                    assert await spoken(other, "c") == b"c" * 800, "no process spoke during the replacement"
            async with pool.acquire() as other:
                assert other.pid != one.pid, "a new sentence got the old process"
            for _ in range(50):
                assert await anext(speech), "a sentence of the old process ended early"
            assert not gone(one.pid)
        await eventually(lambda: gone(one.pid))
        assert (pool.replaced, pool.restarts, pool.alive) == (1, 0, 1)


@pytest.mark.skipif(not memory.SUPPORTED, reason="this system does not report the memory of a process")
async def test_memory_limit_below_the_need_of_an_engine_is_a_settings_error(choir: MakePool) -> None:
    with pytest.raises(SettingsError, match="ENGINE_MAX_MEMORY_MB: 2 is less than engine 'choir' needs"):
        async with choir(limits=ProcessLimits(max_memory_mb=2)):
            raise AssertionError("the pool started")


async def test_acquire_block_ends_without_waiting_for_a_hanging_sentence(choir: MakePool) -> None:
    async with choir() as pool:
        async with pool.acquire() as engine:
            await anext(engine.speak("a", voice="hangs", language="ko"))
            left = time.monotonic()
        assert time.monotonic() - left < STOP_S, "the end of the block waited for the hanging sentence"


# ---- in synth


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs the engine for services that the test starts."""
    install_choir_engine(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


async def test_synth_is_ready_when_all_its_engines_are_loaded(packages: None, stack: Stack, tmp_path: Path) -> None:
    gate = tmp_path / "weights"
    synth = stack.add("synth", TTS_ENGINE="choir", CHOIR_AT_ONCE=1, CHOIR_WAITS_FOR=gate, SYNTH_SLOTS=2)
    synth.launch()
    reason = b""

    async def loading() -> bool:
        nonlocal reason
        with suppress(aiohttp.ClientError):
            status, reason = await synth.get("/readyz")
            assert status == 503
        return b"the engine is loading" in reason

    await until(loading, "/readyz says that the engine is loading", timeout_s=30)
    gate.touch()
    await synth.until_ready(synth.ready)
    assert await synth.metric("orastream_synth_engines") == 2


async def test_all_requests_of_a_crashed_process_have_complete_audio(packages: None, stack: Stack) -> None:
    """Three requests in one process, which is killed: each continues at its position in the new process."""
    (synth,) = await stack.start("synth", TTS_ENGINE="choir", TTS_ENGINE_RTF=1.0, SYNTH_SLOTS=3)

    async with Client(stack.nats_server.url) as client:

        async def listen(word: str, begun: asyncio.Event) -> bytes:
            options = {"phone_id": "p", "transport": "none", "voice": "long", "language": "en-US", "format": "pcm16"}
            accepted = await client.say(word, session_id=word, **options)
            assert isinstance(accepted, Acceptance)
            audio = b""
            async for message in client.audio(word, accepted.request_id, accepted.request_seq):
                if isinstance(message, AudioChunk):
                    audio += message.audio
                    begun.set()
            return audio

        async with asyncio.TaskGroup() as group:
            words = ["apples", "bread", "cheese"]
            events = [asyncio.Event() for _ in words]
            files = [group.create_task(listen(*it)) for it in zip(words, events, strict=True)]
            for begun in events:
                await begun.wait()
            (engine,) = _children(synth.pid)
            os.kill(engine, signal.SIGKILL)
        assert [file.result() for file in files] == [word[:1].encode() * 32_000 for word in words]
        assert await synth.metric("orastream_synth_engine_restarts_total") == 1


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
