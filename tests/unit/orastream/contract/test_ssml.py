"""SSML of requests: what is refused, at which place, in linear time; errors never contain the text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract import ssml
from orastream.contract.errors import InvalidRequest
from orastream.contract.messages import parse_request

pytestmark = pytest.mark.unit

SECRET = "비밀secret"


def request(text: object, **fields: object) -> dict[str, object]:
    return {"text": text, "sessionId": "s", "phoneId": "p", "ssml": True, **fields}


def test_parse_returns_the_elements_of_a_valid_text() -> None:
    root = ssml.parse(
        "<?xml version='1.0' encoding='utf-16'?><speak version='1.1' xmlns='http://www.w3.org/2001/10/synthesis'>"
        "가 <b x='1'>나</b></speak>"
    )
    assert root.name == "speak" and root.text == "가 나"
    assert root.children == ("가 ", ssml.Element("b", {"x": "1"}, ("나",)))


BOMB = (
    "<!DOCTYPE speak [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;'>]>"
    "<speak>&c;</speak>"
)
REFUSED = [
    ("plain", f"{SECRET}", "line 1, column 1: syntax error"),
    ("unclosed", f"<speak>{SECRET}", "no element found"),
    ("crossed", f"<speak>\n  <p>{SECRET}</s></speak>", "line 2, column 16: mismatched tag"),
    ("ampersand", f"<speak>{SECRET} & b</speak>", "not well-formed"),
    ("attribute", f"<speak a={SECRET}>a</speak>", "not well-formed"),
    ("twice", f"<speak a='1' a='2'>{SECRET}</speak>", "duplicate attribute"),
    ("two-roots", f"<speak>{SECRET}</speak><speak/>", "junk after document element"),
    ("control", f"<speak>{SECRET}\x01</speak>", "not well-formed"),
    ("nul", f"<speak>{SECRET}\0</speak>", "not well-formed"),
    ("html-entity", f"<speak>{SECRET}&nbsp;</speak>", "undefined entity"),
    ("root", f"<p>{SECRET}</p>", "line 1, column 1: the outermost element must be speak"),
    ("bomb", BOMB, "a document type is not allowed"),
    ("external", f"<!DOCTYPE speak SYSTEM 'file:///etc/passwd'><speak>{SECRET}</speak>", "a document type is not"),
    ("parameter", f"<!DOCTYPE speak [<!ENTITY % x SYSTEM 'http://x/'>%x;]><speak>{SECRET}</speak>", "a document type"),
    ("deep", "<speak>" + "<p>" * 1000 + SECRET, "elements are nested more than 32 deep"),
    ("break-time", f"<speak>{SECRET}<break time='{SECRET}'/></speak>", "time of break must be like 500ms"),
    ("break-long", f"<speak>{SECRET}<break time='10.1s'/></speak>", "at most 10s"),
    ("break-minus", f"<speak>{SECRET}<break time='-1s'/></speak>", "time of break"),
    ("break-strength", f"<speak>{SECRET}<break strength='{SECRET}'/></speak>", "strength of break must be one of none"),
    ("breaks", f"<speak>{SECRET}{'<break time=´10s´/>'.replace('´', chr(39)) * 7}</speak>", "more than 60 s together"),
    ("rate", f"<speak><prosody rate='{SECRET}'>a</prosody></speak>", "rate of prosody must be like 80%"),
    ("rate-zero", f"<speak><prosody rate='0%'>{SECRET}</prosody></speak>", "rate of prosody"),
    ("rate-below", f"<speak><prosody rate='-100%'>{SECRET}</prosody></speak>", "rate of prosody"),
    ("language", f"<speak xml:lang='{SECRET}'>a</speak>", "xml:lang must be a language tag"),
    ("silent", "<speak><break/>!<metadata>가</metadata><sub alias='!'>가</sub></speak>", "has nothing to say"),
    ("empty", "", "no element found"),
]


@pytest.mark.parametrize(("text", "problem"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refusal_names_the_field_and_the_place_without_quoting_the_text(text: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_request(request(text))
    assert refused.value.field == "text"
    assert problem in str(refused.value)
    assert "secret" not in str(refused.value)


def test_length_limit_counts_the_markup_and_is_checked_first() -> None:
    text = "<speak>" + "<b>a</b>" * 10 + "</speak>"
    assert parse_request(request(text), max_text_chars=len(text)).ssml
    with pytest.raises(InvalidRequest, match="characters, at most"):
        parse_request(request("<" * 100), max_text_chars=99)


def test_text_is_plain_without_ssml() -> None:
    for text in ("<b>a", "a & b", BOMB):
        assert parse_request(request(text, ssml=False)).text == text
        assert parse_request(request(text, ssml=None)).ssml is False
    with pytest.raises(InvalidRequest, match="^ssml: has the wrong type"):
        parse_request(request("<speak>a</speak>", ssml="true"))


@pytest.mark.parametrize(
    "unit", ["<a>", "<a/>", "&amp;", "<break time='1ms'/>", "<", "]]>", "<!--", "a='1' ", "&#x41;"]
)
def test_parse_takes_linear_time_for_hostile_markup(unit: str) -> None:
    text = "<speak>" + unit * (100_000 // len(unit)) + "a</speak>"
    began = time.process_time()
    try:
        ssml.parse(text)
    except InvalidRequest:
        pass
    assert time.process_time() - began < 3


@settings(max_examples=300)
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(
            st.sampled_from(
                "<speak> </speak> <p> </p> <break/> <b a='1'> </b> &amp; &x; a 가 < > & ' \" <!-- --> <?".split(" ")
            ),
            max_size=14,
        ).map("".join),
    )
)
def test_parse_accepts_any_text_or_raises_invalid_request(text: str) -> None:
    try:
        root = ssml.parse(text)
    except InvalidRequest as exc:
        assert exc.field == "text"
    else:
        assert root.name == "speak"


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ({}, 0.4),
        ({"strength": "none"}, 0),
        ({"time": "250ms"}, 0.25),
        ({"time": " +1.5s "}, 1.5),
        ({"time": "10s"}, 10),
        ({"time": ".5s"}, 0.5),
        ({"time": "+.25s"}, 0.25),
    ],
)
def test_pause_s_returns_the_length_of_a_break(attributes: dict[str, str], seconds: float) -> None:
    assert ssml.pause_s(attributes) == seconds
