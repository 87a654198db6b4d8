"""The files that the engine `gpt_sovits_local` needs, and the arguments that the package gets for a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.synth.engines.base import EngineError, UnknownVoice
from services.synth.engines.gpt_sovits.voices import Profile, Voices
from services.synth.engines.gpt_sovits_local.files import (
    BERT,
    CHINESE,
    HUBERT,
    JAPANESE,
    LANGUAGE_DETECTOR,
    SPEAKER,
    WEIGHTS,
    ModelsFolder,
    files_of,
    languages_of,
    models_of,
    on_this_machine,
)
from services.synth.engines.gpt_sovits_local.request_body import asked
from services.synth.engines.gpt_sovits_local.settings import GptSovitsLocalSettings

pytestmark = pytest.mark.unit

MINA: dict[str, Any] = {
    "languages": ["ko", "en"],
    "ref_audio_path": "mina.wav",
    "prompt_lang": "ko",
    "prompt_text": "안녕하세요.",
}
SHARED = [
    *(f"{BERT}/{name}" for name in ("config.json", "tokenizer.json", "pytorch_model.bin")),
    *(f"{HUBERT}/{name}" for name in ("config.json", "preprocessor_config.json", "pytorch_model.bin")),
]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


@pytest.fixture
def models(tmp_path: Path) -> ModelsFolder:
    """The files that version v2 needs, and no others."""
    folder = tmp_path / "models"
    touch(*(folder / name for name in (*SHARED, *WEIGHTS["v2"])))
    return ModelsFolder(folder)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The path of the voices file, with a recording in the same folder."""
    touch(tmp_path / "voices" / "mina.wav")
    return tmp_path / "voices" / "voices.yaml"


def profile_of(models: ModelsFolder, source: Path, **changes: Any) -> Profile:
    voices = Voices({"voices": {"mina": MINA | changes}}, str(source))
    return on_this_machine(voices, models, source)["mina"]


def test_profile_without_weights_uses_the_published_ones(models: ModelsFolder, source: Path) -> None:
    profile = profile_of(models, source)
    assert profile.weights == tuple(str(models.path / name) for name in WEIGHTS["v2"])
    assert profile.ref_audio_path == str(source.parent / "mina.wav")
    assert files_of(profile) == [source.parent / "mina.wav", *(models.path / name for name in WEIGHTS["v2"])]
    assert models_of(models) == [models.path / name for name in SHARED]


def test_profile_with_weights_uses_its_own_files(models: ModelsFolder, source: Path, tmp_path: Path) -> None:
    touch(tmp_path / "mina.ckpt", source.parent / "mina.pth", source.parent / "more.wav")
    profile = profile_of(
        models,
        source,
        gpt_weights=str(tmp_path / "mina.ckpt"),
        sovits_weights="mina.pth",
        aux_ref_audio_paths=["more.wav"],
    )
    assert profile.weights == (str(tmp_path / "mina.ckpt"), str(source.parent / "mina.pth"))
    assert profile.aux_ref_audio_paths == (str(source.parent / "more.wav"),)


@pytest.mark.parametrize("missing", [*SHARED, *WEIGHTS["v2"]])
def test_error_names_each_missing_model(models: ModelsFolder, source: Path, missing: str) -> None:
    (models.path / missing).unlink()
    with pytest.raises(EngineError, match=f"GPT_SOVITS_MODELS: there is no file {models.path / missing}"):
        profile_of(models, source)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ref_audio_path": "no.wav"}, "ref_audio_path: there is no file /.*/voices/no.wav"),
        ({"aux_ref_audio_paths": ["mina.wav", "/no/2.wav"]}, "aux_ref_audio_paths: there is no file /no/2.wav"),
        ({"gpt_weights": "no.ckpt"}, "gpt_weights: there is no file /.*/voices/no.ckpt"),
        ({"sovits_weights": "no.pth"}, "sovits_weights: there is no file /.*/voices/no.pth"),
        ({"version": "v4"}, "version: v4 needs a server .* use v1, v2, v2Pro, v2ProPlus"),
        ({"version": "v1"}, "version: v1 does not speak ko; v2 or later does"),
    ],
)
def test_error_names_the_voice_and_the_wrong_field(
    models: ModelsFolder, source: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(EngineError, match=f"^{source}: voice 'mina': {message}"):
        profile_of(models, source, **changes)


def test_error_names_the_files_that_a_version_needs(models: ModelsFolder, source: Path) -> None:
    with pytest.raises(EngineError, match=f"there is no file {models.path / SPEAKER}, which v2Pro needs .*'mina'"):
        profile_of(models, source, version="v2Pro")
    touch(models.path / SPEAKER)
    with pytest.raises(EngineError, match="s1v3.ckpt, the default for v2Pro .*gpt_weights is not set"):
        profile_of(models, source, version="v2Pro")
    touch(*(models.path / name for name in WEIGHTS["v2Pro"]))
    assert profile_of(models, source, version="v2Pro").weights[1] == str(models.path / "v2Pro/s2Gv2Pro.pth")


@pytest.mark.parametrize(
    ("changes", "folder", "language"),
    [
        ({"languages": ["ko", "zh-HK"]}, CHINESE, "yue"),
        ({"text_lang": "auto_yue"}, CHINESE, "auto_yue"),
        ({"prompt_lang": "zh"}, CHINESE, "zh"),
        ({"languages": ["ja"]}, JAPANESE, "ja"),
    ],
)
def test_error_names_the_folder_that_a_language_needs(
    models: ModelsFolder, source: Path, changes: dict[str, Any], folder: str, language: str
) -> None:
    with pytest.raises(EngineError, match=f"no folder {models.path / folder}, which {language} needs"):
        profile_of(models, source, **changes)
    (models.path / folder).mkdir()
    assert language in languages_of(profile_of(models, source, **changes))


def test_recording_without_a_text_needs_no_language(models: ModelsFolder, source: Path) -> None:
    assert languages_of(profile_of(models, source, prompt_lang="zh", prompt_text="")) == {"ko", "en"}


def test_better_language_detector_is_used_when_its_file_exists(models: ModelsFolder) -> None:
    assert models.detector is None
    touch(models.path / LANGUAGE_DETECTOR)
    assert models.detector == models.path / LANGUAGE_DETECTOR


@pytest.mark.parametrize(
    ("mode", "speed", "flags"),
    [
        (None, 1.0, (True, False, False)),
        (0, 1.0, (False, False, False)),
        (1, 1.0, (False, True, False)),
        (2, 1.0, (True, False, False)),
        (3, 1.0, (True, False, True)),
        (0, 1.5, (True, False, False)),
        (1, 0.5, (True, False, False)),
        (3, 0.5, (True, False, True)),
    ],
)
def test_streaming_mode_sets_three_flags(
    models: ModelsFolder, source: Path, mode: int | None, speed: float, flags: tuple[bool, ...]
) -> None:
    parameters: dict[str, Any] = {"top_k": 5} | ({} if mode is None else {"streaming_mode": mode})
    body = asked(profile_of(models, source, parameters=parameters), "안녕.", language="ko-KR", speed=speed)
    assert tuple(body[name] for name in ("streaming_mode", "return_fragment", "fixed_length_chunk")) == flags
    assert (body["text"], body["text_lang"], body["top_k"], body["speed_factor"]) == ("안녕.", "ko", 5, speed)
    assert body["ref_audio_path"] == str(source.parent / "mina.wav")
    assert body.get("parallel_infer", True) is not flags[0]


def test_unsupported_language_is_refused(models: ModelsFolder, source: Path) -> None:
    with pytest.raises(UnknownVoice, match="language: "):
        asked(profile_of(models, source), "Salut.", language="fr-FR", speed=1.0)


def test_settings_resolve_the_folder_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineError, match="GPT_SOVITS_MODELS is not set; set it to GPT-SoVITS' folder pretrained_m"):
        _ = GptSovitsLocalSettings.load().models
    monkeypatch.setenv("GPT_SOVITS_MODELS", "pretrained_models")
    assert GptSovitsLocalSettings.load().models == tmp_path / "pretrained_models"
