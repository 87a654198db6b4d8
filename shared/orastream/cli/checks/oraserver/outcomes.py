"""What a check of an OraServer is, and what it found. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "accepted", "broken", "risk", "impossible", "unseen", "skipped"]

MEANING: dict[Level, str] = {
    "ok": "the rule is kept",
    "accepted": "the server took it; what it has stored was not compared",
    "broken": "the rule is broken",
    "risk": "the rules are kept, but something can be lost or refused",
    "impossible": "the check could not run: an option does not work",
    "unseen": "the check needs an option that was not given",
    "skipped": "the check has no meaning here",
}
TRIED = frozenset({"ok", "accepted", "broken", "risk"})
"""The levels of checks that have found something out."""
REFERENCE = "docs/reference/oraserver-v1.md"
STREAMS_PAGE = "docs/reference/oraserver-v2.md"
MESSAGES_PAGE = "docs/reference/oraserver-v2-messages.md"


@dataclass(frozen=True, slots=True)
class CheckedRule:
    """A check: its name for `--only`, what is tried, which rule that is about, and the section that has the rule."""

    name: str
    tried: str
    text: str
    section: str
    """A heading of `page`."""
    page: str = REFERENCE


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
            "section": f"{self.rule.page}#{anchor(self.rule.section)}",
        }


class CheckFailed(Exception):
    """The server breaks the rule of the check that runs. The message says what happened."""


class NoAnswer(CheckFailed):
    """What the check waits for has not come in time."""


class CheckImpossible(Exception):
    """A check cannot run: the address of `--received` or the command of `--restart` does not work."""


def anchor(section: str) -> str:
    """Return the anchor of a heading, as Markdown renderers make it."""
    return re.sub(r"[^\w -]", "", section.lower()).replace(" ", "-")


def ok(happened: str) -> Outcome:
    """The rule is kept."""
    return Outcome("ok", happened)


def exit_code(results: Sequence[Result], *, strict: bool) -> int:
    """1 if a rule is broken, a check could not run or none found anything out, or with `strict` if there is a risk."""
    levels = {result.outcome.level for result in results}
    bad = {"broken", "impossible", *(["risk"] if strict else [])}
    return int(bool(levels & bad) or not levels & TRIED)


def summary(results: Sequence[Result]) -> str:
    """The last line: how many checks ended how."""
    counts = {level: sum(result.outcome.level == level for result in results) for level in MEANING}
    said = [f"{counts['ok']} rule{'s' * (counts['ok'] != 1)} kept", f"{counts['broken']} broken"]
    said += [f"{counts['risk']} risk{'s' * (counts['risk'] != 1)}"] if counts["risk"] else []
    said += [f"{counts['accepted']} accepted, but not compared (give --received)"] if counts["accepted"] else []
    said += [f"{counts[level]} {word}" for level, word in _WORDS.items() if counts[level]]
    return ", ".join(said)


_WORDS: dict[Level, str] = {"impossible": "could not run", "unseen": "not seen"}
