"""The lines of `orastream watch` about what was heard."""

from __future__ import annotations

from typing import Any

import pytest

from orastream.cli.commands.heard_lines import MAX_CHARS, heard_line
from orastream.contract.heard import Heard

pytestmark = pytest.mark.unit


def line(**fields: Any) -> str:
    given: dict[str, Any] = {"done": True, "heard_by": "played"} | fields
    return heard_line(Heard(request_id="r", session_id="s", request_seq=7, **given)).plain


def test_line_says_what_was_heard_what_not_and_how_it_is_known() -> None:
    texts = {"heard_text": "예약은 2025년에", "unheard_text": "했어요. 맞나요?"}
    assert line(played_ms=1_310, **texts, cut="words", cancel_seq=9) == (
        "heard s/r · 1.3 s · heard “예약은 2025년에” · not heard “했어요. 맞나요?” · as OraServer reported · cut by 9"
    )
    assert line(played_ms=2_000, heard_text="네.", unheard_text="", heard_by="sent") == (
        "heard s/r · 2.0 s · heard “네.” · estimated from what was sent"
    )
    assert line(played_ms=0, heard_text="", unheard_text="네.", cancel_seq=9) == (
        "heard s/r · 0.0 s · heard nothing · not heard “네.” · as OraServer reported · cut by 9"
    )
    assert line(heard_by="unknown") == "heard s/r · not known what was heard"


def test_line_is_one_line_of_safe_characters_and_bounded_length() -> None:
    text = "\n".join(f"word{number}\x1b[2J" for number in range(1_000))
    shown = line(played_ms=1, heard_text=text, unheard_text=text)
    assert "\n" not in shown and "\x1b" not in shown
    assert "word999" in shown and "“word0" in shown
    assert len(shown) < 4 * MAX_CHARS + 200
