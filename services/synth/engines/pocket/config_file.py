"""Reads the model's YAML and checks the files that it names: weights and tokenizer. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.synth.engines.base import Misconfigured

_SETTING = "POCKET_CONFIG"
_WEIGHTS, _WITHOUT_CLONING = "weights_path", "weights_path_without_voice_cloning"
_TOKENIZER = "flow_lm.lookup_table.tokenizer_path"
_PARTS = ("flow_lm.weights_path", "mimi.weights_path")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of a model."""

    source: Path
    """The YAML."""
    document: dict[str, Any]
    """The content of the YAML, with absolute paths."""
    files: tuple[Path, ...]
    """All files that the sound depends on, the YAML first."""
    clones: bool
    """Whether the weights can make a voice from a recording."""


def read_config(source: Path) -> ModelFiles:
    """Returns the YAML and its files, all of which exist. Relative paths in it start at the YAML's folder.

    Raises Misconfigured that names the setting, the file, the key and the fix.
    """
    document = _document(source)
    clones = document.get(_WEIGHTS) is not None or document.get(_WITHOUT_CLONING) is None
    bare = document.pop(_WITHOUT_CLONING, None)
    if not clones:
        document[_WEIGHTS] = bare
    named = dict(_named(document, source))
    if _WEIGHTS not in named and not all(key in named for key in _PARTS):
        raise _wrong(source, f"it names no weights: give {_WEIGHTS}, or both {' and '.join(_PARTS)}")
    if _TOKENIZER not in named:
        raise _wrong(source, f"{_TOKENIZER} is missing")
    return ModelFiles(source, document, (source, *named.values()), clones)


def _document(source: Path) -> dict[str, Any]:
    if source.suffix not in (".yaml", ".yml"):
        raise _wrong(source, "the model's description is a file that ends with .yaml")
    try:
        document = yaml.safe_load(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _wrong(source, "there is no such file") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise _wrong(source, f"it cannot be read: {exc}") from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:  # ValueError: for example an invalid date
        mark = getattr(exc, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise _wrong(source, f"{where}it is not YAML: {getattr(exc, 'problem', None) or exc}") from None
    if not isinstance(document, dict):
        raise _wrong(source, "it describes no model")
    return document


def _named(document: dict[str, Any], source: Path) -> Iterator[tuple[str, Path]]:
    """Yields the key and the file of each path in the document, and makes the path in it absolute."""
    for key in (_WEIGHTS, *_PARTS, _TOKENIZER):
        *sections, name = key.split(".")
        section: Any = document
        for part in sections:
            section = section.get(part) if isinstance(section, dict) else None
        if not isinstance(section, dict) or section.get(name) is None:
            continue
        said = section[name]
        if not isinstance(said, str) or not said.strip():
            raise _wrong(source, f"{key}: {said!r} is not the path of a file")
        if "://" in said:
            raise _wrong(source, f"{key}: {said} is an address; nothing is downloaded: fetch it and name the file")
        path = source.parent / Path(said).expanduser()
        if not path.is_file():
            raise _wrong(source, f"{key}: there is no file {path}")
        section[name] = str(path)
        yield key, path


def _wrong(source: Path, problem: str) -> Misconfigured:
    return Misconfigured(f"{_SETTING}: {source}: {problem}")
