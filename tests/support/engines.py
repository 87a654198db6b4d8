"""Helpers of the engine tests: synthesis of a sentence, waits, and engines whose voices select a fault."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import structlog

from services.synth.engine_pool.slot import Slot

LOG: Any = structlog.get_logger()
RATE = 22_050
KOREAN = "안녕하세요, 오늘 회의는 세 시에 시작합니다."
LONG = "오늘 날씨가 매우 좋습니다 그래서 우리는 공원에 갑니다 " * 8
TEXT = "안녕하세요. 오늘은 3.14 kilometres 걸었습니다. 반갑습니다!"
STRANGE_ENGINE = '''
"""An engine of the port, installed as a package: its voice says how it behaves."""
import os, signal, sys, time
from services.synth.engines.base import EngineError, Voice
if os.environ.get("STRANGE") == "logs":
    import structlog

class Strange:
    name = "strange"
    version = "1"
    deterministic = False
    at_once = 1
    scales = True
    def load(self):
        print("loading (on stdout, which is the protocol's)")
        os.write(1, b"and past Python")
        if os.environ.get("STRANGE") == "fails":
            raise EngineError("its weights are missing: set STRANGE_WEIGHTS")
        if os.environ.get("STRANGE") == "exits":
            os._exit(3)
        if os.environ.get("STRANGE") == "hangs":
            time.sleep(60)
    def voices(self):
        return [Voice("calm", "ko-KR", 8000)]
    def sample_rate_hz(self, voice):
        return 8000
    def synthesize(self, sentence, *, voice, language, speed, stop):
        print("a stray print", sys.stdin.read(), flush=True)
        yield bytes([voice == "endless", 1]) * 800
        if voice == "hangs":
            signal.pause()
        if voice == "deaf":
            time.sleep(60)
        if voice == "raises":
            raise EngineError("out of breath")
        if voice == "bug":
            raise ZeroDivisionError("a bug")
        if voice == "logs":
            try:
                raise ZeroDivisionError("a bug")
            except ZeroDivisionError:
                structlog.get_logger().exception("a bug of the engine")
        if voice == "half":
            yield b"1"
        while voice == "endless" and not stop():
            yield bytes(1600)
        time.sleep(0)
        yield bytes([len(sentence) % 256, os.getpid() % 100]) * 4000
'''


CHOIR_ENGINE = '''
"""An engine that speaks several sentences at once: CHOIR_AT_ONCE, CHOIR_SCALES and the voice say how.

CHOIR_VERSION is its version; "own": another one in each process. CHOIR_RATE_FILE holds its rate.
"""
import os, threading, time
from services.synth.engines.base import EngineError, Voice

LEAK = []

class Choir:
    name = "choir"
    version = os.environ.get("CHOIR_VERSION", "1")
    deterministic = True
    def load(self):
        if self.version == "own":
            self.version = str(os.getpid())
        with open(os.environ.get("CHOIR_RATE_FILE", os.devnull)) as file:
            self.rate = int(file.read() or 8000)
        self.at_once = int(os.environ.get("CHOIR_AT_ONCE", "3"))
        self.scales = os.environ.get("CHOIR_SCALES", "yes") == "yes"
        self.loaded_on = threading.get_ident()
        self.calls = 0
        while os.environ.get("CHOIR_WAITS_FOR") and not os.path.exists(os.environ["CHOIR_WAITS_FOR"]):
            time.sleep(0.01)
    def voices(self):
        return [Voice("calm", "ko-KR", self.rate)]
    def sample_rate_hz(self, voice):
        return self.rate
    def synthesize(self, sentence, *, voice, language, speed, stop):
        """Bytes of the sentence's first letter; "who": process, whether the thread is that of load, earlier calls."""
        self.calls += 1
        letter = sentence[:1].encode() * 2
        if voice == "who":
            loaded_here = threading.get_ident() == self.loaded_on
            yield os.getpid().to_bytes(4, "little") + bytes([loaded_here, min(self.calls - 1, 255)])
        elif voice == "endless":
            while not stop():
                yield letter * 400
                time.sleep(0.001)
        elif voice == "long":
            for _ in range(40):
                yield letter * 400
        elif voice == "flood":
            yield letter * 2_000_000
        elif voice == "hangs":
            try:
                yield letter
            finally:  # also if it is stopped at once
                time.sleep(600)
        elif voice == "raises":
            raise EngineError("out of breath")
        elif voice == "slow":
            time.sleep(0.5)
        elif voice == "bug":
            time.sleep(0.2)
            raise ZeroDivisionError("a bug")
        elif voice == "crashes":
            os.abort()
        elif voice == "leaks":
            LEAK.append(bytearray(os.urandom(1) * (64 << 20)))
            yield letter * 400
        else:
            yield letter * 400
'''


MOODY_ENGINE = '''
"""An engine whose processes lose their voice: the file MOODY says how, as `<how> <pid>`; pid 0 means all processes.

It appends each sentence to the file MOODY.log, as `<pid> <voice> <text>`. A text that begins with "quick" is spoken.
"""
import os, time
from services.synth.engines.base import EngineError, SentenceRefused, Voice

class Moody:
    name = "moody"
    version = "1"
    deterministic = True
    at_once = int(os.environ.get("MOODY_AT_ONCE", "1"))
    scales = os.environ.get("MOODY_SCALES", "yes") == "yes"
    def load(self):
        self.errors = 0
    def voices(self):
        return [Voice("calm", "ko-KR", 8000), Voice("low", "en-US", 8000)]
    def sample_rate_hz(self, voice):
        return 8000
    def synthesize(self, sentence, *, voice, language, speed, stop):
        with open(os.environ["MOODY"] + ".log", "a") as log:
            log.write(f"{os.getpid()} {voice} {sentence}\\n")
        with open(os.environ["MOODY"]) as file:
            how, _, pid = file.read().partition(" ")
        if pid not in ("0", str(os.getpid())) or sentence.startswith("quick"):
            how = "speaks"
        if "refused" in sentence:
            raise SentenceRefused("input: not this one")
        if how == "raises-once":
            self.errors += 1
            if self.errors == 1:
                raise EngineError("out of breath")
        for _ in range(20 if how == "sighs" else 0):
            yield b""
            time.sleep(0.05)
            if stop():
                return
        if how == "raises" or how == "sighs" or "bad" in sentence:
            raise EngineError("out of breath")
        if how == "hangs":
            time.sleep(600)
        if how == "late":
            time.sleep(4)
        if how == "exits":
            os._exit(3)
        while how == "babbles" and not stop():
            yield bytes([1, 1]) * 400
            time.sleep(0.01)
        for _ in range(80 if how == "slow" else 0):
            yield b""
            time.sleep(0.05)
            if stop():
                return
        while sentence.startswith("quick endless") and not stop():
            yield bytes([1, 1]) * 400
            time.sleep(0.01)
        if how == "mute" or how == "letters" and any(map(str.isdigit, sentence)):
            return
        yield (bytes(2) if how == "zeros" else sentence[:1].encode().ljust(2, b"x")[:2]) * 400
'''


def install_moody_engine(directory: Path) -> None:
    """Install the engine `moody` in a directory of an interpreter's module path."""
    _install(directory, "moody_engine", MOODY_ENGINE, "moody = moody_engine:Moody")


class Mood:
    """How the processes of the engine `moody` behave, and what they have spoken. `path` is their variable MOODY."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = path.with_name(path.name + ".log")
        self.set("speaks")

    def set(self, how: str, pid: int = 0) -> None:
        """From their next sentence on, one process or all (0) behave so."""
        new = self.path.with_name(self.path.name + ".new")
        new.write_text(f"{how} {pid}")
        new.rename(self.path)

    def spoken(self, pid: int) -> list[tuple[str, str]]:
        """Voice and text of the sentences of a process, its warm-up aside."""
        lines = [line.split(" ", 2) for line in self._log.read_text().splitlines()]
        return [(voice, text) for process, voice, text in lines if int(process) == pid][1:]


def install_choir_engine(directory: Path) -> None:
    """Install the engine `choir` in a directory of an interpreter's module path."""
    _install(directory, "choir_engine", CHOIR_ENGINE, "choir = choir_engine:Choir")


def install_strange_engine(directory: Path) -> None:
    """Install the engine `strange` in a directory of PYTHONPATH, with an entry point as a package has it."""
    _install(directory, "strange_engine", STRANGE_ENGINE, "strange = strange_engine:Strange")


def _install(directory: Path, module: str, source: str, entry_point: str) -> None:
    (directory / f"{module}.py").write_text(source)
    info = directory / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[orastream.engines]\n{entry_point}\n")


async def spoken(engine: Slot, sentence: str, language: str = "ko-KR", **options: Any) -> bytes:
    """The PCM of one sentence, all pieces joined."""
    async with aclosing(
        engine.speak(sentence, voice=options.pop("voice", None), language=language, **options)
    ) as speech:
        return b"".join([pcm async for pcm in speech])


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie counts as ended)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second: it ended since the file was opened
        return True


async def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until the condition is true. Raises TimeoutError after `within_s`."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)
