"""The voices of speech servers: the fields of a voice in the file OPENAI_SPEECH_VOICES. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from services.synth.engines.base import Misconfigured, UnknownVoice, Voice

_TOP = ("voices", "revision", "deterministic")
_OWN_FIELDS = {"input", "model", "voice", "instructions", "response_format", "speed"}
"""Fields of a request that `extra_body` may not have: the engine sets them."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Line = Callable[[Sequence[object]], int | None]
"""Returns the line of a key of the file, by its path."""
Primitive = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class VoiceDefaults:
    """What a voice has that does not set it itself: from the settings."""

    model: str = "tts-1"
    format: Literal["pcm", "wav"] = "pcm"
    sample_rate_hz: int = 24_000
    extra_body: Mapping[str, Any] = field(default_factory=dict)


class SpeechVoice(BaseModel):
    """A voice: what to send to a server, and what comes back."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    model: Text
    voice: Text | None
    """None: the request has no such field."""
    languages: tuple[Text, ...] = Field(min_length=1, strict=False)
    """BCP 47 tags; a request without a voice gets the first voice that has its language."""
    format: Literal["pcm", "wav"] = "pcm"
    """`pcm` is mono PCM16 little-endian; the rate of `wav` is that of its header."""
    sample_rate_hz: int = Field(24_000, ge=8_000, le=192_000)
    """Rate of `pcm`, and the declared rate of the voice: audio with another one is resampled."""
    instructions: Text | None = None
    speed: Literal["sent", "unsupported"] = "sent"
    """`unsupported`: the engine changes the tempo of the audio itself."""
    language_field: Text | None = None
    """The name of a request field that gets the request's BCP 47 tag; None: no such field."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """More fields of the request."""

    @field_validator("language_field")
    @classmethod
    def _free(cls, value: str | None) -> str | None:
        if value in _OWN_FIELDS:  # the language would replace, for example, the text
            raise ValueError(f"{value!r} is a field that every request has; name another one, or leave it out")
        return value

    @field_validator("extra_body")
    @classmethod
    def _not_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        if own := sorted(_OWN_FIELDS & value.keys()):
            raise ValueError(f"{own[0]!r} cannot be set here; use the voice's own field of this name, if it has one")
        if value.get("stream_format", "audio") != "audio":
            raise ValueError("'stream_format' must be audio: the engine does not read events")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise ValueError("it has a value that JSON does not have, such as a date; put quotes around it") from None
        return value


class SpeechVoices:
    """The voices by name, at least one."""

    def __init__(self, voices: Mapping[str, SpeechVoice], *, revision: Primitive = None, **options: bool) -> None:
        """Options: `deterministic`, see `Engine`; `any_language`: a request in any language gets the first voice."""
        self.by_name = dict(voices)
        self.deterministic = options.get("deterministic", False)
        self._any_language = options.get("any_language", False)
        # A list: their order determines which one speaks a request without a voice.
        fields = [(name, voice.model_dump()) for name, voice in self.by_name.items()]
        content = json.dumps([revision, self.deterministic, fields], sort_keys=True)
        self.digest = hashlib.sha256(content.encode()).hexdigest()[:12]
        """Changes with the voices. Neither the key nor the addresses are part of it."""

    def listed(self) -> list[Voice]:
        """Returns the voices for `Engine.voices`, in the order of the file."""
        return [Voice(name, v.languages[0], v.sample_rate_hz, v.languages[1:]) for name, v in self.by_name.items()]

    @property
    def first(self) -> SpeechVoice:
        """The first voice, whose rate is the default one."""
        return next(iter(self.by_name.values()))

    def named(self, voice: str) -> SpeechVoice:
        """Returns the voice of that name. Raises UnknownVoice."""
        if voice not in self.by_name:
            raise UnknownVoice(f"voice: there is no {voice!r} in this node; there is: {', '.join(self.by_name)}")
        return self.by_name[voice]

    def of_language(self, language: str) -> SpeechVoice:
        """Returns the first voice with that language; the country is ignored. Raises UnknownVoice."""
        if self._any_language:
            return self.first
        wanted = _primary(language)
        for voice in self.by_name.values():
            if wanted in map(_primary, voice.languages):
                return voice
        raise UnknownVoice(f"language: no voice of this node has {language!r} among its languages; name a voice")


def one_voice(name: str, language: str, defaults: VoiceDefaults) -> SpeechVoices:
    """Returns the only voice of a node without a file. Raises Misconfigured for an invalid OPENAI_SPEECH_EXTRA_BODY."""
    fields = {**_defaults(defaults), "voice": name, "languages": [language]}
    try:
        return SpeechVoices({name: SpeechVoice.model_validate(fields)}, any_language=True)
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        where = "_".join(str(part) for part in error["loc"][:1]).upper()
        raise Misconfigured(f"OPENAI_SPEECH_{where}: {error['msg'].removeprefix('Value error, ')}") from None


def voices_of(document: object, source: str, defaults: VoiceDefaults, line_of: Line) -> SpeechVoices:
    """Returns the voices of a file. Raises Misconfigured that names `source`, the line, voice, field and fix."""
    named = document.get("voices") if isinstance(document, Mapping) else None
    if not isinstance(named, Mapping) or not named:
        raise Misconfigured(f"{source}: it has no voices; write `voices:` with the fields of each name below it")
    assert isinstance(document, Mapping)
    if unknown := sorted(str(key) for key in document if key not in _TOP):
        raise Misconfigured(
            f"{_place(source, line_of([unknown[0]]))} {unknown[0]!r} is not known here; write voices below `voices:`"
        )
    deterministic = document.get("deterministic", False)
    if not isinstance(deterministic, bool):
        raise Misconfigured(f"{_place(source, line_of(['deterministic']))} deterministic: write true or false")
    revision = document.get("revision")
    if not isinstance(revision, Primitive):
        revision = str(revision)
    voices = {name: _voice(name, fields, source, defaults, line_of) for name, fields in named.items()}
    return SpeechVoices(voices, revision=revision, deterministic=deterministic)


def _voice(name: object, fields: object, source: str, defaults: VoiceDefaults, line_of: Line) -> SpeechVoice:
    place = _place(source, line_of(["voices", name]))
    if not isinstance(name, str) or not name.strip():
        raise Misconfigured(f"{place} a voice has the name {name!r}; put quotes around it")
    if not isinstance(fields, Mapping):
        raise Misconfigured(f"{place} voice {name!r} has no fields; it needs languages, as in [ko, en]")
    base = {**_defaults(defaults), "voice": name}
    extra = fields.get("extra_body")
    merged = {**base, **fields}
    if isinstance(extra, Mapping):
        merged["extra_body"] = {**defaults.extra_body, **extra}
    try:
        return SpeechVoice.model_validate(merged)
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        path = [str(part) for part in error["loc"]]
        problem = _FIXES.get(error["type"]) or error["msg"].removeprefix("Value error, ")
        place = _place(source, line_of(["voices", name, *path]))
        raise Misconfigured(f"{place} voice {name!r}: {'.'.join(path)}: {problem}") from None


def _defaults(defaults: VoiceDefaults) -> dict[str, Any]:
    return {
        "model": defaults.model,
        "format": defaults.format,
        "sample_rate_hz": defaults.sample_rate_hz,
        "extra_body": dict(defaults.extra_body),
    }


def _place(source: str, line: int | None) -> str:
    return f"{source}:" if line is None else f"{source}: line {line}:"


def _primary(tag: str) -> str:
    return tag.replace("_", "-").partition("-")[0].lower()


_FIXES = {
    "missing": "it is missing; write the languages of the voice, as in [ko, en]",
    "extra_forbidden": "there is no such field; a typing error?",
    "tuple_type": "it is not a list; write it as one, [in, brackets]",
    "string_type": "it is not text; put quotes around it",
    "dict_type": "it has no fields; write them below it",
}
