"""Texts of other programs are printed unchanged: neither rich nor the terminal interprets them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from orastream.cli import terminal
from orastream.contract.messages import Report, ReportError

pytestmark = pytest.mark.unit

NASTY = (
    "x\\[/red]",
    "[/]",
    "[bold",
    "trailing\\",
    "two\\\\",
    "[",
    "a]",
    ":smile:",
    "\x1b]0;owned\x07",
    "\x9b31m",
    "\u202eabc",
)


def shown(what: Text) -> str:
    """What is sent to the terminal for this text, without colours."""
    to = io.StringIO()
    Console(file=to, width=10_000, color_system=None, highlight=False).print(what, soft_wrap=True)
    return to.getvalue()


def a_report(session: str, request: str, message: str) -> Report:
    fields: dict[str, Any] = {"session_id": session, "request_id": request, "request_seq": 1, "status": "failed"}
    # Not `ReportError.of`, which cleans the message: a report of an older node may have any.
    return Report(**fields, error=ReportError(code="engine_error", message=message, retryable=True))


TEXTS = st.text().map(lambda text: text.replace("\t", " "))  # rich replaces a tab by spaces


@given(TEXTS, TEXTS, TEXTS)
@example("x\\[/red]", "[", "a]")
@example("[", "red]", "two\\\\")
@example("a\x1b[2J", "\x9b2J", "b\rc\x00")
def test_report_shows_every_text_unchanged(session: str, request: str, message: str) -> None:
    line = shown(terminal.report_line(a_report(session, request, message)))
    assert f"failed {terminal.visible(session)}/{terminal.visible(request)}" in line
    assert line.endswith(f": {terminal.visible(message)}\n")
    to = io.StringIO()
    terminal.print_report(Console(file=to, width=200, color_system=None), a_report(session, request, message))
    assert not terminal.UNSAFE.search(line + to.getvalue())


@pytest.mark.parametrize("text", NASTY)
def test_visible_changes_only_control_characters(text: str) -> None:
    result = shown(terminal.words((text, "red"), text))
    assert result == f"{terminal.visible(text) * 2}\n"
    assert (terminal.visible(text) == text) == all(ord(char) >= 0x20 and char not in "\x9b\u202e" for char in text)


@pytest.mark.parametrize("text", NASTY)
def test_json_text_is_valid_json_without_unsafe_characters(text: str) -> None:
    result = terminal.json_text({"id": text, "글": "한글"})
    assert json.loads(result) == {"id": text, "글": "한글"}
    assert "한글" in result and not terminal.UNSAFE.search(result)
