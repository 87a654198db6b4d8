"""The field `pronunciations`: what it takes, and the error for each mistake."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract import codec
from orastream.contract.errors import InvalidRequest
from orastream.contract.messages import SpeakRequest, parse_request
from orastream.contract.pronunciations import MAX_PRONUNCIATIONS

pytestmark = pytest.mark.unit

BASE = {"text": "가", "sessionId": "s", "phoneId": "p"}


def parsed(value: Any) -> SpeakRequest:
    return parse_request(BASE | {"pronunciations": value})


def test_words_and_readings_without_white_space_at_the_ends_in_nfc() -> None:
    nfd = unicodedata.normalize("NFD", "카페")
    request = parsed(
        {" SQL ": " 시퀄 ", nfd: unicodedata.normalize("NFD", "커피집"), "Nguyen": "[[w'In]]", "㈜": "주식회사"}
    )
    assert request.pronunciations == {"SQL": "시퀄", "카페": "커피집", "Nguyen": "[[w'In]]", "㈜": "주식회사"}
    assert parse_request(request.to_map()) == request
    assert parsed(None).pronunciations is None and parsed({}).pronunciations == {}
    assert "pronunciations" not in parse_request(BASE).to_map()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([], "has the wrong type: must be an object of words and their readings"),
        ("SQL", "has the wrong type"),
        ({"SQL": 3}, "SQL: the reading has the wrong type: must be a string"),
        ({"SQL": None}, "SQL: the reading has the wrong type"),
        ({"SQL": {"reading": "시퀄"}}, "SQL: the reading has the wrong type"),
        ({"SQL": " "}, "SQL: the reading is empty; write the words to be said"),
        ({"SQL": "…"}, "SQL: the reading has nothing to say; write at least one letter"),
        ({"SQL": "a" * 201}, "SQL: the reading has 201 characters, at most 200 are taken"),
        ({"SQL": "a\nb"}, "SQL: the reading has a control character"),
        ({"SQL": "\ufdd0a"}, "SQL: the reading has a control character"),
        ({"SQL": "a [[b]]"}, "SQL: phonemes stand alone"),
        ({"SQL": "[[b"}, "SQL: phonemes stand alone"),
        ({"SQL": "[[가]]"}, "SQL: phonemes stand alone"),
        ({"SQL": f"[[{'a' * 101}]]"}, "SQL: phonemes stand alone"),
        ({" ": "a"}, " : the word is empty"),
        ({"S\0QL": "a"}, "S�QL: the word has a control character"),
        ({"\ud800": "a"}, "�: the word has a control character"),
        ({"a" * 101: "a"}, f"{'a' * 30}…: the word has 101 characters, at most 100"),
        ({"SQL": "a", "SQL ": "b"}, "SQL : the word is given twice"),
        ({f"w{n}": "a" for n in range(MAX_PRONUNCIATIONS + 1)}, "has 201 words, at most 200 are taken"),
    ],
)
def test_mistake_names_the_field_the_word_and_the_fix(value: Any, problem: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(value)
    assert caught.value.field == "pronunciations" and caught.value.problem.startswith(problem)
    str(caught.value).encode()  # no surrogate of the word is in the message


def test_most_words_of_most_characters_fit_into_a_message() -> None:
    request = parsed({f"{n:03}" + "가" * 97: "나" * 200 for n in range(MAX_PRONUNCIATIONS)})
    assert len(codec.encode(request.to_map(), "json")) < 200 * 1024


@given(st.one_of(st.none(), st.integers(), st.text(), st.dictionaries(st.one_of(st.text(), st.integers()), st.text())))
def test_anything_is_taken_or_refused(value: Any) -> None:
    try:
        request = parsed(value)
    except InvalidRequest as exc:
        assert exc.field == "pronunciations"
    else:
        assert parse_request(request.to_map()) == request
