"""The files that the engine `pocket` needs, and its errors for missing ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.synth.engines.base import EngineError
from services.synth.engines.pocket.config_file import read_config
from services.synth.engines.pocket.settings import PocketSettings
from services.synth.engines.pocket.voice_files import find_voices
from tests.support.pocket_model import configuration

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def described(folder: Path, document: dict[str, Any] | str) -> Path:
    path = folder / "model.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def test_relative_paths_start_at_the_folder_of_the_yaml(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    files = read_config(described(folder, configuration()))
    assert files.files == (folder / "model.yaml", folder / "model.safetensors", folder / "tokenizer.json")
    assert files.document["weights_path"] == str(folder / "model.safetensors")
    assert files.document["flow_lm"]["lookup_table"]["tokenizer_path"] == str(folder / "tokenizer.json")
    assert files.clones
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    document = configuration(weights_path=str(folder / "model.safetensors"))
    document["flow_lm"]["lookup_table"]["tokenizer_path"] = str(folder / "tokenizer.json")
    assert read_config(described(elsewhere, document)).document == files.document


def test_config_with_weights_in_parts_needs_both_parts(folder: Path) -> None:
    document = configuration(weights_path=None)
    document["flow_lm"]["weights_path"] = "model.safetensors"
    with pytest.raises(EngineError, match="names no weights: give weights_path, or both flow_lm.weights_path and mimi"):
        read_config(described(folder, document))
    document["mimi"]["weights_path"] = "model.safetensors"
    assert len(read_config(described(folder, document)).files) == 4


def test_weights_without_voice_cloning_are_used_when_there_are_no_others(folder: Path) -> None:
    bare = {"weights_path_without_voice_cloning": "model.safetensors"}
    files = read_config(described(folder, configuration(**bare, weights_path=None)))
    assert not files.clones
    assert files.document["weights_path"] == str(folder / "model.safetensors")
    assert "weights_path_without_voice_cloning" not in files.document
    assert read_config(described(folder, configuration(weights_path_without_voice_cloning="hf://x/y"))).clones


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("- 1", "it describes no model"),
        ("a: [", "line 1: it is not YAML"),
        (configuration(weights_path=3), "weights_path: 3 is not the path of a file"),
        (configuration(weights_path="https://x/y"), "weights_path: https://x/y is an address; nothing is downloaded"),
        (configuration(weights_path="../none"), r"weights_path: there is no file /.*/\.\./none"),
        (configuration(flow_lm={}), "flow_lm.lookup_table.tokenizer_path is missing"),
        (configuration(flow_lm="x"), "flow_lm.lookup_table.tokenizer_path is missing"),
    ],
)
def test_read_config_refuses_an_invalid_document(folder: Path, document: dict[str, Any] | str, message: str) -> None:
    with pytest.raises(EngineError, match=f"^POCKET_CONFIG: {folder / 'model.yaml'}: {message}"):
        read_config(described(folder, document))


def test_read_config_refuses_a_missing_file(folder: Path) -> None:
    with pytest.raises(EngineError, match="POCKET_CONFIG: /no/model.yaml: there is no such file"):
        read_config(Path("/no/model.yaml"))
    with pytest.raises(EngineError, match="is a file that ends with .yaml"):
        read_config(folder / "model.safetensors")


def test_find_voices_returns_the_files_by_name(folder: Path) -> None:
    for name in ("mina.wav", "jun.WAV", "mina.safetensors", "notes.txt", "._mina.wav"):
        (folder / name).write_bytes(b"")
    (folder / "folder.wav").mkdir()
    (folder / "model.safetensors").unlink()
    assert find_voices(folder) == {"jun": folder / "jun.WAV", "mina": folder / "mina.safetensors"}


def test_find_voices_refuses_a_folder_without_voices(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=f"POCKET_VOICES: {tmp_path}: there is no voice in it; put NAME.wav there"):
        find_voices(tmp_path)
    with pytest.raises(EngineError, match="POCKET_VOICES: /no/voices: the folder cannot be read: No such file"):
        find_voices(Path("/no/voices"))


def test_settings_resolve_paths_and_check_the_language(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="POCKET_CONFIG is not set"):
        _ = PocketSettings.load().voices
    monkeypatch.setenv("POCKET_CONFIG", "model.yaml")
    assert PocketSettings.load().config == folder / "model.yaml"
    assert PocketSettings.load().voices == folder / "voices"
    monkeypatch.setenv("POCKET_VOICES", "../other")
    assert PocketSettings.load().voices == folder / "../other"
    monkeypatch.setenv("POCKET_LANGUAGE", "Korean!")
    with pytest.raises(EngineError, match="POCKET_LANGUAGE: "):
        PocketSettings.load()
