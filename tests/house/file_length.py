"""The rule of file length: one file, one noun, at most 300 lines; a longer one explains itself.

A Python, JavaScript or TypeScript file of `clients/`, `shared/`, `services/` or `tests/` may be longer when it says
why, in a line of its own: `# length: reason`.
Test modules (`test_*.py`, `*.test.ts`) are lists of cases and may be as long as the list is.

    python tests/house/file_length.py     prints each file that breaks the rule; exit code 1 when there is one
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_LINES = 300
FOLDERS = ("clients", "shared", "services", "tests")
SUFFIXES = {".py", ".js", ".ts"}
SKIPPED_FOLDERS = {"build", "dist", "node_modules"}
EXPLAINED = re.compile(r"^\s*(#|//) length: \S", re.MULTILINE)


def too_long(text: str) -> bool:
    """Whether a file with that text is too long and does not say why."""
    return len(text.splitlines()) > MAX_LINES and not EXPLAINED.search(text)


def offenders(root: Path) -> Iterator[tuple[Path, int]]:
    """The files below `root` that break the rule, and their lines."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in SUFFIXES or SKIPPED_FOLDERS.intersection(path.relative_to(root).parts):
                continue
            if path.name.startswith("test_") or path.name.endswith(".test.ts"):
                continue
            text = path.read_text()
            if too_long(text):
                yield path.relative_to(root), len(text.splitlines())


def main() -> int:
    """Judge this repository."""
    found = list(offenders(Path(__file__).resolve().parents[2]))
    for path, lines in found:
        print(f"{path}: {lines} lines; split it by its nouns, or say why not in a line `# length: reason`")
    if not found:
        print(f"no file of more than {MAX_LINES} lines that does not say why")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
