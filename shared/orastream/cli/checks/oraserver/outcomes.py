"""What a check of an OraServer is, and what it found. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "broken", "risk", "unseen", "skipped"]
"""`broken`: the server breaks a rule. `risk`: it keeps the rules, but something can be lost or refused.
`unseen`: this check needs an option that was not given. `skipped`: it has no meaning here."""

MEANING: dict[Level, str] = {
    "ok": "kept",
    "broken": "the rule is broken",
    "risk": "works, but see what can happen",
    "unseen": "needs another option",
    "skipped": "not tried",
}
REFERENCE = "docs/reference/oraserver-v1.md"


@dataclass(frozen=True, slots=True)
class CheckedRule:
    """A check: its name for `--only`, what is tried, which rule that is about, and the section that has the rule."""

    name: str
    tried: str
    text: str
    section: str
    """A heading of REFERENCE."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found."""

    level: Level
    happened: str


@dataclass(frozen=True, slots=True)
class Result:
    """A check and its outcome."""

    rule: CheckedRule
    outcome: Outcome

    def as_json(self) -> dict[str, object]:
        """The result for `--json`."""
        return {
            "check": self.rule.name,
            "tried": self.rule.tried,
            "result": self.outcome.level,
            "happened": self.outcome.happened,
            "rule": self.rule.text,
            "section": f"{REFERENCE}#{anchor(self.rule.section)}",
        }


class CheckFailed(Exception):
    """The server breaks the rule of the check that runs. The message says what happened."""


def anchor(section: str) -> str:
    """Return the anchor of a heading, as Markdown renderers make it."""
    return section.lower().replace(" ", "-")


def ok(happened: str) -> Outcome:
    """The rule is kept."""
    return Outcome("ok", happened)


def exit_code(results: Sequence[Result], *, strict: bool) -> int:
    """1 if a rule is broken, or with `strict` if there is a risk; else 0."""
    bad = {"broken", "risk"} if strict else {"broken"}
    return int(any(result.outcome.level in bad for result in results))


def summary(results: Sequence[Result]) -> str:
    """The last line: how many checks ended how."""
    counts = {level: sum(result.outcome.level == level for result in results) for level in MEANING}
    said = [f"{counts['ok']} rules kept", f"{counts['broken']} broken"]
    said += [f"{counts['risk']} risk{'s' * (counts['risk'] != 1)}"] if counts["risk"] else []
    said += [f"{counts['unseen']} not seen"] if counts["unseen"] else []
    return ", ".join(said)
