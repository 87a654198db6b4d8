"""Reads the file of a lexicon. Only this file imports yaml."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from services.synth.lexicon.document import MAX_WORDS, LexiconError, LexiconNode, sections_of
from services.synth.reading.lexicon import Lexicon

MAX_BYTES = 1 << 20
"""Of a file."""
_MAX_DEPTH = 4  # languages, words, options; one more is an error of the document
_MAX_PARTS = 20 * MAX_WORDS  # texts and mappings: aliases of YAML can make a small file a huge document

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads 10 000 words in a tenth of the time


class LexiconFileError(Exception):
    """The file cannot be used. The message names the file, the line if there is one, and the fix."""


def read_lexicon(path: Path, engine: str, engines: Collection[str]) -> Lexicon:
    """Returns the words of the file as `engine` says them. `engines` are the names that an entry may have. Blocks.

    Each text is taken as it is written: `NO` and `24` are words, too. Raises LexiconFileError.
    """
    try:
        return Lexicon(sections_of(_document(path), engine, engines))
    except LexiconError as exc:
        where = path.name if exc.line is None else f"{path.name}:{exc.line}"
        raise LexiconFileError(f"{where}: {exc}") from None


def _document(path: Path) -> LexiconNode | None:
    text = _text(path)
    try:
        root = yaml.compose(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        problem = getattr(exc, "problem", None) or "it is nested too deep or has a character that YAML forbids"
        line = mark.line + 1 if mark else None
        raise LexiconError(line, f"it is not YAML: {problem}; put words with signs in quotes") from None
    return None if root is None else _Parts().node(root, _MAX_DEPTH)


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            folder = path.parent.resolve()
            raise LexiconError(None, f"there is no such file in {folder}; correct the path, or write the file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise LexiconError(
            None, f"it cannot be read: {exc.strerror}; check its rights and those of its folder"
        ) from exc
    if len(data) > MAX_BYTES:
        raise LexiconError(None, f"it has more than {MAX_BYTES} bytes; leave some words out")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise LexiconError(line, "it is not UTF-8; save it in that encoding") from None


class _Parts:
    """Makes the parts of one document."""

    def __init__(self) -> None:
        self._count = 0

    def node(self, node: yaml.Node, depth: int) -> LexiconNode:
        """Returns a part. `depth` ends a mapping that an alias puts into itself. Raises LexiconError."""
        line = node.start_mark.line + 1
        self._count += 1
        if self._count > _MAX_PARTS:
            raise LexiconError(line, f"with its aliases it has more than {MAX_WORDS} words; leave some out")
        if isinstance(node, yaml.ScalarNode):
            absent = not node.style and node.tag == "tag:yaml.org,2002:null"
            return LexiconNode(line, "" if absent else node.value)
        if not isinstance(node, yaml.MappingNode) or not depth:
            return LexiconNode(line)
        pairs = tuple((self.node(key, 0), self.node(value, depth - 1)) for key, value in node.value)
        return LexiconNode(line, pairs=pairs)
