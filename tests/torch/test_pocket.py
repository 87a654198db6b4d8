"""The engine `pocket` on a small model of random weights, loaded from files like a real one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.synth.engines.base import EngineError, UnknownVoice
from services.synth.engines.pocket.engine import PocketEngine
from tests.support import forwards
from tests.support.pocket_model import FRAME_BYTES, FRAMES, RATE, build, recording

pytestmark = pytest.mark.torch

HELLO = "안녕하세요, 반갑습니다."


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("pocket"))


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("endless"), endless=True)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., PocketEngine]:
    """Returns a function that makes a loaded engine of a model."""
    monkeypatch.chdir(tmp_path)

    def load(source: Path, **settings: object) -> PocketEngine:
        for name, value in {"POCKET_CONFIG": source, "POCKET_LANGUAGE": "ko-KR", **settings}.items():
            monkeypatch.setenv(name, str(value))
        engine = PocketEngine()
        engine.load()
        return engine

    return load


def spoken(engine: PocketEngine, sentence: str = HELLO, **options: Any) -> list[bytes]:
    arguments = {"voice": None, "language": "ko-KR", "speed": 1.0, "stop": lambda: False} | options
    return list(engine.synthesize(sentence, **arguments))


def test_voices_are_the_files_of_the_folder(load: Callable[..., PocketEngine], source: Path) -> None:
    engine = load(source)
    assert [(v.name, v.language, v.sample_rate_hz) for v in engine.voices()] == [
        ("jun", "ko-KR", RATE),
        ("mina", "ko-KR", RATE),
    ]
    assert engine.sample_rate_hz(None) == engine.sample_rate_hz("mina") == RATE
    assert spoken(engine, voice="jun") == spoken(engine) != spoken(engine, voice="mina")
    with pytest.raises(UnknownVoice, match="no 'eve' in POCKET_VOICES; there is: jun, mina"):
        engine.sample_rate_hz("eve")
    with pytest.raises(UnknownVoice, match="no 'eve'"):
        spoken(engine, voice="eve")
    with pytest.raises(UnknownVoice, match="speaks 'ko-KR', not 'en-US'"):
        spoken(engine, language="en-US")


def test_pieces_are_single_frames(load: Callable[..., PocketEngine], source: Path) -> None:
    engine = load(source)
    pieces = spoken(engine)
    assert [len(piece) for piece in pieces] == [FRAME_BYTES] * FRAMES + [0]
    assert any(b"".join(pieces)), "the audio is silence"
    assert spoken(engine, "…!?") == []


def test_audio_of_a_sentence_is_always_the_same(load: Callable[..., PocketEngine], source: Path) -> None:
    engine = load(source)
    first = spoken(engine)
    stopped = engine.synthesize(HELLO, voice=None, language="ko", speed=1.0, stop=lambda: False)
    next(stopped)
    stopped.close()  # type: ignore[attr-defined]
    assert spoken(engine) == first
    assert spoken(engine, "다른 문장입니다.") != first
    other = load(source)
    assert spoken(other) == first
    assert other.version == engine.version


def test_speed_changes_the_length_of_the_audio(load: Callable[..., PocketEngine], source: Path) -> None:
    engine = load(source)
    whole = FRAMES * FRAME_BYTES
    for speed in (0.5, 2.0):
        assert len(b"".join(spoken(engine, speed=speed))) == pytest.approx(whole / speed, rel=0.05)


def test_engine_streams_frames_and_stops_within_one_frame(load: Callable[..., PocketEngine], endless: Path) -> None:
    engine = load(endless)
    stopped = threading.Event()
    calls_at_frame: list[int] = []
    with forwards.counted() as until_stopped:
        for _ in engine.synthesize(HELLO * 4, voice=None, language="ko", speed=1.0, stop=stopped.is_set):
            calls_at_frame.append(until_stopped.made)
            if len(calls_at_frame) == 3:
                stopped.set()
    assert len(calls_at_frame) == 4, "there must be three frames and the empty rest of the stretcher"
    with forwards.counted() as in_all:
        whole = spoken(engine, HELLO * 4)
    assert len(whole) > 100
    assert 0 < calls_at_frame[0] < in_all.made / 4
    assert until_stopped.made < in_all.made / 4


def test_version_changes_with_the_files(load: Callable[..., PocketEngine], tmp_path: Path) -> None:
    source = build(tmp_path / "model")
    before = load(source).version
    recording(source.parent / "voices" / "mina.wav", 330.0)
    assert load(source).version != before


def changed(source: Path, folder: Path, **changes: Any) -> Path:
    """Writes a YAML in another folder that names the model's files, with the changes; None removes a key."""
    document = yaml.safe_load(source.read_text())
    document["weights_path"] = str(source.parent / "model.safetensors")
    document["flow_lm"]["lookup_table"]["tokenizer_path"] = str(source.parent / "tokenizer.json")
    for key, value in changes.items():
        *sections, name = key.split("__")
        section = document
        for part in sections:
            section = section[part]
        section[name] = value
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights_path": "no.safetensors"}, r"POCKET_CONFIG: .*weights_path: there is no file /.*/no.safetensors"),
        ({"weights_path": None}, "names no weights"),
        ({"weights_path": "hf://kyutai/pocket-tts/model.safetensors"}, "weights_path: hf://.* is an address"),
        ({"flow_lm__lookup_table__tokenizer_path": "t.json"}, "flow_lm.lookup_table.tokenizer_path: there is no file"),
        ({"flow_lm__lookup_table__n_bins": 99}, "cannot be loaded: tokenizer has vocab size=256"),
        ({"flow_lm__transformer__d_model": 64}, "the model cannot be loaded: .*size mismatch"),
        ({"flow_lm__transformer__d_model": "x"}, "flow_lm.transformer.d_model: Input should be a valid integer"),
        ({"mimi__typing_error": 1}, "mimi.typing_error: Extra inputs are not permitted"),
    ],
)
def test_load_refuses_an_invalid_config(
    load: Callable[..., PocketEngine], source: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        load(changed(source, tmp_path, **changes), POCKET_VOICES=source.parent / "voices")


def test_load_refuses_invalid_voice_files(
    load: Callable[..., PocketEngine], source: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = build(tmp_path_factory.mktemp("other"), heads=4)
    with pytest.raises(EngineError, match=r"POCKET_VOICES: .*jun.safetensors: it belongs to another model"):
        load(source, POCKET_VOICES=other.parent / "voices")
    voices = tmp_path / "voices"
    voices.mkdir()
    (voices / "mina.wav").write_bytes(b"RIFF, or not")
    with pytest.raises(EngineError, match=r"POCKET_VOICES: .*mina.wav: no voice can be made from it"):
        load(source, POCKET_VOICES=voices)


def test_weights_without_voice_cloning_refuse_recordings(
    load: Callable[..., PocketEngine], source: Path, tmp_path: Path
) -> None:
    bare = changed(
        source,
        tmp_path,
        weights_path=None,
        weights_path_without_voice_cloning=str(source.parent / "model.safetensors"),
    )
    with pytest.raises(EngineError, match="mina.wav: these weights cannot make a voice from a recording"):
        load(bare, POCKET_VOICES=source.parent / "voices")
    ready = tmp_path / "ready"
    ready.mkdir()
    (ready / "jun.safetensors").write_bytes((source.parent / "voices" / "jun.safetensors").read_bytes())
    assert spoken(load(bare, POCKET_VOICES=ready)) == spoken(load(source), voice="jun")
