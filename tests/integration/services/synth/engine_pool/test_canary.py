"""Engine processes that can no longer speak: they are replaced before a listener needs them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
import uvloop

from services.synth.engine_pool.canary import CanaryResult
from services.synth.engine_pool.pool import EnginePool
from services.synth.engine_pool.process import STOP_S, ProcessLimits
from services.synth.engine_pool.sentence_stream import LATE_S
from services.synth.engines.base import EngineCrashed, EngineError, SentenceRefused
from tests.support.engines import LOG, Mood, eventually, gone, install_choir_engine, install_moody_engine, spoken

pytestmark = pytest.mark.integration

MakePool = Callable[..., EnginePool]

OFTEN = ProcessLimits(stall_s=2.0, canary_s=0.2)
SELDOM = ProcessLimits(stall_s=2.0, canary_s=60.0)
PASSED, FAILED, HUNG, STOPPED = CanaryResult


@pytest.fixture
def mood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mood:
    install_moody_engine(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("MOODY", str(tmp_path / "mood"))
    return Mood(tmp_path / "mood")


@pytest.fixture
def moody(mood: Mood) -> MakePool:
    """Makes a pool of the engine, with one slot."""
    return partial(EnginePool, "moody", slots=1, log=LOG)


async def say(pool: EnginePool, text: str = "quick", **options: str) -> bytes:
    async with pool.acquire() as slot:
        return await spoken(slot, text, **options)


@pytest.mark.parametrize(
    ("how", "result", "problem"),
    [
        ("raises", FAILED, "does not speak: out of breath"),
        ("mute", FAILED, "does not speak: the audio of a few words has no sound"),
        ("zeros", FAILED, "does not speak: the audio of a few words has no sound"),
        ("hangs", HUNG, "did not speak a few words within 2 s"),
        ("babbles", HUNG, "did not speak a few words within 2 s"),
        ("stands still", HUNG, "did not speak a few words within 2 s"),
    ],
)
async def test_idle_process_that_no_longer_speaks_is_replaced_before_anybody_asks(
    moody: MakePool, mood: Mood, how: str, result: CanaryResult, problem: str
) -> None:
    async with moody(limits=OFTEN) as pool:
        (broken,) = pool.pids
        await eventually(lambda: pool.canaries[PASSED] >= 2)
        assert pool.lacking() is None
        if how == "stands still":
            os.kill(broken, signal.SIGSTOP)
        else:
            mood.set(how, broken)
        await eventually(lambda: pool.lacking() is not None)
        assert pool.lacking() == f"no engine process can speak: process {broken} {problem}; starting another"
        assert pool.canaries[result] == 1
        await eventually(lambda: pool.lacking() is None)
        assert pool.restarts == 1
        assert pool.pids != [broken] and await say(pool)
        await eventually(lambda: gone(broken))
        passed = pool.canaries[PASSED]
        await eventually(lambda: pool.canaries[PASSED] >= passed + 2)
        assert (pool.restarts, pool.alive, pool.canaries[result]) == (1, 1, 1)


async def test_process_that_ends_during_a_canary_is_replaced(moody: MakePool, mood: Mood) -> None:
    async with moody(limits=OFTEN) as pool:
        (broken,) = pool.pids
        mood.set("exits", broken)
        await eventually(lambda: pool.restarts == 1)
        assert await say(pool)
        await eventually(lambda: pool.canaries[PASSED] >= 1)


async def test_one_error_does_not_count(moody: MakePool, mood: Mood) -> None:
    async with moody(limits=OFTEN) as pool:
        mood.set("raises-once", pool.pids[0])
        await eventually(lambda: pool.canaries[PASSED] >= 3)
        assert (pool.restarts, pool.canaries[FAILED]) == (0, 0)


async def test_only_the_broken_one_of_two_processes_is_replaced(moody: MakePool, mood: Mood) -> None:
    async with moody(slots=2, limits=OFTEN) as pool:
        broken, other = pool.pids
        mood.set("raises", broken)
        while pool.restarts == 0:
            assert pool.lacking() is None, "not ready, although a process speaks"
            await asyncio.sleep(0.005)
        assert other in pool.pids and broken not in pool.pids
        assert pool.canaries[FAILED] == 1


async def test_processes_that_speak_have_no_canary(moody: MakePool, mood: Mood) -> None:
    async with moody(slots=2, limits=ProcessLimits(canary_s=2.0)) as pool, AsyncExitStack() as stack:
        slots = [await stack.enter_async_context(pool.acquire()) for _ in range(2)]
        ends_at = time.monotonic() + 5.0
        while time.monotonic() < ends_at:
            assert await spoken(slots[0], "quick") and await spoken(slots[1], "quick")
            await asyncio.sleep(0.02)
        assert not pool.canaries


async def test_sentence_does_not_wait_for_a_canary(moody: MakePool, mood: Mood) -> None:
    async with moody(limits=ProcessLimits(canary_s=0.2)) as pool:
        (pid,) = pool.pids
        mood.set("slow")  # a canary takes 4 s
        await eventually(lambda: len(mood.spoken(pid)) == 1)
        began = time.monotonic()
        assert await say(pool) == b"qx" * 400
        assert time.monotonic() - began < 1.5
        assert (pool.canaries[STOPPED], pool.restarts) == (1, 0)
        mood.set("speaks")
        await eventually(lambda: pool.canaries[PASSED] >= 1)


async def test_sentence_that_asks_just_after_a_canary_got_the_slot_does_not_wait(moody: MakePool, mood: Mood) -> None:
    async with moody(limits=ProcessLimits(canary_s=0.2)) as pool:
        mood.set("slow")  # a canary takes 4 s
        async with pool.acquire():
            await asyncio.sleep(0.5)  # the canary waits for this slot
        began = time.monotonic()
        assert await say(pool) == b"qx" * 400
        assert time.monotonic() - began < 1.5
        assert (pool.canaries[STOPPED], pool.restarts) == (1, 0)


async def test_second_try_of_a_canary_is_not_stopped(moody: MakePool, mood: Mood) -> None:
    """The sentence would get the process of which the first try has failed."""
    async with moody(limits=ProcessLimits(canary_s=0.2)) as pool:
        (broken,) = pool.pids
        mood.set("sighs", broken)  # each sentence fails after a second
        await eventually(lambda: len(mood.spoken(broken)) == 2)
        assert await say(pool, "a") == b"ax" * 400
        assert len(mood.spoken(broken)) == 2
        assert (pool.canaries[FAILED], pool.canaries[STOPPED], pool.restarts) == (1, 0, 1)


async def test_hanging_canary_delays_a_sentence_by_the_time_to_stop_only(moody: MakePool, mood: Mood) -> None:
    async with moody(limits=ProcessLimits(stall_s=60.0, canary_s=0.2)) as pool:
        (pid,) = pool.pids
        mood.set("hangs", pid)
        await eventually(lambda: len(mood.spoken(pid)) == 1)
        async with asyncio.timeout(STOP_S + 8):
            assert await say(pool), "the sentence waited for the whole deadline of the canary"
        assert pool.restarts == 1


async def test_canary_can_be_off(moody: MakePool, mood: Mood) -> None:
    async with moody(limits=ProcessLimits(stall_s=1.0)) as pool:
        (pid,) = pool.pids
        mood.set("raises", pid)
        with pytest.raises(EngineError, match="out of breath"):
            await say(pool, "a")
        await asyncio.sleep(0.5)
        assert len(mood.spoken(pid)) == 1 and not pool.canaries
        assert (pool.restarts, pool.lacking()) == (0, None)


async def test_process_of_a_remote_engine_has_no_canary(
    moody: MakePool, mood: Mood, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODY_SCALES", "no")
    async with moody(limits=OFTEN) as pool:
        await asyncio.sleep(0.6)
        assert mood.spoken(pool.pids[0]) == [] and not pool.canaries


@pytest.mark.parametrize("how", ["slow", "hangs"])
async def test_pool_closes_during_a_canary(moody: MakePool, mood: Mood, how: str) -> None:
    async with moody(limits=ProcessLimits(stall_s=60.0, canary_s=0.2)) as pool:
        (pid,) = pool.pids
        mood.set(how)
        await eventually(lambda: len(mood.spoken(pid)) == 1)
        began = time.monotonic()
    assert time.monotonic() - began < STOP_S + 2
    assert gone(pid) and pool.canaries[STOPPED] == 1


async def test_no_slot_is_lost_to_canaries(moody: MakePool, mood: Mood, monkeypatch: pytest.MonkeyPatch) -> None:
    """With canaries of each result, stopped and cancelled ones, and sentences that fail or are cancelled."""
    monkeypatch.setenv("MOODY_AT_ONCE", "3")
    async with moody(slots=3, limits=ProcessLimits(stall_s=0.5, canary_s=0.05)) as pool:
        for how in ("speaks", "slow", "raises", "speaks", "mute", "late", "speaks", "slow"):
            mood.set(how, pool.pids[0] if pool.pids else 0)
            tasks = [asyncio.create_task(say(pool, text)) for text in ("quick", "a", "b", "c", "quick")]
            await asyncio.sleep(0.3)
            for task in tasks[2:]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        mood.set("speaks")
        await eventually(lambda: pool.lacking() is None)
        async with AsyncExitStack() as stack, asyncio.timeout(20):
            slots = [await stack.enter_async_context(pool.acquire()) for _ in range(3)]
            assert [await spoken(slot, "quick") for slot in slots] == [b"qx" * 400] * 3
        assert pool.canaries[PASSED]
        await eventually(lambda: pool.alive == 1)


async def test_failed_sentence_makes_a_canary_due_before_the_sentences_that_wait(moody: MakePool, mood: Mood) -> None:
    """A process that fails at once is always free, so it would get each sentence."""
    async with moody(limits=SELDOM) as pool:
        (broken,) = pool.pids
        mood.set("raises", broken)
        said = [asyncio.create_task(say(pool, text)) for text in ("a", "b", "c")]
        outcomes = await asyncio.gather(*said, return_exceptions=True)
        assert isinstance(outcomes[0], EngineError) and outcomes[1:] == [b"bx" * 400, b"cx" * 400]
        assert [text for _, text in mood.spoken(broken)] == ["a", "1, 2.", "1, 2."]
        assert (pool.restarts, pool.canaries[FAILED]) == (1, 1)


async def test_sentence_on_which_the_engine_always_fails_does_not_replace_the_process(
    moody: MakePool, mood: Mood
) -> None:
    async with moody(limits=SELDOM) as pool:
        for _ in range(3):
            with pytest.raises(EngineError, match="out of breath"):
                await say(pool, "bad text")
        await eventually(lambda: pool.canaries[PASSED] == 1)
        assert (pool.restarts, pool.canaries.total()) == (0, 1), "each failed sentence costs a canary"


async def test_sentence_that_is_refused_raises_no_doubt(moody: MakePool, mood: Mood) -> None:
    async with moody(limits=SELDOM) as pool:
        with pytest.raises(SentenceRefused, match="not this one"):
            await say(pool, "quick refused")
        await asyncio.sleep(0.3)
        assert not pool.canaries and len(mood.spoken(pool.pids[0])) == 1


async def test_canary_has_the_voice_of_the_last_good_sentence(moody: MakePool, mood: Mood) -> None:
    async with moody(limits=OFTEN) as pool:
        (pid,) = pool.pids
        await eventually(lambda: pool.canaries[PASSED] >= 1)
        assert mood.spoken(pid)[0] == ("calm", "1, 2.")
        await say(pool, voice="low", language="en-US")
        await eventually(lambda: mood.spoken(pid)[-1] == ("low", "one, two."))
        mood.set("letters")
        with pytest.raises(AssertionError):
            assert await say(pool, "7")
        assert pool.restarts == 0


async def test_engine_without_a_sound_for_digits_has_a_canary_of_words(moody: MakePool, mood: Mood) -> None:
    mood.set("letters")
    async with moody(limits=OFTEN, default_voice="low") as pool:
        await eventually(lambda: pool.canaries[PASSED] >= 2)
        assert mood.spoken(pool.pids[0])[:2] == [("low", "one, two.")] * 2
        assert pool.restarts == 0


async def test_engine_without_any_sound_for_the_words_need_only_end_them(moody: MakePool, mood: Mood) -> None:
    mood.set("mute")
    async with moody(limits=OFTEN) as pool:
        await eventually(lambda: pool.canaries[PASSED] >= 2)
        assert pool.restarts == 0
        mood.set("raises", pool.pids[0])
        await eventually(lambda: pool.restarts == 1)


async def test_late_result_of_a_replaced_process_is_ignored(
    moody: MakePool, mood: Mood, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its canary hangs for 4 s while it speaks a sentence, which it finishes after another process took over."""
    monkeypatch.setenv("MOODY_AT_ONCE", "3")
    async with moody(slots=3, limits=SELDOM) as pool:
        (old,) = pool.pids
        async with pool.acquire() as slot:
            speech = slot.speak("quick endless", voice=None, language="ko")
            await anext(speech)
            mood.set("late", old)  # the canary, which the failed sentence causes, ends after 4 s instead of 2 s
            with pytest.raises(EngineError, match="out of breath"):
                await say(pool, "quick bad")
            await eventually(lambda: pool.restarts == 1, 20)
            assert pool.canaries == {HUNG: 1} and not gone(old)
            (new,) = set(pool.pids) - {old}
            await asyncio.sleep(3.5)
            assert len(mood.spoken(old)) == 3, "the process that hangs had a second canary"
            for _ in range(20):
                assert await anext(speech), "a sentence of the old process ended early"
            assert await say(pool) and mood.spoken(new)[-1][1] == "quick"
            assert pool.canaries == {HUNG: 1}
        await eventually(lambda: gone(old))
        assert (pool.restarts, pool.pids) == (1, [new])


@pytest.mark.parametrize("task", ["canary", "sentence", "stop"])
async def test_pause_of_this_process_is_no_silence_of_the_engine(moody: MakePool, mood: Mood, task: str) -> None:
    """After SIGCONT all timers are late. What the engine said meanwhile counts first."""
    stall_s, canary_s = 1.5, 0.2 if task == "canary" else None
    async with moody(limits=ProcessLimits(stall_s=stall_s, canary_s=canary_s)) as pool:
        (pid,) = pool.pids
        mood.set("slow" if task != "stop" else "late")  # 4 s with a keepalive each second, or without
        if task == "canary":
            await eventually(lambda: len(mood.spoken(pid)) == 1)
            time.sleep(stall_s + LATE_S + 0.3)
            assert pool.lacking() is None, "not ready, because its last proof is old"
            mood.set("speaks")
            await eventually(lambda: pool.canaries[PASSED] >= 1)
            assert pool.canaries[HUNG] == pool.canaries[FAILED] == 0
        elif task == "sentence":
            said = asyncio.create_task(say(pool, "a"))
            await eventually(lambda: len(mood.spoken(pid)) == 1)
            time.sleep(stall_s + LATE_S + 0.3)
            assert await said
        else:
            async with pool.acquire() as slot:
                slot.speak("a", voice=None, language="ko")
                await eventually(lambda: len(mood.spoken(pid)) == 1)
            time.sleep(STOP_S + LATE_S + 0.5)
            assert await say(pool)
        assert pool.restarts == 0


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("task", ["canary", "sentence", "stop"])
def test_answer_that_came_before_a_timer_is_read_before_it_counts(
    moody: MakePool, mood: Mood, task: str, run: Callable[..., None]
) -> None:
    """The pause ends just after the end of the timeout: the event loop calls the timer, and what was sent is unread."""

    async def main() -> None:
        stall_s, canary_s = 2.0, 0.2 if task == "canary" else None
        async with moody(limits=ProcessLimits(stall_s=stall_s, canary_s=canary_s)) as pool:
            (pid,) = pool.pids
            if task == "canary":
                mood.set("sighs")  # each sentence fails after a second
                await eventually(lambda: len(mood.spoken(pid)) == 1)
                mood.set("speaks")
                time.sleep(stall_s + LATE_S / 3)
                await eventually(lambda: pool.canaries[PASSED] >= 2)
            elif task == "sentence":
                mood.set("slow")  # 4 s, with a keepalive each second
                said = asyncio.create_task(say(pool, "a"))
                await eventually(lambda: len(mood.spoken(pid)) == 1)
                time.sleep(stall_s + LATE_S / 3)
                assert await said == b"ax" * 400
            else:
                async with pool.acquire() as slot:
                    slot.speak("quick endless", voice=None, language="ko")
                    await eventually(lambda: len(mood.spoken(pid)) == 1)
                time.sleep(STOP_S + LATE_S / 3)
                assert await say(pool)
            assert (pool.restarts, pool.pids) == (0, [pid])

    run(main())


async def test_process_that_stands_still_during_a_sentence_is_replaced(moody: MakePool, mood: Mood) -> None:
    async with moody(limits=SELDOM) as pool:
        (pid,) = pool.pids
        async with pool.acquire() as slot:
            speech = slot.speak("quick endless", voice=None, language="ko")
            await anext(speech)
            os.kill(pid, signal.SIGSTOP)
            assert pool.lacking() is None
            with pytest.raises(EngineCrashed, match="gave nothing for 2 s"):
                async for _ in speech:
                    pass
        assert pool.lacking() == f"no engine process can speak: process {pid} gave nothing for 2 s; starting another"
        await eventually(lambda: pool.lacking() is None)
        assert await say(pool) and pool.restarts == 1 and gone(pid)


async def test_process_that_is_too_large_and_silent_is_replaced_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_choir_engine(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    limits = ProcessLimits(max_memory_mb=150, canary_s=0.05, stall_s=5.0)
    async with EnginePool("choir", 3, log=LOG, limits=limits) as pool:
        (old,) = pool.pids
        for _ in range(3):
            await say(pool, voice="leaks")
        await eventually(lambda: pool.replaced == 1)
        passed = pool.canaries[PASSED]
        await eventually(lambda: gone(old) and pool.canaries[PASSED] >= passed + 3)
        assert (pool.replaced, pool.restarts, pool.alive) == (1, 0, 1)


def test_canaries_work_on_uvloop(moody: MakePool, mood: Mood) -> None:
    async def main() -> None:
        async with moody(limits=OFTEN) as pool:
            await eventually(lambda: pool.canaries[PASSED] >= 2)
            os.kill(pool.pids[0], signal.SIGSTOP)
            await eventually(lambda: pool.restarts == 1)
            mood.set("raises", pool.pids[0])
            await eventually(lambda: pool.restarts == 2)

    uvloop.run(main())
