"""What the tests of engines share: sentences, waiting, and an engine that misbehaves in every way an engine can."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import structlog

from services.synth.engine_client import PooledEngine

LOG: Any = structlog.get_logger()
RATE = 22_050
KOREAN = "안녕하세요, 오늘 회의는 세 시에 시작합니다."
LONG = "오늘 날씨가 매우 좋습니다 그래서 우리는 공원에 갑니다 " * 8
TEXT = "안녕하세요. 오늘은 3.14 kilometres 걸었습니다. 반갑습니다!"
STRANGE_ENGINE = '''
"""An engine of the port, installed as a package: its voice says how it behaves."""
import os, signal, sys, time
from services.synth.engines.base import EngineError, Voice

class Strange:
    name = "strange"
    deterministic = False
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
        if voice == "half":
            yield b"1"
        while voice == "endless" and not stop():
            yield bytes(1600)
        time.sleep(0)
        yield bytes([len(sentence) % 256, os.getpid() % 100]) * 4000
'''


def install_strange_engine(directory: Path) -> None:
    """Put the engine `strange` below a directory of PYTHONPATH, installed the way any package's engine is."""
    (directory / "strange_engine.py").write_text(STRANGE_ENGINE)
    info = directory / "strange_engine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[orastream.engines]\nstrange = strange_engine:Strange\n")


async def spoken(engine: PooledEngine, sentence: str, language: str = "ko-KR", **options: Any) -> bytes:
    """The PCM of one sentence."""
    async with aclosing(
        engine.speak(sentence, voice=options.pop("voice", None), language=language, **options)
    ) as speech:
        return b"".join([pcm async for pcm in speech])


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie has, too)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Waits until the condition holds. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)
