"""One sentence in an engine process: what the host has asked for, and its audio on its way to the host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from orastream.contract.audio import BYTES_PER_SAMPLE
from services.synth.engine_pool import frames
from services.synth.engine_pool.frames import Frame
from services.synth.engines.base import SpokenWord

SIGN_OF_LIFE_S = 1.0
PACED_MS = 60
"""Duration of a piece of an engine that is slowed down (TTS_ENGINE_RTF)."""


class AskedSentence:
    """A `speak` command, shared by the thread that speaks it and the one that reads commands. Thread-safe."""

    def __init__(self, asked: Frame) -> None:
        self.asked = asked
        self.number: int = asked["id"]
        self.stopped = False
        self._last_word = SpokenWord(0, 0, 0, 0)
        self._words: list[SpokenWord] = []  # not sent yet; only the thread that speaks it uses them
        self._window = frames.WINDOW_BYTES
        self._changed = threading.Condition()

    def stop(self) -> None:
        """Stop the sentence."""
        with self._changed:
            self.stopped = True
            self._changed.notify()

    def more(self, size: int) -> None:
        """The host has read `size` bytes."""
        with self._changed:
            self._window += size
            self._changed.notify()

    def add_word(self, word: SpokenWord, given_bytes: int) -> None:
        """The engine has reported a word, after so much audio. For the thread that speaks the sentence.

        A word is left out if it is outside of the sentence, overlaps the word before it, or comes after its own audio:
        a repeated attempt could then report it in another chunk.
        """
        last, in_time = self._last_word, word.end_sample * BYTES_PER_SAMPLE > given_bytes
        in_text = last.end <= word.first < word.end <= len(self.asked["sentence"])
        if in_text and in_time and last.end_sample <= word.begin_sample < word.end_sample:
            self._words.append(word)
            self._last_word = word

    def take_words(self) -> dict[str, list[SpokenWord]]:
        """Returns the field of a frame for the words since the last call; empty if there are none."""
        words, self._words = self._words, []
        return {"words": words} if words else {}

    def take_window(self, size: int) -> bool:
        """Waits until the window is open and takes `size` bytes of it; returns False once stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self.stopped or self._window > 0)
            self._window -= size
            return not self.stopped

    def sleep(self, seconds: float) -> bool:
        """Waits, at most until `stop`; returns False once stopped."""
        if seconds > 0:
            with self._changed:
                self._changed.wait_for(lambda: self.stopped, seconds)
        return not self.stopped


class SentenceOutput:
    """The audio of one sentence on its way to the host: skipped, slowed down, with keepalives."""

    def __init__(
        self, sentence: AskedSentence, rate_hz: int, hand_over: Callable[[AskedSentence, bytes], bool]
    ) -> None:
        asked = sentence.asked
        self.total = 0
        """Bytes that the engine has given."""
        self._sentence = sentence
        self._hand_over = hand_over
        self._skip: int = asked["skip_bytes"]
        self._keep_skipped: bool = asked["keep_skipped"]
        self._pace = _Pace(asked["rtf"], rate_hz)
        # A slowed engine gives its audio evenly, however large its pieces are.
        self._step = 2 * (rate_hz * PACED_MS // 1000) if asked["rtf"] else frames.MAX_BYTES
        self._last_sign = time.monotonic()

    def word(self, found: SpokenWord) -> None:
        """The engine has reported a word. See `AskedSentence.add_word`."""
        self._sentence.add_word(found, self.total)

    def finish(self) -> None:
        """The engine has given all audio."""

    def give(self, pcm: bytes) -> bool:
        """Passes a piece of audio on; an empty one only asks whether to go on. Returns False once it is stopped."""
        for start in range(0, len(pcm), self._step):
            if not self._give(pcm[start : start + self._step]):
                return False
        return self._give(b"") if not pcm else True

    def _give(self, pcm: bytes) -> bool:
        skipped = min(len(pcm), max(self._skip - self.total, 0))
        self.total += len(pcm)
        new = pcm[skipped:]
        if new and not self._sentence.sleep(self._pace.wait_s(len(new))):
            return False
        handed = pcm if self._keep_skipped else new
        if handed or time.monotonic() - self._last_sign > SIGN_OF_LIFE_S:
            if not self._hand_over(self._sentence, handed):
                return False
            self._last_sign = time.monotonic()
        return not self._sentence.stopped


class _Pace:
    """Slows an engine down to a real-time factor: d seconds of audio take at least rtf·d seconds."""

    def __init__(self, rtf: float | None, rate_hz: int) -> None:
        self._seconds_per_byte = (rtf or 0.0) / (2 * rate_hz)
        self._started = 0.0
        self._bytes = 0

    def wait_s(self, size: int) -> float:
        """Returns the seconds to wait before the next `size` bytes are sent; the clock starts at the first call."""
        now = time.monotonic()
        if not self._bytes:
            self._started = now
        self._bytes += size
        return self._started + self._bytes * self._seconds_per_byte - now
