"""A YAML file of voices: its content, and the lines of its keys for errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.synth.engines.base import Misconfigured
from services.synth.engines.yaml_file import read_yaml

pytestmark = pytest.mark.unit

TEXT = """# a comment
voices:
  mina: &base
    model: m
    extra: {a: 1,
      b: 2}
  3:
    model: n
"""


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (["voices"], 2),
        (["voices", "mina"], 3),
        (["voices", "mina", "model"], 4),
        (["voices", "mina", "extra", "b"], 6),
        (["voices", "mina", "none", "b"], 3),
        (["voices", 3, "model"], 8),
        (["none"], None),
        ([], None),
    ],
)
def test_line_of_the_innermost_key_that_is_there(tmp_path: Path, keys: list[object], line: int | None) -> None:
    path = tmp_path / "v.yaml"
    path.write_text(TEXT)
    assert read_yaml(path, "").line_of(keys) == line


def test_empty_file_has_no_document_and_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "v.yaml"
    path.write_text("# nothing\n")
    file = read_yaml(path, "")
    assert file.document is None and file.line_of(["voices"]) is None


@pytest.mark.parametrize(
    ("content", "expected_message"),
    [
        (b"a: 1\na: 2\n", "line 2: it is not YAML: 'a' is set twice"),
        (b"[1]: 2\n", "line 1: it is not YAML: a key is a list or a mapping"),
        (b"a: [", "it is not YAML"),
        (b"a: !!python/object/apply:os.system [ls]\n", "it is not YAML"),
        (b"a: 2026-99-99\n", "it is not YAML"),
        (b"\xff\xfe\xff", "it cannot be read"),
        (b"[" * 100_000, "it is not YAML"),
    ],
)
def test_error_names_the_file_and_the_line(tmp_path: Path, content: bytes, expected_message: str) -> None:
    path = tmp_path / "v.yaml"
    path.write_bytes(content)
    with pytest.raises(Misconfigured) as raised:
        read_yaml(path, "")
    assert str(raised.value).startswith(f"{path}: ") and expected_message in str(raised.value)


def test_missing_file_is_named_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="none.yaml: there is no such file; copy it there"):
        read_yaml(tmp_path / "none.yaml", "copy it there")
