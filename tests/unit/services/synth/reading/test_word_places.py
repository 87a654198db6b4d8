"""Where a word stands alone: word by word, in Latin letters, digits, Hangul, signs and addresses."""

from __future__ import annotations

import pytest

from services.synth.reading.word_places import WordPlaces

pytestmark = pytest.mark.unit

ALONE = """
    SQL|SQL
    SQL|SQL은
    SQL|SQL기반
    SQL|새SQL
    SQL|(SQL)
    SQL|SQL.
    SQL|SQL, Redis
    SQL|SQL/Redis
    SQL|SQL-기반
    SQL|SQL's
    Node.js|Node.js는
    .NET|.NET으로
    C++|C++로
    C++|C++20
    A/S|A/S를
    Wi-Fi|Wi-Fi가
    24시|24시까지
    24시|24시.
    Top 10|Top 10.
    오라|오라는
    오라|오라에서도
    오라|오라.
    오라|IT오라
    오라|오라을(를)
    카카오T|카카오T로
    ㈜|LG㈜
    ㈜오라|㈜오라와
    重庆|在重庆吃
    a@b.kr|a@b.kr로
    http://a.kr|http://a.kr/b
""".split("\n")[1:-1]
INSIDE = """
    SQL|MySQL
    SQL|SQLite
    SQL|SQL2
    SQL|2SQL
    SQL|sql_SQL
    SQL|SQLé
    Node|Node.js
    js|Node.js
    SQL|a@SQL.com
    SQL|https://a.kr/SQL
    SQL|https://SQL.kr
    .NET|ASP.NET
    24시|1,024시
    24시|10.24시
    24|24.5
    24|2024-24-01
    5G|25G
    C++|C+++
    오라|오라클
    오라|새오라
    오라|오라가격
    카카오T|새카카오T
""".split("\n")[1:-1]


def found(case: str) -> list[bool]:
    """Whether the word is whole at each place of the text where it stands."""
    word, text = case.strip().split("|")
    places = WordPlaces(text)
    at = [first for first in range(len(text)) if text.startswith(word, first)]
    assert at, "the text has the word"
    return [places.begins(first) and places.is_whole(first, first + len(word)) for first in at]


@pytest.mark.parametrize("case", ALONE)
def test_word_alone(case: str) -> None:
    assert all(found(case))


@pytest.mark.parametrize("case", INSIDE)
def test_word_inside_another_one(case: str) -> None:
    assert not any(found(case))


def test_a_combining_mark_belongs_to_the_letter_before_it() -> None:
    assert not any(found("SQL|SQL\u0323은"))


def test_particle_after_the_word() -> None:
    assert WordPlaces("SQL에서는 x").particle(3) == "에서는"
    assert WordPlaces("SQL을(를) x").particle(3) == "을(를)"
    assert WordPlaces("SQL기반").particle(3) == WordPlaces("SQL").particle(3) == WordPlaces("SQL 은").particle(3) == ""
