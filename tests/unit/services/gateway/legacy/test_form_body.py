"""Forms as browsers, aiohttp and urllib3 write them, and hostile ones."""

from __future__ import annotations

import asyncio
import time
import urllib.parse

import aiohttp
import pytest
import urllib3
from hypothesis import example, given
from hypothesis import strategies as st

from orastream.contract.errors import InvalidRequest
from services.gateway.legacy.form_body import MAX_ESCAPES, MAX_FIELDS, MULTIPART, URLENCODED, form_type, read_form

pytestmark = pytest.mark.unit

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
NAMES = ("text", "sessionId", "phoneId", "requestId", "use_websocket")
FORMS = st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=5)
BOUNDARY = "=_x y:z"
TYPE = f'Multipart/Form-Data; charset=utf-8; boundary="{BOUNDARY}"'


def multipart(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    line = b"--" + BOUNDARY.encode()
    return b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + end


def part(name: str, value: bytes, more: str = "", params: str = "") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"{params}\r\n{more}\r\n'.encode() + value


@given(FORMS)
@example({"text": "a+b & c=d%20;\r\n\u0000 안녕 🙂"})
def test_form_that_is_urlencoded_is_read(fields: dict[str, str]) -> None:
    body = urllib.parse.urlencode(fields).encode()
    assert form_type(f"{URLENCODED}; charset=UTF-8", body) == URLENCODED
    assert read_form(URLENCODED, URLENCODED, body) == fields


@given(FORMS)
@example({"text": "--x\r\n\r\n--\r\nContent-Disposition: form-data"})
def test_form_of_urllib3_is_read(fields: dict[str, str]) -> None:
    """`requests` writes its forms with urllib3."""
    body, content_type = urllib3.encode_multipart_formdata(fields, boundary="b0und4ry-that-no-text-has")
    assert form_type(content_type, body) == MULTIPART
    assert read_form(MULTIPART, content_type, body) == fields


def test_form_of_aiohttp_is_read() -> None:
    """Its parts have a Content-Type of their own."""
    fields = {"text": "안녕\r\n하세요 🙂", "phoneId": "1012345678"}
    form = aiohttp.FormData(fields, default_to_multipart=True)

    async def written() -> tuple[bytes, str]:
        payload = form()
        return await payload.as_bytes(), payload.headers["Content-Type"]

    body, content_type = asyncio.run(written())
    assert read_form(MULTIPART, content_type, body) == fields


def test_last_value_counts_and_an_empty_one_is_absent() -> None:
    assert read_form(URLENCODED, "", b"text=a&text=b&phoneId=1&phoneId=&requestId=") == {"text": "b"}
    body = multipart(part("text", b"a"), part("text", b"b"), part("phoneId", b"1"), part("phoneId", b""))
    assert read_form(MULTIPART, TYPE, body) == {"text": "b"}
    assert read_form(URLENCODED, "", b"") == {} == read_form(MULTIPART, TYPE, multipart())


def test_preamble_and_epilogue_are_left_out() -> None:
    body = b"--no\r\n" + multipart(part("text", b"a", "Content-Type: text/plain\r\n")) + multipart(part("text", b"b"))
    assert read_form(MULTIPART, TYPE, body) == {"text": "a"}


@pytest.mark.parametrize(
    ("content_type", "body", "kind"),
    [
        ("", b"text=a", None),
        ("text/plain", b"text=a", None),
        ("application/json", b"text=a", None),
        (URLENCODED, b"text=a", URLENCODED),
        (f" {URLENCODED.upper()} ;charset=x", b"", URLENCODED),
        (URLENCODED, b'{"text":"a"}', None),
        (URLENCODED, b'\xef\xbb\xbf \r\n{"text":"a"}', None),
        (URLENCODED, b"\x81\xa4text\xa1a", None),
        (URLENCODED, b"%7B=a", URLENCODED),
        (MULTIPART, b"{", MULTIPART),
    ],
)
def test_json_that_curl_declares_as_a_form_is_none(content_type: str, body: bytes, kind: str | None) -> None:
    assert form_type(content_type, body) == kind


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (URLENCODED, b"text=\xff", "payload: is not UTF-8"),
        (URLENCODED, b"text=%FF", "%-escapes are not UTF-8"),
        (URLENCODED, b"text=" + b"%41" * (MAX_ESCAPES + 1), "more than 131072 %-escapes"),
        (URLENCODED, b"a=1&" * MAX_FIELDS + b"a=1", "more than 64 fields"),
        (MULTIPART, b"", "without its last line"),
        (MULTIPART, multipart(part("text", b"a"), end=b""), "without its last line"),
        (MULTIPART, multipart(*[part("text", b"a")] * (MAX_FIELDS + 1)), "more than 64 fields"),
        (MULTIPART, multipart(part("text", b"\xff")), "text: is not UTF-8 at byte 0"),
        (MULTIPART, multipart(part("text", b"YQ==", "Content-Transfer-Encoding: base64\r\n")), "text: has a Content-"),
        (MULTIPART, multipart(part("text", b"a", params='; filename=""')), "text: is sent as a file"),
        (MULTIPART, multipart(part("text", b"a", params="; filename*=UTF-8''a")), "text: is sent as a file"),
        (MULTIPART, multipart(part("", b"a")), "no name"),
        (MULTIPART, multipart(b"Content-Type: text/plain\r\n\r\na"), "no name"),
        (MULTIPART, multipart(b'Content-Disposition: form-data; name="text"'), "no name"),
        (MULTIPART, multipart(part("text", b"a", "X: " + "y" * 2000 + "\r\n")), "more than 1024 bytes"),
        (MULTIPART, multipart(part("text", b"a", params=";" * 17)), "more than 16 parameters"),
    ],
)
def test_error_says_what_is_wrong_with_a_form(kind: str, body: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        read_form(kind, TYPE, body)


def test_form_may_have_64_fields() -> None:
    names = [f"f{number}" for number in range(MAX_FIELDS)]
    assert list(read_form(MULTIPART, TYPE, multipart(*[part(name, b"a") for name in names]))) == names
    assert list(read_form(URLENCODED, "", "&".join(f"{name}=a" for name in names).encode())) == names


@pytest.mark.parametrize("boundary", ["", "; boundary=", '; boundary=""', "; boundary=" + "b" * 71, "; boundary=é"])
def test_form_without_a_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(InvalidRequest, match="Content-Type: has no valid boundary"):
        read_form(MULTIPART, MULTIPART + boundary, multipart())


HOSTILE = st.lists(
    st.sampled_from(
        [b"--", BOUNDARY.encode(), b"\r\n", b"Content-Disposition: form-data", b"; name=", b'"', b";", b"%"]
    )
    | st.binary(max_size=8),
    max_size=30,
).map(b"".join)


@given(st.sampled_from([URLENCODED, MULTIPART]), HOSTILE, st.text(max_size=30))
def test_any_bytes_are_read_or_refused(kind: str, body: bytes, end: str) -> None:
    try:
        fields = read_form(kind, TYPE + end if end.startswith(";") else TYPE, body)
    except InvalidRequest:
        return
    assert all(isinstance(value, str) and value for value in fields.values())


@pytest.mark.parametrize("body", [b"\r\n--" + BOUNDARY.encode(), b"\r\n", b";", b"&", b"=&", b'";"', b"%", b": \r\n"])
def test_body_of_a_mebibyte_takes_no_time(body: bytes) -> None:
    """It is read in the event loop, which serves all other callers."""
    large = (body * (1 << 20))[: 1 << 20]
    head = b'Content-Disposition: form-data; name="text"'
    began_s = time.process_time()
    for kind, content_type, whole in (
        (URLENCODED, "", large),
        (MULTIPART, TYPE, multipart(large)),
        (MULTIPART, TYPE, multipart(head + large)),
        (MULTIPART, TYPE, multipart(*[head + large[:950] + b"\r\n\r\na"] * MAX_FIELDS)),
        (MULTIPART, TYPE + ";" * 20_000, multipart()),
    ):
        try:
            read_form(kind, content_type, whole)
        except InvalidRequest:
            continue
    assert time.process_time() - began_s < 0.25
