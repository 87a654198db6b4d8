"""Reads `voices.yaml`. The only file that imports yaml."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from services.synth.engines.base import Misconfigured
from services.synth.engines.gpt_sovits.voices import Voices


class _Loader(yaml.SafeLoader):
    """Loads plain data only, and refuses a repeated key: YAML would silently keep the last one."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """See SafeLoader. Raises yaml.YAMLError for a key that is repeated or is not text."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is a list or a mapping", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is set twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def read_voices(path: Path) -> Voices:
    """Returns the profiles of the file. Raises Misconfigured that names the file, the place in it and the fix."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Misconfigured(
            f"{path}: there is no such file; copy deploy/voices.example.yaml there, or set GPT_SOVITS_VOICES"
        ) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise Misconfigured(f"{path}: it cannot be read: {exc}") from exc
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as exc:  # ValueError: for example an invalid date
        mark = getattr(exc, "problem_mark", None)
        where = f" line {mark.line + 1}:" if mark else ""
        raise Misconfigured(f"{path}:{where} it is not YAML: {getattr(exc, 'problem', None) or exc}") from None
    return Voices(document, str(path))
