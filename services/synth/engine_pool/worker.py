"""The process that an engine runs in: `python -m services.synth.engine_pool.worker --engine NAME`.

`process.py` starts it; `frames` describes the protocol. It speaks up to `at_once` sentences at the same time, the first
one on the main thread. A thread of its own reads commands, so that `stop` takes effect during a sentence. Each sentence
has a window: if the host does not read its audio, that sentence waits, and the others continue.

Only the protocol uses standard output. Descriptor 1 is redirected to standard error before the engine is loaded, so
what an engine prints goes to the log. The process ends when its input ends, which also happens when the host crashes.
It ignores SIGINT and SIGTERM, because the host finishes its utterances after such a signal.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO

from services.synth.audio import edge_silence
from services.synth.engine_pool import frames
from services.synth.engine_pool.asked_sentence import AskedSentence, SentenceOutput
from services.synth.engine_pool.canary import CanarySentence, warm_up_texts
from services.synth.engine_pool.frames import Frame
from services.synth.engine_pool.trimmed_output import TrimmedOutput, version_mark
from services.synth.engines import base

_EXIT_GRACE_S = 2.0
_PR_SET_PDEATHSIG = 1


class EngineWorker:
    """Carries out the commands of one host. `read` runs on a thread of its own, `serve` on the main thread.

    `serve` loads the engine and speaks on that thread; for `at_once` > 1 there is one more thread for each sentence.
    """

    def __init__(
        self,
        engine: base.Engine,
        source: BinaryIO,
        sink: BinaryIO,
        default_voice: str | None = None,
        edge_silence_ms: int | None = None,
    ) -> None:
        self._engine = engine
        self._edge_silence_ms = edge_silence_ms
        self._default_voice = default_voice
        self._source = source
        self._sink = sink
        self._sending = threading.Lock()
        self._asked: queue.SimpleQueue[AskedSentence | None] = queue.SimpleQueue()
        self._sentences: dict[int, AskedSentence] = {}
        self._left = threading.Event()

    def read(self, on_end: Callable[[], None]) -> None:
        """Reads commands until `quit` or the end of the input; then stops all sentences and calls `on_end`."""
        with contextlib.suppress(OSError, ValueError):
            while (frame := frames.read(self._source)) is not None and frame["type"] != "quit":
                self._execute(frame)
        self._left.set()
        for sentence in list(self._sentences.values()):
            sentence.stop()
        self._asked.put(None)
        on_end()

    def _execute(self, frame: Frame) -> None:
        if frame["type"] == "speak":
            sentence = AskedSentence(frame)
            self._sentences[frame["id"]] = sentence
            self._asked.put(sentence)
        elif (known := self._sentences.get(frame["id"])) is not None:  # else it has already ended
            if frame["type"] == "stop":
                known.stop()
            else:
                known.more(frame["bytes"])

    def serve(self) -> None:
        """Loads the engine, warms it up, and speaks until `quit` or the end of the input."""
        if self._edge_silence_ms is not None:
            edge_silence.load()  # else the first sentence of each process waits for it
        try:
            self._engine.load()
            if self._engine.at_once < 1:
                raise base.EngineError(f"engine {self._engine.name}: at_once is {self._engine.at_once}, not 1 or more")
            self._check_voice()
            warm_up = self._warm_up()
        except base.EngineError as exc:
            self._send("failed", kind=type(exc).__name__, message=str(exc))
            return
        self._send(
            "ready",
            name=self._engine.name,
            version=self._engine.version + version_mark(self._edge_silence_ms),
            deterministic=self._engine.deterministic,
            at_once=self._engine.at_once,
            scales=self._engine.scales,
            sample_rate_hz=self._engine.sample_rate_hz(None),
            max_growth_mb=getattr(self._engine, "max_growth_mb", None),
            trained=getattr(self._engine, "trained", True),
            voices=[(v.name, v.language, v.sample_rate_hz, v.also_speaks) for v in self._engine.voices()],
            warm_up=warm_up,
        )
        beside = [
            threading.Thread(target=self._speak_beside, name=f"sentences {number}", daemon=True)
            for number in range(2, self._engine.at_once + 1)
        ]
        for thread in beside:
            thread.start()
        self._speak_all()
        for thread in beside:
            thread.join()

    def _check_voice(self) -> None:
        """Raises Misconfigured if the engine lacks the default voice: every request without a voice would fail."""
        if self._default_voice is None:
            return
        try:
            self._engine.sample_rate_hz(self._default_voice)
        except base.UnknownVoice as exc:
            said = str(exc).removeprefix("voice: ")
            names = [voice.name for voice in self._engine.voices()]
            if "there is: " not in said:
                said += f"; there is: {', '.join(names)}"
            raise base.Misconfigured(f"TTS_VOICE: {said}") from exc

    def _warm_up(self) -> CanarySentence:
        """Speaks a few words in the default voice, and returns those that gave a sound, or else the last ones."""
        voices = self._engine.voices()
        voice = next((voice for voice in voices if voice.name == self._default_voice), voices[0])
        for text in warm_up_texts(voice.language):
            sounds = False
            for pcm in self._engine.synthesize(
                text, voice=voice.name, language=voice.language, speed=1.0, stop=self._left.is_set
            ):
                sounds = sounds or pcm != bytes(len(pcm))
            if sounds:
                break
        return CanarySentence(text, voice.name, voice.language, sounds)

    def _speak_beside(self) -> None:
        """`_speak_all` on another thread than the main one. A bug there ends the process, as on the main thread."""
        try:
            with contextlib.suppress(BrokenPipeError):
                self._speak_all()
        except BaseException:  # noqa: BLE001 - the last frame of a thread: any error ends the process
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    def _speak_all(self) -> None:
        while (sentence := self._asked.get()) is not None:
            try:
                total = self._pieces(sentence)
            except base.EngineError as exc:
                self._sentences.pop(sentence.number)
                self._send("error", id=sentence.number, kind=type(exc).__name__, message=str(exc))
            else:
                self._sentences.pop(sentence.number)
                self._send("done", id=sentence.number, bytes=total, **sentence.take_words())
        self._asked.put(None)  # ends the next thread

    def _pieces(self, sentence: AskedSentence) -> int:
        """Speaks a sentence; returns its size in bytes, skipped bytes included."""
        rate_hz = self._engine.sample_rate_hz(sentence.asked["voice"])
        whole = SentenceOutput(sentence, rate_hz, self._hand_over)
        output: SentenceOutput | TrimmedOutput = whole
        if self._edge_silence_ms is not None:
            output = TrimmedOutput(sentence, whole, rate_hz, self._edge_silence_ms)
        self._speak(sentence, output)
        if not sentence.stopped:
            output.finish()
        return output.total

    def _speak(self, sentence: AskedSentence, output: SentenceOutput | TrimmedOutput) -> None:
        """Lets the engine speak a sentence, by the best of the ways that it has."""
        asked, word = sentence.asked, output.word

        def give(pcm: bytes) -> bool:
            if len(pcm) % 2:
                raise base.EngineError(f"engine {self._engine.name} gave half a sample")
            return output.give(pcm)

        def stop() -> bool:
            return sentence.stopped

        manner = {name: asked[name] for name in ("voice", "language", "speed")}
        if (speak_words_to := getattr(self._engine, "speak_words_to", None)) is not None:
            speak_words_to(give, word, asked["sentence"], **manner)
            return
        if (speak_to := getattr(self._engine, "speak_to", None)) is not None:
            speak_to(give, asked["sentence"], **manner)
            return
        if (words := getattr(self._engine, "synthesize_words", None)) is not None:
            spoken = words(word, asked["sentence"], **manner, stop=stop)
        else:
            spoken = self._engine.synthesize(asked["sentence"], **manner, stop=stop)
        for pcm in spoken:
            if not give(pcm):
                break

    def _hand_over(self, sentence: AskedSentence, pcm: bytes) -> bool:
        """Sends audio, or a keepalive (empty), within the window; returns False once the sentence is stopped."""
        for start in range(0, max(len(pcm), 1), frames.PIECE_BYTES):
            piece = pcm[start : start + frames.PIECE_BYTES]
            if not sentence.take_window(len(piece)):
                return False
            self._send("pcm", id=sentence.number, pcm=piece, **sentence.take_words())
        return True

    def _send(self, kind: str, /, **fields: object) -> None:
        frame = frames.pack(kind, **fields)
        with self._sending:
            self._sink.write(frame)
            self._sink.flush()


def die_with_parent() -> None:
    """Makes the kernel kill this process when the thread that started it ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Returns the standard pipes for the protocol. Then descriptor 0 reads nothing, and descriptor 1 writes to 2."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb")


def _log_no_locals() -> None:
    """Makes the engine's log, if it uses structlog, show a traceback without variables.

    structlog's default shows them if rich is installed: the log would have the spoken text and the keys of servers.
    Engines without structlog do not load it here: its import takes 0.3 s.
    """
    structlog: Any = sys.modules.get("structlog")
    if structlog is not None:
        *processors, _ = structlog.get_config()["processors"]
        plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
        structlog.configure(processors=[*processors, plain])


def main() -> None:
    """Runs one engine until the host ends it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", required=True, help="name of the engine's entry point")
    parser.add_argument("--voice", help="a voice that the engine must have")
    parser.add_argument("--edge-silence-ms", type=int, help="longest silence at the begin and the end of a sentence")
    arguments = parser.parse_args()
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    source, sink = _private_pipes()
    sink.write(frames.pack("hello", protocol=frames.PROTOCOL))
    sink.flush()
    try:
        engine = base.create(arguments.engine)
    except base.EngineError as exc:
        sink.write(frames.pack("failed", kind=type(exc).__name__, message=str(exc)))
        sink.flush()
        return
    _log_no_locals()
    process = EngineWorker(engine, source, sink, arguments.voice, arguments.edge_silence_ms)
    ended = threading.Event()

    def on_end() -> None:
        # A model that does not check `stop` would keep this process alive after its host.
        if not ended.wait(_EXIT_GRACE_S):
            os._exit(1)

    threading.Thread(target=process.read, args=(on_end,), name="commands", daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        process.serve()
    ended.set()


if __name__ == "__main__":
    main()
