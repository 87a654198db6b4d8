"""Reads a YAML file of voices, with the line of each key. Imports yaml, like pocket's files."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.synth.engines.base import Misconfigured


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


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The content of a file."""

    document: object
    """Plain data; None for an empty file."""
    _root: yaml.Node | None = None

    def line_of(self, keys: Sequence[object]) -> int | None:
        """Returns the line of the innermost key of this path that is in the file, from 1; None if none is."""
        node, line = self._root, None
        for key in keys:
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            found = next(((k, value) for k, value in pairs if getattr(k, "value", None) == str(key)), None)
            if found is None:
                break
            node, line = found[1], found[0].start_mark.line + 1
        return line


def read_yaml(path: Path, if_missing: str) -> YamlFile:
    """Returns the file. Raises Misconfigured that names the file, the place in it and the fix.

    `if_missing` says what to do if there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Misconfigured(f"{path}: there is no such file; {if_missing}") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise Misconfigured(f"{path}: it cannot be read: {exc}") from exc
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            document = loader.construct_document(root) if root is not None else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as exc:  # ValueError: for example an invalid date
        mark = getattr(exc, "problem_mark", None)
        where = f" line {mark.line + 1}:" if mark else ""
        raise Misconfigured(f"{path}:{where} it is not YAML: {getattr(exc, 'problem', None) or exc}") from None
    return YamlFile(document, root)
