"""Each reader of foreign JSON, YAML or msgpack catches RecursionError, which deep nesting raises in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).resolve().parents[2]
READERS = {
    "json.loads",
    "_JSON.decode",
    "answer.json",
    "msgpack.unpackb",
    "yaml.load",
    "yaml.safe_load",
    "yaml.compose",
}
"""pydantic's `from_json` and `model_validate_json` are not here: they have a limit of their own, a ValueError."""
TRUSTED = {
    "shared/orastream/cli/checks/verification.py": "the demo's own OraServer",
    "shared/orastream/testing/fake/node.py": "what the library's own client asks in this process",
    "services/oraserver/store.py": "its own journal; who calls `_decode` catches it",
    "services/synth/lexicon/__main__.py": "what `orastream reading` passes on",
}


def _called(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def _unguarded(node: ast.AST, guarded: bool = False) -> Iterator[str]:
    """The calls of READERS that do not stand inside a `try` with `except RecursionError`."""
    if _called(node) in READERS and not guarded:
        yield f"line {getattr(node, 'lineno', 0)}: {_called(node)}"
    for field, value in ast.iter_fields(node):
        catches = isinstance(node, ast.Try) and any(
            handler.type is None or "RecursionError" in ast.unparse(handler.type) for handler in node.handlers
        )
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _unguarded(child, guarded or (catches and field == "body"))


@pytest.mark.parametrize(
    "path",
    [path for folder in ("shared", "services") for path in sorted((REPOSITORY / folder).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(REPOSITORY)),
)
def test_deep_nesting_is_expected_where_foreign_bytes_are_read(path: Path) -> None:
    if str(path.relative_to(REPOSITORY)) not in TRUSTED:
        assert list(_unguarded(ast.parse(path.read_text()))) == []


def test_the_check_finds_an_unguarded_reader() -> None:
    bare = "try:\n    value = json.loads(data)\nexcept ValueError:\n    value = json.loads(other)\n"
    assert len(list(_unguarded(ast.parse(bare)))) == 2
    assert not list(_unguarded(ast.parse("try:\n    json.loads(data)\nexcept (ValueError, RecursionError):\n    pass")))
