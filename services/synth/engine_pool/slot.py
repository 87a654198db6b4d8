"""A slot of an engine process, held by one task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

from services.synth.engine_pool.manner import Manner
from services.synth.engine_pool.process import PooledEngine
from services.synth.engine_pool.sentence_stream import SentenceStream


class Slot:
    """Speaks sentences one after the other in one process. For one task at a time."""

    def __init__(self, engine: PooledEngine, on_free: Callable[[], None]) -> None:
        """`on_free` is called once: after `leave`, when the engine speaks no sentence of this slot any more."""
        self._engine = engine
        self._on_free = on_free
        self._speech: SentenceStream | None = None
        self._unfinished = 0
        self._left = False

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return self._engine.pid

    def speak(self, sentence: str, **manner: Unpack[Manner]) -> SentenceStream:
        """Begins a sentence.

        Raises EngineCrashed if the process has ended, RuntimeError if the sentence before is still being spoken.
        """
        if self._speech is not None and self._speech.wanted:
            raise RuntimeError("the engine is speaking")
        self._speech = self._engine.speak(sentence, self._on_end, **manner)
        self._unfinished += 1
        return self._speech

    def leave(self) -> None:
        """Stops the sentence, if any; the slot is free when the engine has ended it. Idempotent."""
        if self._left:
            return
        self._left = True
        if self._speech is not None:
            self._speech.stop()
            self._speech = None  # it refers to this slot
        self._free_if_done()

    def _on_end(self) -> None:
        self._unfinished -= 1
        self._free_if_done()

    def _free_if_done(self) -> None:
        if self._left and not self._unfinished:
            self._on_free()
