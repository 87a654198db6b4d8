"""Makes one engine process speak a canary whenever the rule of `canary` says so, and judges what comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import NoReturn

from services.synth.engine_pool.canary import CanaryResult, CanarySentence
from services.synth.engine_pool.process import PooledEngine
from services.synth.engine_pool.sentence_stream import LATE_S, READ_S, SentenceStream
from services.synth.engine_pool.slot import Slot
from services.synth.engines.base import EngineError

AcquireSlot = Callable[[], contextlib.AbstractAsyncContextManager[Slot]]


class CanaryWatch:
    """The canaries of one process: `await run()` until the process is replaced. For one event loop.

    A process that does not speak is asked to be replaced (`to_replace`): after two failed tries in a row (`give_up`),
    or when a canary has not ended after `stall_s` (`hangs`).
    """

    def __init__(
        self, engine: PooledEngine, acquire: AcquireSlot, results: Counter[CanaryResult], on_begin: Callable[[], None]
    ) -> None:
        """`acquire` waits for a slot of this process; `results` counts how canaries end. `on_begin` is called when
        a canary has begun, and calls `stop` if a sentence has asked for a slot since the canary got its own.
        """
        self._engine = engine
        self._acquire = acquire
        self._results = results
        self._on_begin = on_begin
        self._speech: SentenceStream | None = None
        self._why = ""
        self._changed = asyncio.Event()
        engine.on_doubt = self._changed.set

    def stop(self) -> bool:
        """Stops the canary in progress, because a sentence waits for a slot. Returns whether one ends now for that.

        It goes on if the process is doubted, also because of its first try: the sentence would get a process that
        probably does not speak.
        """
        if self._speech is None or self._engine.proof.doubted:
            return False
        self._speech.stop()
        return True

    async def run(self) -> NoReturn:
        """Speak canaries until cancelled; then the slot is free when the engine has ended the sentence."""
        while True:
            await self._until_due()
            async with self._acquire() as slot:
                if self._is_due():  # else a sentence has shown meanwhile that the process speaks
                    await self._speak(slot)

    def _is_due(self) -> bool:
        return self._engine.proof.due_at() <= asyncio.get_running_loop().time()

    async def _until_due(self) -> None:
        while not self._is_due():
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._engine.proof.due_at()):
                    await self._changed.wait()

    async def _speak(self, slot: Slot) -> None:
        loop, proof, stall_s = asyncio.get_running_loop(), self._engine.proof, self._engine.stall_s
        result, ends_at = CanaryResult.STOPPED, loop.time() + stall_s
        try:
            async with asyncio.timeout_at(ends_at):
                for sentence in proof.begin(loop.time()):
                    result = CanaryResult.STOPPED  # if this task is cancelled meanwhile
                    result = await self._try(slot, sentence)
                    if result is not CanaryResult.FAILED:
                        break
        except TimeoutError:
            late = loop.time() > ends_at + LATE_S
            await asyncio.sleep(READ_S)  # what it has sent is read first
            hangs = not late and self._speech is not None and self._speech.wanted
            result = CanaryResult.HUNG if hangs else CanaryResult.STOPPED
        finally:
            speech, self._speech = self._speech, None
            proof.end(result, loop.time())
            self._results[result] += 1
        if result is CanaryResult.HUNG and speech is not None:
            self._engine.hangs(speech, f"did not speak a few words within {stall_s:g} s")
        elif result is CanaryResult.FAILED:
            self._engine.give_up(f"does not speak: {self._why}")

    async def _try(self, slot: Slot, sentence: CanarySentence) -> CanaryResult:
        try:
            self._speech = slot.speak(sentence.text, voice=sentence.voice, language=sentence.language)
            self._on_begin()
            async for _ in self._speech:
                pass
        except EngineError as exc:
            self._why = str(exc)
            return CanaryResult.FAILED
        if self._speech.total_bytes is None:
            return CanaryResult.STOPPED
        if sentence.sounds and not self._speech.sounded:
            self._why = "the audio of a few words has no sound"
            return CanaryResult.FAILED
        return CanaryResult.PASSED
