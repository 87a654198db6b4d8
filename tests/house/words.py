"""The rule of words: retired metaphors do not stand in code, documents or configuration. CHANGELOG.md is exempt.

python tests/house/words.py     prints each place with a retired word; exit code 1 when there is one
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

# Retired word → what to write. A word matches as a whole, in upper or lower case; `_`, `-` and a space are the same.
RETIRED = {
    "mend": "fix, repair, remedy",
    "mends": "fixes, repairs",
    "borne": "waited for, tolerated",
    "hearer": "listener, reader, subscriber",
    "hearers": "listeners, readers, subscribers",
    "hush": "clear, silence",
    "hushed": "cleared, silent",
    "hand-out": "delivery",
    "hand-outs": "deliveries",
    "give_back": "nak, release",
    "overhear": "listen, read the audio",
    "overhearing": "listening, reading the audio",
}

SUFFIXES = {".py", ".ts", ".md", ".yaml"}
EXEMPT = {"CHANGELOG.md", "tests/house/words.py"}
SKIPPED_FOLDERS = {"build", "node_modules"}  # and hidden ones


def pattern_of(word: str) -> str:
    """The expression for a word as a part of a name, too: `give_back` is in `_give_back_all`, `mend` not in `amend`."""
    return rf"(?<![a-z]){re.sub('[-_]', '[-_ ]', word)}(?![a-z])"


RETIRED_WORD = re.compile("|".join(map(pattern_of, RETIRED)), re.IGNORECASE)


def files(root: Path) -> Iterator[Path]:
    """The files below `root` that the rule applies to."""
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if any(part in SKIPPED_FOLDERS or part.startswith(".") for part in parts):
            continue
        if path.suffix in SUFFIXES and path.relative_to(root).as_posix() not in EXEMPT and path.is_file():
            yield path


def main() -> int:
    """Judge this repository."""
    root = Path(__file__).resolve().parents[2]
    advice = {re.sub("[-_]", " ", word): words for word, words in RETIRED.items()}
    count = 0
    for path in files(root):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for found in RETIRED_WORD.finditer(line):
                count += 1
                better = advice[re.sub("[-_]", " ", found[0].lower())]
                print(f"{path.relative_to(root)}:{number}: {found[0]!r}: write {better}")
    print(f"{count} retired words" if count else "no retired words")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
