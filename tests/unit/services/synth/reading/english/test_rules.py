"""English rules: where words come from, which rules are tried where, and the time for hostile text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synth.reading import EditedText, english, read_out, read_with_places, unit
from services.synth.reading.english import numeral, sign
from services.synth.reading.rule import RuleIndex, apply
from tests.support.linear_time import assert_linear

pytestmark = pytest.mark.unit

RULES = english.RULES
PIECES = st.sampled_from(
    "code PIN account ending in 4821 0427 **** XXX-XX- 1Z999AA10123456784 AB12CD call 911 (415) 555-2671 +44 ext. x204 "
    "press * # key 1800s '90s 44 BC 2023-24 Mon- Fri. Jan.– Dec. 9am -5pm 1 1/2 2¼ ½ 3/15 120/80 24/7 $20 -$30 US$5 "
    "USD 99¢ 10% -15% 6'2\" 5 ft 10 in 8x10 VIII IV I World War Henry Chapter Dr. St. Ave 221B Baker Mr. No. e.g. vs. "
    "w/o etc. TX 78701 - − < > ≥ != == ^2 ² √16 2**3 1e-5 π = <3 -> 401(k) /mo .5 10K 2x 192.168.0.1 v2.1 . , \n".split(
        " "
    )
)
TEXTS = st.lists(st.one_of(PIECES, st.just(" ")), max_size=16).map("".join)
WORDS = st.lists(
    st.sampled_from(
        "https://a.com mail:jo@b.org approx dept tbsp miles mins kcal vs apartment suite lifeline: text".split()
    ),
    max_size=6,
).map(" ".join)


def kind(char: str) -> str:
    """The kind of a character in `Rule.first`."""
    return "." if not char.isascii() else "a" if char.isalpha() else "0" if char.isdecimal() else "."


@settings(max_examples=100)
@given(TEXTS)
def test_a_rule_matches_only_where_its_first_characters_say(text: str) -> None:
    """A rule whose `first` lacks a kind would silently never be tried there."""
    for at, char in enumerate(text):
        for rule in RULES:
            if kind(char) not in rule.first:
                match = rule.pattern.match(text, at)
                assert match is None or rule.say(match) is None or match.end() == at, (rule.pattern.pattern, text[at:])


@settings(max_examples=200)
@given(st.one_of(TEXTS, WORDS))
def test_the_rule_that_skips_usual_words_changes_no_reading(text: str) -> None:
    others = RuleIndex([rule for rule in RULES if rule is not sign.USUAL_WORD])
    assert apply(others, english.BEGINS, unit.plain(EditedText(text))).text == english.read(text)


@settings(max_examples=300)
@given(TEXTS)
def test_any_text_is_read_without_digits_and_each_word_comes_from_the_text_in_order(text: str) -> None:
    reading = read_with_places(EditedText(text), "en-US")
    assert not re.search("[0-9]", reading.text), reading.text
    last = (0, 0)
    for at in range(len(reading.text)):
        first, end = reading.back(at, at + 1)
        assert 0 <= first < end <= len(text) and last[0] <= first and last[1] <= end
        last = first, end


@settings(max_examples=200)
@given(TEXTS)
def test_a_reading_is_read_as_itself_after_few_passes(text: str) -> None:
    reading = text
    for _ in range(4):
        reading = read_out(reading, "en-US")
    assert read_out(reading, "en-US") == reading


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "card ending in 3456 was",
            [("card", "card"), ("ending", "ending"), ("in", "in")]
            + [(word, "3456") for word in "three four five six".split()]
            + [("was", "was")],
        ),
        ("Dr. Li", [("Doctor", "Dr."), ("Li", "Li")]),
        ("Henry VIII", [("Henry", "Henry"), ("the", "VIII"), ("eighth", "VIII")]),
        ("x^2 + 1 = y", [("x", "x"), ("squared", "^2"), ("plus", "+"), ("one", "1"), ("equals", "="), ("y", "y")]),
        ("Mon-Fri", [("Monday", "Mon-Fri"), ("to", "Mon-Fri"), ("Friday", "Mon-Fri")]),
        (
            "221B Baker St.",
            [("two", "221B"), ("twenty-one", "221B"), ("B", "221B"), ("Baker", "Baker"), ("Street.", "St.")],
        ),
        ("press *", [("press", "press"), ("star", "*")]),
    ],
)
def test_words_come_from_the_abbreviation_number_or_sign_that_they_say(
    text: str, expected: list[tuple[str, str]]
) -> None:
    reading = read_with_places(EditedText(text), "en-US")
    words = [(word[0], text[slice(*reading.back(*word.span()))]) for word in re.finditer(r"\S+", reading.text)]
    assert words == expected


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("7", "seven"), ("42", "forty-two"), ("221", "two twenty-one"), ("405", "four oh five"), 
        ("500", "five hundred"),
        ("1600", "sixteen hundred"), ("1005", "ten oh five"), ("2000", "two thousand"),
        ("12345", "one two three four five"),
        ("007", "zero zero seven"),
    ],
)  # fmt: skip
def test_numbers_of_houses_and_roads_are_read_in_pairs(number: str, words: str) -> None:
    assert numeral.in_pairs(number) == words


@pytest.mark.parametrize(
    ("text", "value"),
    [("I", 1), ("IV", 4), ("XIV", 14), ("LVIII", 58), ("XCIX", 99), ("CCCXCIX", 399)]
    + [(text, None) for text in ("", "IIII", "VX", "IC", "MIX", "DIV", "CD", "iv", "ABC")],
)
def test_roman_numerals_have_a_value_only_if_they_are_well_formed(text: str, value: int | None) -> None:
    assert numeral.roman(text) == value


HOSTILE = [
    "code 1234 ", "PIN 1", "A1-", "1Z", "12 12 ", "123 ", "XX-", "****", "1e", "1'", '1"', "1'1", "½", "1 1/2 ", "1/2 ",
    "Mon-", "Jan ", "Jan. 1-", "St. ", "Dr. ", "1 Elm ", "1 N. Elm ", "Elm St. ",
    "I-", "II and ", "Chapter I, ", "Henry ",
    "Mr. ", "No. ", "e.g. ", "w/", "√", "2**", "x^", "x - ", "8 - ", ">", "<3", "press *", "call ", "(415) ", "+1 ",
    "+1-1-", "1-800-A", "911 ", "011 1 ", "1h ", "9am-", "9-", "$1-", "USD ", "1 USD ", "2024-",
    "1.1.1.", "1e5", "10%-",
    "1st-", "1 oz. ", "401(k)", "1/mo", ".5", "XXX", "CXCX", "word ", "Aaaa ", "a'", "'", '"', "“", ", AL 1", "0s",
    "'90s", "5' x ", "! =", "GB29 NWBK ", "ending in ",
    "account number ", "last four digits of ", "1 - ", "AL, ",
    "./", "../", "/a", "/ab/", "~/", "0xF", "00:1A:", "f(x)", "1:2:", "9.9/5", "b.i.d. ", "between 2-", "c. 1", "12X3D",
    "track 1W ", "24-7", "1,000", "form W-2 or 1 ", "flight, DL 1",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE, ids=[ascii(unit) for unit in HOSTILE])
def test_english_takes_linear_time_for_hostile_text(unit: str) -> None:
    """A rule that backtracks would take quadratic time, or minutes."""
    assert_linear(english.read, unit, "a")
