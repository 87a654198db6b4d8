"""The engine `gpt_sovits_local` on the real package, with small models of random weights loaded from files."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.synth.engine_pool.pool import EnginePool
from services.synth.engines.base import EngineError, UnknownVoice
from services.synth.engines.gpt_sovits_local.engine import GptSovitsLocalEngine
from tests.support import forwards, gpt_sovits_weights
from tests.support.engines import LOG, spoken
from tests.support.gpt_sovits_weights import SPEECH_S
from tests.support.pocket_model import recording

pytestmark = [
    pytest.mark.sovits,
    pytest.mark.timeout(600),  # importing the package takes half a minute on a busy machine
    pytest.mark.filterwarnings("default"),  # the package raises many warnings
]

RATE = 32_000
PAUSE_S = 0.3
"""Silence that the package adds after each piece of text."""
HELLO = "안녕하세요, 만나서 반갑습니다."
MINA: dict[str, Any] = {
    "languages": ["ko", "en"],
    "ref_audio_path": "mina.wav",
    "prompt_lang": "ko",
    "prompt_text": "안녕하세요.",
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained_models")
    building = subprocess.run(
        # By its path, as some package has a module `tests`; without -P its folder would be on sys.path.
        [sys.executable, "-P", gpt_sovits_weights.__file__, folder],
        env={"GPT_SOVITS_DATA_DIR": str(tmp_path_factory.mktemp("building"))},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert building.returncode == 0, building.stderr
    return folder


def environment_of(folder: Path, models: Path, **profiles: dict[str, Any]) -> dict[str, str]:
    """Writes the settings of the engine: the models, and the profiles, each with its changes to MINA."""
    source = folder / "voices.yaml"
    source.write_text(json.dumps({"voices": {name: MINA | fields for name, fields in profiles.items()}}))
    recording(folder / "mina.wav", 220.0, seconds=4.0, rate_hz=RATE)
    recording(folder / "short.wav", 220.0, seconds=1.5)
    return {"GPT_SOVITS_MODELS": str(models), "GPT_SOVITS_VOICES": str(source)}


@pytest.fixture(scope="module")
def engine(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GptSovitsLocalEngine]:
    """The engine in this process, which the package changes: it can be loaded only once."""
    folder = tmp_path_factory.mktemp("voices")
    profiles = {
        "mina": {},
        "quick": {"parameters": {"streaming_mode": 3}},
        "whole": {"parameters": {"streaming_mode": 0}},
        "bare": {"prompt_text": "", "sample_rate_hz": 24_000, "parameters": {"streaming_mode": 1}},
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment_of(folder, models, **profiles).items():
            patch.setenv(name, value)
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))  # restores sys.path afterwards
        engine = GptSovitsLocalEngine()
        engine.load()
        yield engine


def audio_of(engine: GptSovitsLocalEngine, sentence: str = HELLO, **options: Any) -> bytes:
    arguments: dict[str, Any] = {"voice": None, "language": "ko-KR", "speed": 1.0, "stop": lambda: False} | options
    return b"".join(engine.synthesize(sentence, **arguments))


def test_voices_are_the_profiles(engine: GptSovitsLocalEngine) -> None:
    assert [(v.name, v.language, v.sample_rate_hz) for v in engine.voices()] == [
        ("mina", "ko", 32_000),
        ("quick", "ko", 32_000),
        ("whole", "ko", 32_000),
        ("bare", "ko", 24_000),
    ]
    assert (engine.name, engine.at_once, engine.deterministic) == ("GPT-sovits", 1, False)
    with pytest.raises(UnknownVoice, match="no 'eve' in the voices file"):
        audio_of(engine, voice="eve")
    with pytest.raises(UnknownVoice, match="'ja-JP'"):
        audio_of(engine, language="ja-JP")


@pytest.mark.parametrize(
    ("voice", "speed"),
    [("mina", 1.0), ("mina", 2.0), ("mina", 0.5), ("quick", 1.0), ("whole", 1.0), ("whole", 2.0), ("bare", 1.0)],
)
def test_every_mode_speaks_at_every_speed(engine: GptSovitsLocalEngine, voice: str, speed: float) -> None:
    pcm = audio_of(engine, voice=voice, speed=speed)
    seconds = len(pcm) / 2 / engine.sample_rate_hz(voice)
    assert seconds == pytest.approx(SPEECH_S / speed + PAUSE_S, rel=0.1)
    assert np.abs(np.frombuffer(pcm, "<i2").astype(int)).max() > 100, "the audio is silence"


def test_text_may_mix_languages(engine: GptSovitsLocalEngine) -> None:
    """Language detection needs no download, and most English words need no NLTK data."""
    assert audio_of(engine, "오늘은 meeting이 3개 있어요.")
    assert audio_of(engine, "Hello world.", language="en-US")
    assert audio_of(engine, "…!?") == b""


def test_engine_streams_and_stops(engine: GptSovitsLocalEngine) -> None:
    text = "오늘은 날씨가 참 좋네요. " * 8  # two texts of four sentences to the package
    pieces, stopped = [], threading.Event()
    with forwards.counted() as until_stopped:
        for pcm in engine.synthesize(text, voice="mina", language="ko", speed=1.0, stop=stopped.is_set):
            pieces.append(pcm)
            stopped.set()
    with forwards.counted() as in_all:
        whole = audio_of(engine, text)
    assert all(len(pcm) <= 8 * 1024 for pcm in pieces)
    assert len(b"".join(pieces)) < len(whole) / 2
    assert 0 < until_stopped.made < in_all.made / 1.5, "the engine began the second text after the stop"


def test_errors_and_logs_contain_no_text(engine: GptSovitsLocalEngine, capfd: pytest.CaptureFixture[str]) -> None:
    audio_of(engine)
    out, err = capfd.readouterr()
    assert "안녕" not in out + err
    if engine._runtime is not None and not engine._runtime.has_english:
        with pytest.raises(EngineError, match="English words need NLTK's .* in NLTK_DATA"):
            audio_of(engine, "I read secret words.", language="en")
        assert audio_of(engine), "the engine does not speak after an error"
    out, err = capfd.readouterr()
    assert "secret" not in out + err


async def test_pool_speaks(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_of(tmp_path, models, mina={}).items():
        monkeypatch.setenv(name, value)
    async with EnginePool("gpt_sovits_local", 1, log=LOG, python=sys.executable) as pool:
        assert pool.info.name == "GPT-sovits"
        assert pool.info.default_sample_rate_hz == RATE
        async with pool.acquire() as engine:
            assert len(await spoken(engine, HELLO)) > RATE


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (
            {"ref_audio_path": "short.wav"},
            r"voice 'mina': ref_audio_path: .*short.wav lasts 1\.5 s; it must last 3 to 10 s",
        )
    ],
)
async def test_load_refuses_an_invalid_recording(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: dict[str, Any], message: str
) -> None:
    for name, value in environment_of(tmp_path, models, mina=profile).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EngineError, match=message):
        async with EnginePool("gpt_sovits_local", 1, log=LOG, python=sys.executable):
            raise AssertionError("the pool started")
