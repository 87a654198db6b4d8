"""Exit code, summary and JSON of the results; and each check names a section that the reference has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from orastream.cli.checks.oraserver.choice import ALL, PLAIN, STREAMS
from orastream.cli.checks.oraserver.outcomes import (
    MEANING,
    MESSAGES_PAGE,
    REFERENCE,
    STREAMS_PAGE,
    CheckedRule,
    Level,
    Outcome,
    Result,
    anchor,
    exit_code,
    summary,
)

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).resolve().parents[6]
RULE = CheckedRule("name", "tried", "text", "After a break")


def results(*levels: Level) -> list[Result]:
    return [Result(RULE, Outcome(level, "happened")) for level in levels]


@pytest.mark.parametrize(
    ("levels", "code", "strict"),
    [
        (("ok", "unseen", "skipped"), 0, 0),
        (("ok", "risk"), 0, 1),
        (("ok", "broken"), 1, 1),
        (("accepted",), 0, 0),
        (("ok", "impossible"), 1, 1),
        (("unseen", "skipped"), 1, 1),
        ((), 1, 1),
    ],
)
def test_exit_code(levels: tuple[Level, ...], code: int, strict: int) -> None:
    assert exit_code(results(*levels), strict=False) == code
    assert exit_code(results(*levels), strict=True) == strict


def test_summary_counts_each_level() -> None:
    said = summary(results("ok", "ok", "broken", "risk", "accepted", "impossible", "unseen", "skipped"))
    compared = "1 accepted, but not compared (give --received)"
    assert said == f"2 rules kept, 1 broken, 1 risk, {compared}, 1 could not run, 1 not seen"
    assert summary(results("ok")) == "1 rule kept, 0 broken"


def test_json_has_the_rule_and_the_address_of_its_section() -> None:
    (result,) = results("broken")
    assert result.as_json() == {
        "check": "name",
        "tried": "tried",
        "result": "broken",
        "happened": "happened",
        "rule": "text",
        "section": f"{REFERENCE}#after-a-break",
    }


def test_each_check_names_a_section_of_its_page() -> None:
    for page in (REFERENCE, STREAMS_PAGE, MESSAGES_PAGE):
        text = (REPOSITORY / page).read_text()
        headings = {anchor(found) for found in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
        assert {anchor(check.rule.section) for check in ALL if check.rule.page == page} <= headings
    assert {check.rule.page for check in PLAIN} == {REFERENCE}
    assert {check.rule.page for check in STREAMS} == {STREAMS_PAGE, MESSAGES_PAGE}


def test_an_anchor_has_no_punctuation() -> None:
    assert anchor("What you must store, and when") == "what-you-must-store-and-when"
    assert anchor("OraServer, protocol v2: messages") == "oraserver-protocol-v2-messages"


def test_names_are_unique_and_rules_are_sentences() -> None:
    names = [check.rule.name for check in ALL]
    assert len(set(names)) == len(names)
    assert all(check.rule.text.endswith(".") and not check.rule.tried.endswith(".") for check in ALL)
    assert all(check.rule.name.startswith("v2-") == (check in STREAMS) for check in ALL)
    assert set(MEANING) == set(get_args(Level))
