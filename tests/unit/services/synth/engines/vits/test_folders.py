"""Directories of voices, and the errors for directories that are not voices."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from services.synth.engines.base import EngineError
from services.synth.engines.vits.folders import find
from services.synth.engines.vits.settings import VitsSettings

pytestmark = pytest.mark.unit


def voice(folder: Path, language: str | None = "kor", **tokenizer: Any) -> Path:
    """Writes a directory that passes for an MMS model before it is loaded."""
    folder.mkdir(parents=True)
    tokenizer_fields = {"phonemize": False, "is_uroman": language == "kor", **tokenizer}
    (folder / "config.json").write_text(json.dumps({"model_type": "vits", "num_speakers": 1}))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(tokenizer_fields | ({"language": language} if language else {}))
    )
    (folder / "vocab.json").write_text(json.dumps({"a": 1, "n": 2, " ": 3}))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_find_returns_a_voice_per_directory_with_korean_first(tmp_path: Path) -> None:
    voice(tmp_path / "mms-tts-eng", "eng")
    voice(tmp_path / "mms-tts-kor")
    voice(tmp_path / "b" / "too-deep")
    (tmp_path / "notes").mkdir()
    korean, english = find(tmp_path)
    assert [(one.name, one.language, one.speaker) for one in (korean, english)] == [
        ("mms-tts-kor", "ko", None),
        ("mms-tts-eng", "en", None),
    ]
    assert korean.alphabet.spelled("안나") == "anna"
    assert english.alphabet.spelled("안나 Na") == "na"


def test_find_accepts_a_directory_that_is_itself_a_voice(tmp_path: Path) -> None:
    voice(tmp_path / "mina")
    (only,) = find(tmp_path / "mina")
    assert (only.name, only.language) == ("mina", "ko")


def test_language_is_read_from_voice_json_then_tokenizer_then_name(tmp_path: Path) -> None:
    folder = voice(tmp_path / "mms-tts-eng", None)
    assert find(tmp_path)[0].language == "en"
    change(folder / "tokenizer_config.json", language="fra")
    assert find(tmp_path)[0].language == "fr"
    (folder / "voice.json").write_text('{"language": "en-GB"}')
    assert find(tmp_path)[0].language == "en-GB"


def test_speaker_is_read_from_voice_json_and_checked(tmp_path: Path) -> None:
    folder = voice(tmp_path / "vctk-eng", "eng")
    change(folder / "config.json", num_speakers=109)
    assert find(tmp_path)[0].speaker == 0
    (folder / "voice.json").write_text('{"speaker": 108}')
    assert find(tmp_path)[0].speaker == 108
    (folder / "voice.json").write_text('{"speaker": 109}')
    with pytest.raises(EngineError, match=r"voice.json: speaker: the model has 109"):
        find(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "vocab.json", "tokenizer_config.json", "model.safetensors"])
def test_digest_changes_with_every_file(tmp_path: Path, name: str) -> None:
    folder = voice(tmp_path / "mina")
    before = find(tmp_path)[0].digest
    assert find(tmp_path)[0].digest == before
    path = folder / name
    path.write_bytes(path.read_bytes().replace(b"{", b"{ ") if name != "model.safetensors" else b"others")
    assert find(tmp_path)[0].digest != before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.json", None, r"mina/vocab.json: it is missing; copy the whole model"),
        ("tokenizer_config.json", None, r"mina/tokenizer_config.json: it is missing"),
        ("model.safetensors", None, r"mina/model.safetensors: it is missing; .*pytorch_model.bin"),
        ("config.json", "{", r"mina/config.json: it is not JSON"),
        ("config.json", "[]", r"mina/config.json: it is not a JSON object"),
        ("config.json", '{"model_type": "bark"}', r"model_type is 'bark', not 'vits'"),
        ("tokenizer_config.json", '{"language": "eng"}', "needs phonemes"),
        (
            "tokenizer_config.json",
            '{"language": "ara", "phonemize": false, "is_uroman": true}',
            "needs ar romanised by uroman",
        ),
        ("tokenizer_config.json", '{"phonemize": false}', r"its language is unknown; write .*voice.json"),
        ("voice.json", '{"language": "Korean"}', "voice.json: language: 'Korean' is not a language tag"),
        ("voice.json", '{"speakr": 1}', "voice.json: speakr: Extra inputs"),
        ("voice.json", '{"speaker": "1"}', "voice.json: speaker:"),
    ],
)
def test_error_names_a_wrong_file_and_the_fix(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    path = voice(tmp_path / "mina") / name
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(EngineError, match=message):
        find(tmp_path)


def test_error_names_a_wrong_directory_and_the_fix(tmp_path: Path) -> None:
    for directory, message in (
        (None, "TTS_MODEL_DIR is not set"),
        (tmp_path / "none", "TTS_MODEL_DIR: there is no directory .*none"),
        (tmp_path, "has a config.json; put a VITS model there"),
    ):
        with pytest.raises(EngineError, match=message):
            find(directory)


def test_settings_share_the_cores_and_name_a_wrong_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TTS_DEVICE", "TTS_AT_ONCE", "TTS_THREADS", "SYNTH_SLOTS"):
        monkeypatch.delenv(name, raising=False)
    cores = len(os.sched_getaffinity(0))
    monkeypatch.setenv("SYNTH_SLOTS", "4")
    assert VitsSettings.load().threads == cores, "one process does not use all cores"
    monkeypatch.setenv("TTS_AT_ONCE", "1")
    assert VitsSettings.load().threads == max(cores // 4, 1), "four processes do not share the cores"
    monkeypatch.setenv("TTS_THREADS", "3")
    assert VitsSettings.load().threads == 3
    monkeypatch.setenv("TTS_DEVICE", "gpu")
    monkeypatch.setenv("TTS_AT_ONCE", "0")
    with pytest.raises(EngineError, match="TTS_DEVICE: .*; TTS_AT_ONCE: "):
        VitsSettings.load()
