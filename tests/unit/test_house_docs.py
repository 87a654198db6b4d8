"""The rules of documents find what they are for (tests/house/docs.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.docs import READMES, anchors, code_blocks, heading_levels, offences

pytestmark = pytest.mark.unit

PAGE = "# Title\n\n[there](docs/page.md#a-heading)\n\n```console\n# no heading, [no link](nowhere.md)\n```\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose documents break no rule."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("# A page\n\n## A heading\n\n`docs/page.md`, `docs/reference`, `.env`\n")
    (tmp_path / "docs" / "reference").mkdir()
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n")
    (tmp_path / "SECURITY.md").write_text("# Security\n")
    for name in READMES:
        (tmp_path / name).write_text(PAGE)
    return tmp_path


def test_offences_is_empty_for_a_repository_that_follows_the_rules(root: Path) -> None:
    assert list(offences(root)) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("README.ko.md", "# Title", "# Title\n\n## More", "levels of headings differ: [1] and [1, 2]"),
        ("README.ko.md", "# no heading", "# other", "code block 1 differs: '# no heading, "),
        ("README.ko.md", "```console", "```\n```\n\n```console", "code block 1 differs"),
        ("docs/page.md", "`.env`", "[gone](../gone.md)", "docs/page.md:5: the link ../gone.md leads to no file"),
        ("docs/page.md", "`.env`", "[gone](#gone)", "docs/page.md:5: the link #gone leads to no heading"),
        ("docs/page.md", "`.env`", "[out](../../out.md)", "leads to no file"),
        ("docs/page.md", "`.env`", "`shared/gone.py`", "docs/page.md:5: `shared/gone.py` does not exist"),
        ("docs/page.md", "`.env`", "\n" * 400, "docs/page.md: 405 lines"),
        ("CHANGELOG.md", "# Changelog", "`docs/gone.md`", "CHANGELOG.md:1: `docs/gone.md` does not exist"),
    ],
)
def test_offences_names_a_broken_rule(root: Path, name: str, old: str, new: str, message: str) -> None:
    path = root / name
    path.write_text(path.read_text().replace(old, new))
    assert any(message in offence for offence in offences(root)), list(offences(root))


def test_offences_ignores_addresses_outside_the_repository(root: Path) -> None:
    (root / "CHANGELOG.md").write_text("[elsewhere](https://example.com/page.md#part)\n")
    assert list(offences(root)) == []


def test_anchors_are_the_same_as_those_of_github() -> None:
    text = "# One & two\n## `three`, four\n## 한국어 제목: 둘\n## One & two\n```\n# code\n```\n"
    assert anchors(text) == {"one--two", "three-four", "한국어-제목-둘", "one--two-1"}
    assert heading_levels(text) == [1, 2, 2, 2]
    assert code_blocks(text) == ["```\n# code\n```"]
