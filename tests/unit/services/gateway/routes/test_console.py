"""The console's files: the package contains all of them, and every file and text that they refer to exists."""

from __future__ import annotations

import base64
import hashlib
import re
import tomllib
from fnmatch import fnmatch
from typing import get_args

import pytest

from orastream.contract.errors import Code
from services.gateway.routes.console import FOLDER, HEADERS
from tests.support.services import REPOSITORY

pytestmark = pytest.mark.unit


def test_wheel_contains_every_file() -> None:
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["setuptools"]["package-data"]["services.gateway"]
    files = [path.relative_to(FOLDER.parent).as_posix() for path in FOLDER.rglob("*") if path.is_file()]
    assert "console/index.html" in files
    assert [file for file in files if not any(fnmatch(file, pattern) for pattern in patterns)] == []


def test_every_file_that_the_page_refers_to_exists() -> None:
    page = (FOLDER / "index.html").read_text()
    named = set(re.findall(r'(?:src|href)="console/([^"]+)"', page))
    for path in FOLDER.glob("*.js"):
        named |= set(re.findall(r'from "\./([^"]+)"', path.read_text()))
    assert {"main.js", "style.css", "strings.js"} <= named
    assert named | {"index.html"} == {path.name for path in FOLDER.iterdir()}


def test_page_loads_nothing_from_other_sites() -> None:
    """The page has no inline style, and no inline script except the one that the policy allows by its hash."""
    for path in FOLDER.iterdir():
        text = path.read_text()
        assert set(re.findall(r"https?://[^\"'\s]+", text)) <= {"http://www.w3.org/2000/svg"}, path.name
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), path.name
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    (script,) = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", page, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{allowed}';" in HEADERS["Content-Security-Policy"]
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_table_has_every_text_that_the_page_uses() -> None:
    """The keys in `t("…")` and `data-t`. Of keys that are built from a status, the prefix is checked."""
    strings = (FOLDER / "strings.js").read_text()
    english = set(re.findall(r'^    "([\w.]+)":', strings.partition("  ko: {")[0], re.MULTILINE))
    used = set(re.findall(r'data-t(?:-label|-placeholder)?="([\w.]+)"', (FOLDER / "index.html").read_text()))
    for path in FOLDER.glob("*.js"):
        used |= set(re.findall(r'\bt\("([\w.]+)"', path.read_text()))
    assert used <= english
    assert {
        f"status.{status}" for status in "queued synthesizing delivering delivered failed cancelled expired".split()
    } <= english


def test_table_has_a_text_for_every_error_code() -> None:
    """All codes of reports and of the gateway's answers have a text; `code.other` is for codes added later."""
    translated = set(re.findall(r'^    "code\.(\w+)":', (FOLDER / "strings.js").read_text(), re.MULTILINE))
    answered = set()
    for path in FOLDER.parent.rglob("*.py"):
        if path.parent.name != "openai":
            answered |= set(re.findall(r'\b(?:error|Denied)\(\s*\d+, "(\w+)"', path.read_text()))
    assert {"unavailable", "unauthorized", "forbidden", "wait_timeout"} <= answered
    assert (answered - {"disconnected"}) | set(get_args(Code)) <= translated  # no reader is left for this answer


def test_ids_and_foreign_words_are_isolated() -> None:
    """None is the bare child of an element or a bare title; the texts of the table are isolated by `t`."""
    assert "isolated(values[name]" in (FOLDER / "i18n.js").read_text()
    child, title = r'(?:\}|" / "),\s*(session|request|detail)\)', r"title: (session|request)\b"
    bare = re.compile(rf"{child}|{title}|`\$\{{(\w+\.)?session\}} /")
    elements = 0
    for path in FOLDER.glob("*.js"):
        text = path.read_text()
        assert not bare.search(text), f"{path.name}: {bare.search(text)}"
        elements += len(re.findall(r'html\("bdi", \{[^}]*\}, visible\(', text))
    assert elements == 6, "two ids in the list, one of the sessions, an error, what was heard and what not"
