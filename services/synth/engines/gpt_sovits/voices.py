"""Voice profiles: the fields of a voice in `voices.yaml`. Pure."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from services.synth.engines.base import Misconfigured, UnknownVoice, Voice

RATES_HZ = {"v1": 32_000, "v2": 32_000, "v2Pro": 32_000, "v2ProPlus": 32_000, "v3": 24_000, "v4": 48_000}
"""Output rate of each model version."""

SPEAKS = ("ko", "en", "ja", "zh", "yue")
"""Languages of the servers, with the servers' names (lower case). A text in `zh` or another may contain English."""

TEXT_LANGS = frozenset({*SPEAKS, "auto", "auto_yue", "all_zh", "all_ja", "all_yue", "all_ko"})

_ALIASES = {"cmn": "zh"}

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def _as_text(value: object) -> object:
    """Turns a number or a date, as YAML reads `revision: 2`, into text."""
    plain = isinstance(value, (int, float, datetime.date)) and not isinstance(value, bool)
    return str(value) if plain else value


Revision = Annotated[Text, BeforeValidator(_as_text)]
"""Any text. A new one means that the voice may sound different although all other fields are the same."""


def spoken_language(tag: str) -> str:
    """Returns the server's name for a BCP 47 tag: ko for ko-KR, yue for zh-HK. Raises ValueError for others."""
    parts = tag.replace("_", "-").lower().split("-")
    name = _ALIASES.get(parts[0], parts[0])
    if name == "zh" and {"hk", "mo", "yue"} & set(parts[1:]):
        name = "yue"
    if name not in SPEAKS:
        raise ValueError(f"GPT-SoVITS does not speak {tag!r}; it speaks {', '.join(SPEAKS)}")
    return name


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Parameters(_Strict):
    """Parameters sent with every sentence; the server has a default for those that are not set."""

    streaming_mode: Literal[0, 1, 2, 3] = 1
    """0: complete sentence; 1: by segment (best); 2: token stream cut at silence; 3: token stream in fixed pieces
    (fastest)."""
    speed_factor: float = Field(1.0, gt=0.1, le=5)
    """Pace of the voice at speed 1.0."""
    top_k: int | None = Field(None, ge=1)
    top_p: float | None = Field(None, gt=0, le=1)
    temperature: float | None = Field(None, gt=0)
    text_split_method: str | None = Field(None, pattern=r"^cut[0-9]$")
    batch_size: int | None = Field(None, ge=1)
    batch_threshold: float | None = Field(None, gt=0)
    split_bucket: bool | None = None
    fragment_interval: float | None = Field(None, ge=0)
    seed: int | None = None
    parallel_infer: bool | None = None
    repetition_penalty: float | None = Field(None, gt=0)
    sample_steps: int | None = Field(None, ge=1)
    super_sampling: bool | None = None
    overlap_length: int | None = Field(None, ge=1)
    min_chunk_length: int | None = Field(None, ge=1)


class Profile(_Strict):
    """A voice: its recording, its languages and its parameters."""

    languages: tuple[Text, ...] = Field(min_length=1, strict=False)
    """BCP 47 tags; a request without a voice gets the first profile that has its language."""
    ref_audio_path: Text
    """Path, on the servers, of a recording of 3 to 10 s."""
    prompt_lang: str
    """Language of the recording."""
    prompt_text: str = ""
    """The text of the recording."""
    aux_ref_audio_paths: tuple[Text, ...] = Field((), strict=False)
    text_lang: str | None = None
    """None: the request's language."""
    version: Literal["v1", "v2", "v2Pro", "v2ProPlus", "v3", "v4"] = "v2"
    sample_rate_hz: int = Field(0, ge=8_000, le=192_000)
    """Declared rate of the voice; the default depends on `version`."""
    gpt_weights: Text | None = None
    sovits_weights: Text | None = None
    revision: Revision | None = None
    """Change it when a file behind a path changes: a recording, weights, or the servers' default weights."""
    parameters: Parameters = Parameters()

    @model_validator(mode="before")
    @classmethod
    def _rate_by_version(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("sample_rate_hz") is None:
            rate_hz = RATES_HZ.get(str(data.get("version", "v2")), 32_000)
            return {**data, "sample_rate_hz": rate_hz}
        return data

    @field_validator("languages")
    @classmethod
    def _spoken(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for tag in value:
            spoken_language(tag)
        return value

    @field_validator("parameters", mode="before")
    @classmethod
    def _none_of_them(cls, value: object) -> object:
        return {} if value is None else value  # the key without content, because all lines below it are comments

    @field_validator("prompt_lang", "text_lang")
    @classmethod
    def _named_as_the_servers_do(cls, value: str | None) -> str | None:
        if value is None:
            return None
        name = value.strip().lower()
        if name not in TEXT_LANGS:
            raise ValueError(f"{value!r} is not one of {', '.join(sorted(TEXT_LANGS))}")
        return name

    @model_validator(mode="after")
    def _prompted(self) -> Profile:
        if self.version in ("v3", "v4") and not self.prompt_text:
            raise ValueError(f"prompt_text is missing: {self.version} needs the text of the recording")
        return self

    @property
    def weights(self) -> tuple[str | None, str | None]:
        """Paths of the GPT and SoVITS weights; None: those that the server was started with."""
        return self.gpt_weights, self.sovits_weights


class Voices:
    """The profiles by name, at least one. Raises Misconfigured that names `source`, voice, field and fix."""

    def __init__(self, document: object, source: str) -> None:
        named = document.get("voices") if isinstance(document, Mapping) else None
        if not isinstance(named, Mapping) or not named:
            raise Misconfigured(f"{source}: it has no voices; write `voices:` with a profile for each name below it")
        assert isinstance(document, Mapping)
        if unknown := sorted(str(key) for key in document if key not in ("voices", "revision")):
            raise Misconfigured(f"{source}: {unknown[0]!r} is not known here; write voices below `voices:`")
        revision = _revision(document.get("revision"), source)
        self.profiles = {_name(name, source): _profile(name, fields, source) for name, fields in named.items()}
        for field in ("gpt_weights", "sovits_weights"):
            without = [name for name, profile in self.profiles.items() if getattr(profile, field) is None]
            if without and len(without) < len(self.profiles):
                raise Misconfigured(
                    f"{source}: voice {without[0]!r}: {field} is missing; another voice has it, and a server keeps "
                    "the last weights: set it for all voices or for none"
                )
        # A list: their order determines which one speaks a request without a voice.
        voices = [(name, profile.model_dump()) for name, profile in self.profiles.items()]
        content = json.dumps({"revision": revision, "voices": voices}, sort_keys=True)
        self.digest = hashlib.sha256(content.encode()).hexdigest()[:12]
        """Changes with the content of the file. It does not cover files on the servers; `revision` is for those."""

    def listed(self) -> list[Voice]:
        """Returns the voices for `Engine.voices`, in the order of the file."""
        return [Voice(name, p.languages[0], p.sample_rate_hz, p.languages[1:]) for name, p in self.profiles.items()]

    def sample_rate_hz(self, voice: str | None) -> int:
        """Returns the declared rate of a voice, None for the first one. Raises UnknownVoice."""
        return (self.named(voice) if voice is not None else next(iter(self.profiles.values()))).sample_rate_hz

    def named(self, voice: str) -> Profile:
        """Returns the profile of that name. Raises UnknownVoice."""
        if voice not in self.profiles:
            raise UnknownVoice(f"voice: there is no {voice!r} in the voices file; there is: {', '.join(self.profiles)}")
        return self.profiles[voice]

    def of_language(self, language: str) -> Profile:
        """Returns the first profile with that language; the country is ignored. Raises UnknownVoice."""
        try:
            wanted = spoken_language(language)
        except ValueError as exc:
            raise UnknownVoice(f"language: {exc}") from None
        for profile in self.profiles.values():
            if wanted in map(spoken_language, profile.languages):
                return profile
        raise UnknownVoice(f"language: no voice of the voices file has {language!r} among its languages; name a voice")


def _name(name: object, source: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise Misconfigured(f"{source}: a voice has the name {name!r}; put quotes around it")
    return name


def _revision(value: object, source: str) -> str | None:
    try:
        return _REVISION.validate_python(value)
    except ValidationError as exc:
        raise Misconfigured(f"{source}: revision: {_problem(exc.errors(include_url=False)[0])}") from None


def _profile(name: object, fields: object, source: str) -> Profile:
    if not isinstance(fields, Mapping):
        raise Misconfigured(f"{source}: voice {name!r} has no fields; it needs languages, ref_audio_path, prompt_lang")
    try:
        return Profile.model_validate(dict(fields))
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in error["loc"])
        raise Misconfigured(f"{source}: voice {name!r}: {field + ': ' if field else ''}{_problem(error)}") from None


def _problem(error: ErrorDetails) -> str:
    return _FIXES.get(error["type"]) or error["msg"].removeprefix("Value error, ")


_REVISION: TypeAdapter[str | None] = TypeAdapter(Revision | None)
_FIXES = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such field; a typing error?",
    "tuple_type": "it is not a list; write it as one, [in, brackets]",
    "string_type": "it is not text; put quotes around it",
    "model_type": "it has no fields; write them below it",
}
