"""Tables of cases in which several readings are right: how many are read as expected, by category.

A table has one case on a line: category, text, expected words, with a tab between them. `cases_common.tsv` has the
language, ko or en, before them. In the expected words `{a|b}` is a or b; it may be empty (`{and |}`) and may have
another one inside. Spaces, marks, and upper or lower case do not count. A line that begins with `#` is a comment.

`readings_ko.txt` and `readings_en.txt` compare each character instead, and all of their cases must be right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import pytest

from services.synth.reading import read_out

pytestmark = pytest.mark.unit

MAX_WRONG = 0.01  # of the cases of a table
TABLES = {"cases_ko.tsv": "ko", "cases_en.tsv": "en", "cases_common.tsv": None}
_TAGS = {"ko": "ko-KR", "en": "en-US"}


@dataclass(frozen=True)
class Case:
    """One line of a table."""

    place: str
    language: str
    category: str
    written: str
    expected: str


def cases_of(lines: list[str], name: str, language: str | None) -> Iterator[Case]:
    """Yields the cases of a table. Without `language` each line begins with its own."""
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        place, cells = f"{name}:{number}", line.split("\t")
        if language is not None:
            cells.insert(0, language)
        assert len(cells) == 4 and all(map(str.strip, cells)), f"{place}: it does not have its cells: {line!r}"
        assert cells[0] in _TAGS, f"{place}: the language is {cells[0]!r}, but must be ko or en"
        yield Case(place, *cells)


def compared(text: str) -> str:
    """The text as far as it counts: letters and digits, in lower case."""
    return "".join(char for char in text.lower() if char.isalnum())


def expression(expected: str) -> re.Pattern[str]:
    """The expression that matches all right readings, as `compared` returns them."""
    depth, parts = 0, list[str]()
    for part in re.findall(r"[{|}]|[^{|}]+", expected):
        depth += {"{": 1, "}": -1}.get(part, 0)
        assert 0 <= depth <= 2 and (part != "|" or depth), f"braces do not match, or are three deep: {expected!r}"
        parts.append({"{": "(?:", "|": "|", "}": ")"}.get(part) or re.escape(compared(part)))
    assert not depth, f"a brace is not closed: {expected!r}"
    return re.compile("".join(parts))


def is_right(reading: str, expected: str) -> bool:
    """Whether the words are one of the expected readings."""
    return expression(expected).fullmatch(compared(reading)) is not None


def score(cases: list[Case], wrong: list[Case]) -> str:
    """How many cases are right, in total and by category."""
    totals, wrongs = Counter(case.category for case in cases), Counter(case.category for case in wrong)
    right = len(cases) - len(wrong)
    parts = [f"{category} {count - wrongs[category]}/{count}" for category, count in sorted(totals.items())]
    total = f"{right} of {len(cases)} right ({right / len(cases):.1%})"
    return total + "\n" + fill(", ".join(parts), 110, initial_indent="  ", subsequent_indent="  ")


@pytest.mark.parametrize("name", TABLES)
def test_at_most_one_case_in_a_hundred_is_read_otherwise(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    lines = Path(__file__).with_name(name).read_text().splitlines()
    cases = list(cases_of(lines, name, TABLES[name]))
    twice = [key for key, count in Counter((case.language, case.written) for case in cases).items() if count > 1]
    assert cases and not twice, f"{name} has no case, or one twice: {twice}"
    read = [(case, read_out(case.written, _TAGS[case.language])) for case in cases]
    wrong = [(case, reading) for case, reading in read if not is_right(reading, case.expected)]
    shown = [
        f"  {case.place} {case.category}: {case.written}\n    read:     {reading}\n    expected: {case.expected}"
        for case, reading in wrong
    ]
    record_property("score", "\n".join([f"{name}: {score(cases, [case for case, _ in wrong])}", *shown]))
    assert len(wrong) <= MAX_WRONG * len(cases), "\n".join([f"{len(wrong)} of {len(cases)} are wrong", *shown])


@pytest.mark.parametrize(
    ("reading", "expected", "right"),
    [
        ("세 명.", "{셋|세} 명", True),
        ("셋명", "{셋|세} 명", True),
        ("네 명", "{셋|세} 명", False),
        ("One hundred five", "one hundred {and |}five", True),
        ("one hundred and five", "one hundred {and |}five", True),
        ("one hundred five and", "one hundred {and |}five", False),
        ("a quarter", "{a {quarter|fourth}|one quarter}", True),
        ("a fourth", "{a {quarter|fourth}|one quarter}", True),
        ("one fourth", "{a {quarter|fourth}|one quarter}", False),
        ("x plus", "x", False),
    ],
)
def test_alternatives_of_the_expected_words(reading: str, expected: str, right: bool) -> None:
    assert is_right(reading, expected) is right


@pytest.mark.parametrize("expected", ["{a|b", "a}", "a|b", "{a|{b|{c}}}"])
def test_expected_words_with_wrong_braces_are_refused(expected: str) -> None:
    with pytest.raises(AssertionError, match="brace"):
        expression(expected)


@pytest.mark.parametrize("line", ["date\t1월", "date\t\t일월", "date 1월 일월", "a\tb\tc\td"])
def test_a_line_with_other_cells_is_refused_with_its_place(line: str) -> None:
    with pytest.raises(AssertionError, match="some.tsv:2"):
        list(cases_of(["# head", line], "some.tsv", "ko"))
