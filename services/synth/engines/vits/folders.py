"""Finds and checks the directories of voices before anything is loaded. A directory has the files of `save_pretrained`:

    config.json  vocab.json  tokenizer_config.json  model.safetensors   of transformers' VitsModel and VitsTokenizer
    voice.json   {"language": "ko-KR", "speaker": 3}                     our own: optional, and so is each field

The language is taken from voice.json, else from the tokenizer (`"language": "kor"` in MMS), else from the end of the
directory's name (`mms-tts-kor`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from services.synth.engines.base import Misconfigured
from services.synth.engines.digest import digest_of
from services.synth.engines.vits.alphabet import Alphabet
from services.synth.engines.vits.languages import tag_of

CONFIG, VOCABULARY, TOKENIZER, WEIGHTS, OURS = (
    "config.json",
    "vocab.json",
    "tokenizer_config.json",
    "model.safetensors",
    "voice.json",
)
_KOREAN = "ko"


class VoiceFile(BaseModel):
    """voice.json: values that the model's own files lack or have wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    language: str | None = None
    """BCP 47 tag, or an ISO 639-3 code."""
    speaker: int = Field(0, ge=0)
    """Number of the speaker, from 0, in a model with several."""

    @field_validator("language")
    @classmethod
    def _is_a_tag(cls, value: str | None) -> str | None:
        if value is not None and tag_of(value) is None:
            raise ValueError(f"{value!r} is not a language tag; write it like ko-KR")
        return value


@dataclass(frozen=True, slots=True)
class Folder:
    """A voice that can be loaded."""

    name: str
    path: Path
    language: str
    """BCP 47 tag."""
    speaker: int | None
    """None: the model has only one."""
    alphabet: Alphabet
    digest: str
    """Changes with every file that may change the sound."""


def find(directory: Path | None) -> list[Folder]:
    """Returns the voices of TTS_MODEL_DIR, Korean first, then by name. Raises Misconfigured that names the file."""
    if directory is None:
        raise Misconfigured(
            "TTS_MODEL_DIR is not set; set it to a directory with a VITS model (for example facebook/mms-tts-kor), or "
            "to one with a directory for each voice"
        )
    if not directory.is_dir():
        raise Misconfigured(f"TTS_MODEL_DIR: there is no directory {directory}; mount the voices there")
    try:
        paths = (
            [directory] if (directory / CONFIG).exists() else sorted(p.parent for p in directory.glob(f"*/{CONFIG}"))
        )
    except OSError as exc:
        raise Misconfigured(f"TTS_MODEL_DIR: {directory} cannot be read ({exc.strerror})") from exc
    if not paths:
        raise Misconfigured(
            f"TTS_MODEL_DIR: neither {directory} nor a directory in it has a {CONFIG}; put a VITS model there, with "
            "the files of save_pretrained"
        )
    folders = [_folder(path.resolve()) for path in paths]
    return sorted(folders, key=lambda folder: (folder.language.partition("-")[0] != _KOREAN, folder.name))


def _folder(path: Path) -> Folder:
    config, tokenizer, vocabulary = (_object(path / name) for name in (CONFIG, TOKENIZER, VOCABULARY))
    if (kind := config.get("model_type")) != "vits":
        raise Misconfigured(
            f"{path / CONFIG}: model_type is {kind!r}, not 'vits'; this engine supports VITS models only"
        )
    if tokenizer.get("phonemize", True):
        raise Misconfigured(f"{path / TOKENIZER}: the model needs phonemes; use one that reads letters, as MMS does")
    weights = path / WEIGHTS
    if not weights.is_file():
        raise Misconfigured(f"{weights}: it is missing; a model saved as pytorch_model.bin must be converted")
    ours = _ours(path / OURS)
    language = _language(path, tokenizer, ours)
    romanise = bool(tokenizer.get("is_uroman"))
    if romanise and language.partition("-")[0] != _KOREAN:
        raise Misconfigured(
            f"{path / TOKENIZER}: the model needs {language} romanised by uroman, which is supported for Korean only; "
            "remove the directory"
        )
    files = [path / name for name in (CONFIG, TOKENIZER, VOCABULARY, WEIGHTS)]
    try:
        digest = digest_of([*files, *([path / OURS] if (path / OURS).exists() else [])])
    except OSError as exc:
        raise Misconfigured(f"{exc.filename}: it cannot be read ({exc.strerror})") from exc
    return Folder(
        name=path.name,
        path=path,
        language=language,
        speaker=_speaker(path, config, ours),
        alphabet=Alphabet(vocabulary, romanise=romanise),
        digest=digest,
    )


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise Misconfigured(f"{path}: it is missing; copy the whole model, not its weights alone") from None
    except OSError as exc:
        raise Misconfigured(f"{path}: it cannot be read ({exc.strerror})") from exc
    except (ValueError, RecursionError):
        raise Misconfigured(f"{path}: it is not JSON; copy the file again") from None
    if not isinstance(value, dict):
        raise Misconfigured(f"{path}: it is not a JSON object; copy the file again")
    return value


def _ours(path: Path) -> VoiceFile:
    if not path.exists():
        return VoiceFile()
    try:
        return VoiceFile.model_validate(_object(path))
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        field = ".".join(map(str, error["loc"]))
        raise Misconfigured(f"{path}: {field}: {error['msg'].removeprefix('Value error, ')}") from None


def _language(path: Path, tokenizer: dict[str, Any], ours: VoiceFile) -> str:
    for code in (ours.language, tokenizer.get("language"), path.name.rpartition("-")[2]):
        if isinstance(code, str) and (tag := tag_of(code)) is not None:
            return tag
    raise Misconfigured(f'{path}: its language is unknown; write {{"language": "ko-KR"}} into {path / OURS}')


def _speaker(path: Path, config: dict[str, Any], ours: VoiceFile) -> int | None:
    count = config.get("num_speakers", 1)
    if ours.speaker >= count:
        raise Misconfigured(f"{path / OURS}: speaker: the model has {count}, counted from 0")
    return ours.speaker if count > 1 else None
