"""Voice profiles: what is accepted, what the errors name, and which voice speaks a language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.synth.engines.base import EngineError, UnknownVoice
from services.synth.engines.gpt_sovits.settings import GptSovitsSettings
from services.synth.engines.gpt_sovits.voices import Voices, spoken_language
from services.synth.engines.gpt_sovits.voices_file import read_voices
from services.synth.engines.servers.settings import server_url

pytestmark = pytest.mark.unit

EXAMPLE = Path(__file__).resolve().parents[6] / "deploy" / "voices.example.yaml"
MINA = {"languages": ["ko", "en-US"], "ref_audio_path": "/voices/mina.wav", "prompt_lang": "KO", "prompt_text": "네."}


def voices(**profiles: Any) -> Voices:
    return Voices({"voices": profiles}, "v.yaml")


def test_profile_has_defaults() -> None:
    both = voices(mina=MINA, ann=MINA | {"languages": ["en-GB"], "version": "v4"})
    mina = both.named("mina")
    assert mina.prompt_lang == "ko", "prompt_lang is not in lower case, and the servers fail on upper case"
    assert mina.parameters.streaming_mode == 1
    assert [(v.name, v.language, v.sample_rate_hz) for v in both.listed()] == [
        ("mina", "ko", 32_000),
        ("ann", "en-GB", 48_000),
    ]
    assert both.sample_rate_hz(None) == 32_000


@pytest.mark.parametrize(
    ("version", "rate_hz"),
    [("v1", 32_000), ("v2", 32_000), ("v2Pro", 32_000), ("v2ProPlus", 32_000), ("v3", 24_000), ("v4", 48_000)],
)
def test_rate_is_that_of_the_version_unless_the_profile_sets_one(version: str, rate_hz: int) -> None:
    assert voices(a=MINA | {"version": version}).sample_rate_hz("a") == rate_hz
    assert voices(a=MINA | {"version": version, "sample_rate_hz": 22_050}).sample_rate_hz("a") == 22_050


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ref_audio_path": None}, "ref_audio_path: "),
        ({"ref_audio_path": " "}, "ref_audio_path: "),
        ({"languages": []}, "languages: "),
        ({"languages": "ko"}, "languages: it is not a list; write it as one, [in, brackets]"),
        ({"languages": None}, "languages: it is not a list; write it as one"),
        ({"aux_ref_audio_paths": "/a.wav"}, "aux_ref_audio_paths: it is not a list; write it as one"),
        ({"prompt_text": 119}, "prompt_text: it is not text; put quotes around it"),
        ({"parameters": 5}, "parameters: it has no fields; write them below it"),
        ({"languages": ["fr"]}, "languages: GPT-SoVITS does not speak 'fr'; it speaks ko, en, ja, zh, yue"),
        ({"prompt_lang": "korean"}, "prompt_lang: 'korean' is not one of all_ja, all_ko"),
        ({"text_lang": "xx"}, "text_lang: 'xx' is not one of"),
        ({"version": "v9"}, "version: "),
        ({"version": "v3", "prompt_text": ""}, "prompt_text is missing: v3 needs"),
        ({"sample_rate_hz": 100}, "sample_rate_hz: "),
        ({"sample_rate_hz": "32000"}, "sample_rate_hz: "),
        ({"ref_audio": "x"}, "ref_audio: there is no such field; a typing error?"),
        ({"parameters": {"streaming_mode": 4}}, "parameters.streaming_mode: "),
        ({"parameters": {"top_k": 0}}, "parameters.top_k: "),
        ({"parameters": {"topk": 5}}, "parameters.topk: there is no such field"),
        ({"parameters": {"temperature": float("nan")}}, "parameters.temperature: "),
        ({"parameters": {"text_split_method": "cut"}}, "parameters.text_split_method: "),
        ({"gpt_weights": ""}, "gpt_weights: "),
    ],
)
def test_error_names_the_voice_and_the_wrong_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError) as raised:
        voices(mina=MINA | change)
    assert str(raised.value).startswith(f"v.yaml: voice 'mina': {message}")


def test_empty_parameters_are_the_defaults() -> None:
    assert voices(mina=MINA | {"parameters": None}).named("mina") == voices(mina=MINA).named("mina")


def test_error_names_a_missing_field() -> None:
    for field in ("languages", "ref_audio_path", "prompt_lang"):
        with pytest.raises(EngineError, match=f"^v.yaml: voice 'mina': {field}: it is missing$"):
            voices(mina={name: value for name, value in MINA.items() if name != field})


@pytest.mark.parametrize("document", [None, [], "text", {}, {"voices": None}, {"voices": []}, {"mina": MINA}])
def test_document_without_voices_is_refused(document: object) -> None:
    with pytest.raises(EngineError, match="^v.yaml: it has no voices; write `voices:`"):
        Voices(document, "v.yaml")


def test_document_of_a_wrong_shape_is_refused() -> None:
    with pytest.raises(EngineError, match="voice 'mina' has no fields"):
        voices(mina=None)
    with pytest.raises(EngineError, match="a voice has the name False; put quotes around it"):
        Voices({"voices": {False: MINA}}, "v.yaml")
    with pytest.raises(EngineError, match="'defaults' is not known here"):
        Voices({"voices": {"mina": MINA}, "defaults": {}}, "v.yaml")


@pytest.mark.parametrize("field", ["gpt_weights", "sovits_weights"])
def test_weights_must_be_set_for_all_voices_or_none(field: str) -> None:
    """A server keeps the last weights: a voice without its own would be spoken with another voice's."""
    named = MINA | {field: "a"}
    assert voices(a=named, b=named).named("a").weights.count("a") == 1
    with pytest.raises(EngineError, match=f"voice 'b': {field} is missing"):
        voices(a=named, b=MINA)


def test_of_language_returns_the_first_voice_of_a_language() -> None:
    there = voices(ann=MINA | {"languages": ["en-GB"]}, mina=MINA, hana=MINA | {"languages": ["ja"]})
    assert there.of_language("ko-KR") is there.named("mina")
    assert there.of_language("en-US") is there.named("ann"), (
        "of_language did not return the first voice of the language"
    )
    assert there.of_language("JA") is there.named("hana")
    assert [(voice.language, voice.also_speaks) for voice in there.listed()][:2] == [
        ("en-GB", ()),
        ("ko", ("en-US",)),
    ]
    for language, message in [("zh-CN", "has 'zh-CN' among its languages"), ("fr-FR", "does not speak 'fr-FR'")]:
        with pytest.raises(UnknownVoice, match=f"^language: .*{message}"):
            there.of_language(language)
    for ask in (there.named, there.sample_rate_hz):
        with pytest.raises(UnknownVoice, match="^voice: there is no 'bob' in the voices file; there is: ann, mina"):
            ask("bob")


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("ko-KR", "ko"),
        ("KO", "ko"),
        ("ko_KR", "ko"),
        ("en-US", "en"),
        ("ja", "ja"),
        ("zh-CN", "zh"),
        ("zh-Hans-CN", "zh"),
        ("cmn-Hans", "zh"),
        ("zh-HK", "yue"),
        ("zh-yue", "yue"),
        ("yue-Hant-HK", "yue"),
    ],
)
def test_spoken_language_returns_the_name_that_the_servers_use(tag: str, name: str) -> None:
    assert spoken_language(tag) == name


def test_digest_changes_with_every_field_that_changes_the_audio() -> None:
    digests = {
        voices(mina=MINA | change).digest
        for change in ({}, {"ref_audio_path": "/b.wav"}, {"parameters": {"seed": 1}}, {"sovits_weights": "b.pth"})
    }
    assert len(digests) == 4
    assert voices(mina=MINA).digest == voices(mina=dict(reversed(MINA.items()))).digest


def test_digest_changes_with_the_order_of_the_voices() -> None:
    """The order determines the voice of a request without one."""
    assert voices(mina=MINA, ann=MINA).digest != voices(ann=MINA, mina=MINA).digest


def test_digest_changes_with_the_revision() -> None:
    """A file may change while its path does not."""
    digests = {voices(mina=MINA, ann=MINA | of_one).digest for of_one in ({}, {"revision": 1}, {"revision": "b"})}
    digests |= {
        Voices({"voices": {"mina": MINA, "ann": MINA}, "revision": of_all}, "v.yaml").digest for of_all in (1, 2)
    }
    assert len(digests) == 5
    assert voices(mina=MINA | {"revision": None}).digest == voices(mina=MINA).digest
    assert voices(mina=MINA | {"revision": 1}).digest == voices(mina=MINA | {"revision": "1"}).digest


@pytest.mark.parametrize("revision", [[], {}, True, "", " "])
def test_invalid_revision_is_refused(revision: object) -> None:
    with pytest.raises(EngineError, match="^v.yaml: voice 'mina': revision: "):
        voices(mina=MINA | {"revision": revision})
    with pytest.raises(EngineError, match="^v.yaml: revision: "):
        Voices({"voices": {"mina": MINA}, "revision": revision}, "v.yaml")


# ---- the file


def test_revision_accepts_every_scalar_of_yaml(tmp_path: Path) -> None:
    path = tmp_path / "v.yaml"
    profile = "{languages: [ko], ref_audio_path: /a.wav, prompt_lang: ko, revision: %s}"
    digests = set()
    for revision in ("1", "1.5", "2026-11-26", "november", "2026-11-26 10:00:00"):
        path.write_text(f"voices:\n  mina: {profile % revision}\nrevision: {revision}\n")
        digests.add(read_voices(path).digest)
    assert len(digests) == 5


def test_example_file_is_valid() -> None:
    assert read_voices(EXAMPLE).of_language("ko-KR")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("voices: {mina: [", " line 1: it is not YAML"),
        ("voices:\n  mina: {}\n  mina: {}\n", " line 3: it is not YAML: 'mina' is set twice"),
        ("voices:\n  mina: !!python/object/apply:os.getcwd []\n", " line 2: it is not YAML: could not determine"),
        ("voices:\n  ? [a, b]\n  : {}\n", " line 2: it is not YAML: a key is a list or a mapping"),
        ("voices:\n  {a: b}: {}\n", " line 2: it is not YAML: a key is a list or a mapping"),
        ("voices: 2026-99-99\n", " it is not YAML: month must be"),
        ("voices: " + "[" * 5_000, " it is not YAML: "),
        ("", " it has no voices"),
    ],
)
def test_read_voices_refuses_an_invalid_file_and_names_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "v.yaml"
    path.write_text(text)
    with pytest.raises(EngineError) as raised:
        read_voices(path)
    assert str(raised.value).startswith(f"{path}:{message}")


def test_read_voices_refuses_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="there is no such file; copy deploy/voices.example.yaml there"):
        read_voices(tmp_path / "none.yaml")
    with pytest.raises(EngineError, match="it cannot be read"):
        read_voices(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EngineError, match="it cannot be read"):
        read_voices(tmp_path / "bytes.yaml")


# ---- settings


@pytest.mark.parametrize(
    ("given", "urls"),
    [
        ("http://a:9880", ("http://a:9880",)),
        (" http://a:1/ , https://b/tts-2/ ,", ("http://a:1", "https://b/tts-2")),
        ("http://[::1]:9880", ("http://[::1]:9880",)),
    ],
)
def test_settings_read_a_list_of_addresses(monkeypatch: pytest.MonkeyPatch, given: str, urls: tuple[str, ...]) -> None:
    monkeypatch.setenv("GPT_SOVITS_URLS", given)
    monkeypatch.setenv("SYNTH_STALL_SECONDS", "8")
    settings = GptSovitsSettings.load()
    assert tuple(settings.urls) == urls
    assert settings.silence_timeout_s == 6


@pytest.mark.parametrize(
    "bad", ["a:9880", "ftp://a", "http://", "http://a:b", "http://a?x=1", "http://u@a", "http://a:0"]
)
def test_settings_refuse_an_invalid_address(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a server"):
        server_url(bad, "http://a")
    monkeypatch.setenv("GPT_SOVITS_URLS", f"http://a,{bad}")
    with pytest.raises(EngineError, match="^GPT_SOVITS_URLS: .*is not the address of a server, as in http"):
        GptSovitsSettings.load()


@pytest.mark.parametrize(("given", "message"), [(" , ", "at least one server"), ("http://a, http://a/", "named twice")])
def test_settings_refuse_an_invalid_list_of_addresses(
    monkeypatch: pytest.MonkeyPatch, given: str, message: str
) -> None:
    monkeypatch.setenv("GPT_SOVITS_URLS", given)
    with pytest.raises(EngineError, match=f"^GPT_SOVITS_URLS: .*{message}"):
        GptSovitsSettings.load()
