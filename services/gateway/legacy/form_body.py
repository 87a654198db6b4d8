"""Reads the fields of an HTML form: `application/x-www-form-urlencoded` and `multipart/form-data`. Pure.

Sources: WHATWG URL, "application/x-www-form-urlencoded parsing"; RFC 7578 (multipart/form-data); RFC 2046, 5.1.1
(boundaries). As in Django, the last value of a repeated field counts, and texts are UTF-8.
"""

from __future__ import annotations

import email.message
import urllib.parse

from orastream.contract import codec
from orastream.contract.codec import Map
from orastream.contract.errors import InvalidRequest, Undecodable

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
MAX_FIELDS = 64
"""A request has fewer than half of it. Each field costs time, and the body of 1 MiB could have a million of them."""
MAX_ESCAPES = 1 << 17
"""%-escapes of a form: 43 690 Korean characters. They are decoded one by one, in the event loop."""
MAX_HEAD_BYTES = 1024
"""Of the headers of a part, and of a Content-Type."""
MAX_PARAMETERS = 16
"""Semicolons in such a header; forms have three. The standard library reads parameters in quadratic time: 64 parts with
1 000 semicolons each would take 0.3 s."""
_PLAIN_ENCODINGS = ("", "7bit", "8bit", "binary")


def form_type(content_type: str, body: bytes) -> str | None:
    """URLENCODED or MULTIPART if the body is a form, else None.

    `curl -d` declares any body as a form: one that begins as a JSON object or a msgpack map is none.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return MULTIPART
    if kind != URLENCODED or codec.encoding_of(body) == "msgpack":
        return None
    return None if body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{" else URLENCODED


def read_form(kind: str, content_type: str, body: bytes) -> Map:
    """The fields of a form that are not empty, all of them strings. `kind` is that of `form_type`.

    Raises InvalidRequest, which never contains a value.
    """
    pairs = _urlencoded(body) if kind == URLENCODED else _multipart(body, _boundary(content_type))
    return {name: value for name, value in dict(pairs).items() if value}


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    if body.count(b"%") > MAX_ESCAPES:
        raise Undecodable(f"is a form with more than {MAX_ESCAPES} %-escapes; send JSON or multipart/form-data")
    text = _utf8(body, "payload")
    try:
        return urllib.parse.parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise Undecodable("is a form whose %-escapes are not UTF-8") from None
    except ValueError:
        raise Undecodable(f"is a form of more than {MAX_FIELDS} fields") from None


def _multipart(body: bytes, boundary: bytes) -> list[tuple[str, str]]:
    """The fields, each between two lines of `--boundary`; the last of these lines ends in `--`."""
    delimiter = b"\r\n--" + boundary
    _, *parts = (b"\r\n" + body).split(delimiter, MAX_FIELDS + 1)
    end = next((number for number, part in enumerate(parts) if part.startswith(b"--")), None)
    if end is None:
        more = len(parts) > MAX_FIELDS
        raise Undecodable(f"is a form of more than {MAX_FIELDS} fields" if more else "is a form without its last line")
    return [_part(part) for part in parts[:end]]


def _part(part: bytes) -> tuple[str, str]:
    line, _, rest = part.partition(b"\r\n")
    head, found, value = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if len(head) > MAX_HEAD_BYTES:
        raise Undecodable(f"is a form with a part whose headers have more than {MAX_HEAD_BYTES} bytes")
    headers = email.message.Message()
    for field in head.decode("latin-1").split("\r\n"):
        name, _, content = field.partition(":")
        if name.strip().lower() in ("content-disposition", "content-transfer-encoding"):
            headers[name.strip()] = _with_few_parameters(content.strip())
    given = headers.get_param("name", header="content-disposition")
    if line.strip(b" \t") or not found or not isinstance(given, str) or not given:
        raise Undecodable("is a form with a part that has no name")
    name = given.encode("latin-1", "replace").decode("utf-8", "replace")
    if headers.get_param("filename", header="content-disposition") is not None:
        raise InvalidRequest(name, "is sent as a file; send it as a field of the form")
    if str(headers.get("content-transfer-encoding", "")).lower() not in _PLAIN_ENCODINGS:
        raise InvalidRequest(name, "has a Content-Transfer-Encoding; send the text as it is, in UTF-8")
    return name, _utf8(value, name)


def _boundary(content_type: str) -> bytes:
    header = email.message.Message()
    header["content-type"] = _with_few_parameters(content_type[:MAX_HEAD_BYTES])
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise InvalidRequest("Content-Type", "has no valid boundary; a form needs one of 1 to 70 ASCII characters")
    return boundary.encode()


def _with_few_parameters(header: str) -> str:
    if header.count(";") > MAX_PARAMETERS:
        raise Undecodable(f"is a form with a header of more than {MAX_PARAMETERS} parameters")
    return header


def _utf8(value: bytes, field: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidRequest(field, f"is not UTF-8 at byte {exc.start}") from None
