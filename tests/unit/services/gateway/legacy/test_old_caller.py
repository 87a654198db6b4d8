"""The types of the Django TTS server's callers, and the hint that names GATEWAY_LEGACY."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.codec import Map
from orastream.contract.errors import InvalidRequest
from orastream.contract.messages import parse_request
from services.gateway.http.responses import Answer, error
from services.gateway.legacy.form_body import URLENCODED
from services.gateway.legacy.old_caller import SWITCHES, TEXTS, converted, old_answer, read_fields, with_remedy

pytestmark = pytest.mark.unit

IDS: Map = {"text": "안녕하세요", "sessionId": "s1", "phoneId": "p1"}
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = LEAVES | st.lists(LEAVES, max_size=1) | st.just({"a": 1})
MAPS = st.dictionaries(st.sampled_from([*TEXTS, *SWITCHES, "speed", "supersede", "x"]), VALUES)


@given(st.integers(-(10**30), 10**30))
def test_integer_is_the_text_of_its_digits(number: int) -> None:
    asked = parse_request(converted(IDS | {"phoneId": number, "sessionId": number, "requestId": number}))
    assert (asked.phone_id, asked.session_id, asked.request_id) == (str(number),) * 3


@pytest.mark.parametrize(
    ("values", "switched"),
    [
        ([True, "true", "True", "TRUE", " true ", "t", "T", "1", 1, 1.0, "on", "On", "yes", "Y"], True),
        ([False, "false", "False", "FALSE", "f", "0", 0, 0.0, "off", "OFF", "no", "n"], False),
        ([None, "", " ", "null", "None", "NULL"], None),
    ],
)
@pytest.mark.parametrize("name", SWITCHES)
def test_string_is_a_boolean_as_in_django(name: str, values: list[Any], switched: bool | None) -> None:
    for value in values:
        assert converted({name: value})[name] is switched, value
        assert getattr(parse_request(converted(IDS | {name: value})), name) is switched


@pytest.mark.parametrize("value", ["maybe", "truee", "2", 2, -1, 0.5, [], {}, ["true"], "참"])
def test_other_value_is_refused_by_the_name_of_its_field(value: object) -> None:
    with pytest.raises(InvalidRequest, match="use_websocket"):
        parse_request(converted(IDS | {"use_websocket": value}))


@pytest.mark.parametrize("value", [True, 1.5, [1], {"a": 1}, None])
def test_only_integers_become_texts(value: object) -> None:
    with pytest.raises(InvalidRequest, match="phoneId"):
        parse_request(converted(IDS | {"phoneId": value}))


@given(MAPS)
def test_other_fields_stay_and_converting_twice_is_converting_once(fields: Map) -> None:
    once = converted(fields)
    assert once.keys() == fields.keys()
    assert all(once[name] is fields[name] for name in fields if name not in (*TEXTS, *SWITCHES))
    assert converted(once) == once or fields != fields  # NaN


@given(st.fixed_dictionaries({name: st.booleans() | st.none() for name in SWITCHES}), st.text(min_size=1, max_size=9))
def test_strict_request_is_the_same_in_legacy_mode(switches: Map, text: str) -> None:
    fields = IDS | switches | {"text": text, "requestId": text}
    assert converted(fields) == fields


def test_body_is_json_or_a_form() -> None:
    form = b"text=a&sessionId=1&phoneId=2&use_websocket=true&fire_and_forget=0&requestId="
    asked = {"text": "a", "sessionId": "1", "phoneId": "2", "use_websocket": True, "fire_and_forget": False}
    assert read_fields(form, URLENCODED, legacy=True) == asked
    given = {"text": "a", "sessionId": 1, "phoneId": 2, "use_websocket": "true", "fire_and_forget": "0"}
    for content_type in ("application/json", URLENCODED, ""):  # `curl -d` declares a form
        assert read_fields(json.dumps(given).encode(), content_type, legacy=True) == asked
        assert read_fields(json.dumps(given).encode(), content_type, legacy=False) == given


def test_strict_error_of_a_form_names_the_setting() -> None:
    with pytest.raises(InvalidRequest, match=r"payload: is not JSON: .*GATEWAY_LEGACY=on"):
        read_fields(b"text=a", URLENCODED, legacy=False)
    for body, content_type in ((b"text=a", "text/plain"), (b"{", URLENCODED)):
        with pytest.raises(InvalidRequest, match=r"payload: is not JSON: [^G]*\Z"):
            read_fields(body, content_type, legacy=False)


@given(MAPS)
def test_setting_is_named_exactly_where_it_helps(changes: Map) -> None:
    """The field of the error with the setting is another one than without it, or there is no error left."""
    fields = IDS | changes
    try:
        parse_request(fields)
    except InvalidRequest as exc:
        try:
            parse_request(fields | {exc.field: converted(fields).get(exc.field)})
            left = None
        except InvalidRequest as other:
            left = other.field
        assert ("GATEWAY_LEGACY=on" in str(with_remedy(exc, fields))) == (left != exc.field)


def test_accepted_request_is_answered_200_and_errors_stay() -> None:
    accepted = Answer(202, {"status": "queued"}, "accepted", {"Location": "/api/reports/s1/r1"})
    assert old_answer(accepted) == Answer(200, accepted.body, "accepted", accepted.headers)
    for answer in (error(422, "invalid_request", "no"), error(503, "overloaded", "no"), Answer(200, {}, "delivered")):
        assert old_answer(answer) is answer
