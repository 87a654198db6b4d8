"""The rules of documents: both READMEs have one shape, links and named files exist, pages are short.

README.md and README.ko.md have headings of the same levels in the same order, and the same code blocks. Each link of a
document to a file or a heading of this repository resolves. Each path of the repository in backticks exists. A page has
fewer than 400 lines (CHANGELOG.md aside).

    python tests/house/docs.py     prints each place that breaks a rule; exit code 1 when there is one
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from urllib.parse import unquote

MAX_LINES = 400
READMES = ("README.md", "README.ko.md")
CHANGELOG = "CHANGELOG.md"
SECURITY = "SECURITY.md"

FENCE = re.compile(r"^(```+)[^\n]*\n.*?^\1 *$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
REPOSITORY_PATH = re.compile(r"(clients|services|shared|docs|tests|deploy)/[\w./-]*")


def documents(root: Path) -> list[Path]:
    """The documents that the rules apply to."""
    return [
        *(root / name for name in READMES),
        root / CHANGELOG,
        root / SECURITY,
        *sorted((root / "docs").rglob("*.md")),
        *sorted((root / "clients").glob("*/*.md")),
    ]


def prose(text: str) -> str:
    """The text with an empty line in place of each line of a code block, so that line numbers stay."""
    return FENCE.sub(lambda block: "\n" * block[0].count("\n"), text)


def code_blocks(text: str) -> list[str]:
    """The code blocks of a document, with their fences."""
    return [block[0] for block in FENCE.finditer(text)]


def heading_levels(text: str) -> list[int]:
    """The level of each heading, 1 for `#`."""
    return [len(heading[1]) for heading in HEADING.finditer(prose(text))]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of the headings. A repeated heading gets `-1`, `-2`, …."""
    found: dict[str, int] = {}
    result = set()
    for heading in HEADING.finditer(prose(text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[2]).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        count = found.get(anchor, 0)
        found[anchor] = count + 1
        result.add(f"{anchor}-{count}" if count else anchor)
    return result


def broken_links(root: Path, page: Path) -> Iterator[tuple[int, str]]:
    """The line and the reason of each link of a page that leads nowhere."""
    text = prose(page.read_text())
    for link in LINK.finditer(text):
        if re.match(r"[a-z]+:", link[1]):
            continue  # an address outside the repository
        name, _, anchor = unquote(link[1]).partition("#")
        target = (page.parent / name).resolve() if name else page
        line = text.count("\n", 0, link.start()) + 1
        if not target.is_relative_to(root) or not target.exists():
            yield line, f"the link {link[1]} leads to no file"
        elif anchor and (target.is_dir() or anchor not in anchors(target.read_text())):
            yield line, f"the link {link[1]} leads to no heading"


def missing_paths(root: Path, page: Path) -> Iterator[tuple[int, str]]:
    """The line and the reason of each path of the repository in backticks that does not exist."""
    text = prose(page.read_text())
    for code in CODE.finditer(text):
        if REPOSITORY_PATH.fullmatch(code[1]) and not (root / code[1]).exists():
            yield text.count("\n", 0, code.start()) + 1, f"`{code[1]}` does not exist"


def differences(first: str, second: str) -> Iterator[str]:
    """How the shapes of two documents differ: levels of headings, and code blocks."""
    if heading_levels(first) != heading_levels(second):
        yield f"levels of headings differ: {heading_levels(first)} and {heading_levels(second)}"
    for number, (one, other) in enumerate(zip_longest(code_blocks(first), code_blocks(second)), 1):
        if one is None or other is None:
            yield f"only one of them has code block {number}"
        elif one != other:
            pairs = zip_longest(one.splitlines(), other.splitlines())
            line, other_line = next(pair for pair in pairs if pair[0] != pair[1])
            yield f"code block {number} differs: {line!r} and {other_line!r}"


def offences(root: Path) -> Iterator[str]:
    """Each place in the documents below `root` that breaks a rule."""
    for difference in differences(*((root / name).read_text() for name in READMES)):
        yield f"{' and '.join(READMES)}: {difference}"
    for page in documents(root):
        name = page.relative_to(root)
        for line, reason in sorted([*broken_links(root, page), *missing_paths(root, page)]):
            yield f"{name}:{line}: {reason}"
        lines = len(page.read_text().splitlines())
        if lines >= MAX_LINES and page.name != CHANGELOG:
            yield f"{name}: {lines} lines; split it by its readers, a page has fewer than {MAX_LINES}"


def main() -> int:
    """Judge this repository."""
    found = list(offences(Path(__file__).resolve().parents[2]))
    for offence in found:
        print(offence)
    if not found:
        print("documents: READMEs of one shape, no broken link, no missing file, no long page")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
