"""Each rule says something in at least one case of the tables: a rule that none reaches is dead, or has no test."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from services.synth.reading import english, korean, read_out
from services.synth.reading.rule import Rule, RuleIndex

pytestmark = pytest.mark.unit

FOLDER = Path(__file__).parent


def written(code: str) -> list[str]:
    """Returns the texts of all tables of a language."""
    readings = [line.partition(" => ")[0] for line in (FOLDER / f"readings_{code}.txt").read_text().splitlines()]
    cells = [line.split("\t") for line in (FOLDER / f"cases_{code}.tsv").read_text().splitlines() if line[:1] != "#"]
    common = [line.split("\t") for line in (FOLDER / "cases_common.tsv").read_text().splitlines()]
    return [*readings, *(row[-2] for row in cells if row[1:]), *(row[-2] for row in common if row[0] == code)]


@pytest.mark.parametrize(("code", "rules"), [("ko", korean.RULES), ("en", english.RULES)])
def test_each_rule_says_something_in_a_case(
    code: str, rules: tuple[Rule, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = set[int]()

    def recorded(number: int, rule: Rule) -> Rule:
        def say(match: re.Match[str]) -> str | None:
            words = rule.say(match)
            if words is not None:
                reached.add(number)
            return words

        return replace(rule, say=say)

    seen = [recorded(number, rule) for number, rule in enumerate(rules)]
    monkeypatch.setattr(korean, "RULES", seen)
    monkeypatch.setattr(english, "_INDEX", RuleIndex(seen))
    for text in written(code):
        read_out(text, code)
    missed = [rule.pattern.pattern for number, rule in enumerate(rules) if number not in reached]
    assert not missed, f"no case reaches {missed}"
