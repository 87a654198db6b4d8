"""The part of a file that a request gets, by RFC 9110."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from services.gateway.http.ranges import Selection, selection

pytestmark = pytest.mark.unit

ETAG = '"1-2-3-1"'
WHOLE = Selection(200, 0, 99)


def asked(*given: tuple[str, str], method: str = "GET", size: int = 100) -> Selection:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in given]
    return selection(method, Headers(raw=raw), ETAG, size)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-", Selection(206, 0, 99)),
        ("bytes=0-0", Selection(206, 0, 0)),
        ("bytes=10-19", Selection(206, 10, 19)),
        ("bytes=99-99", Selection(206, 99, 99)),
        ("bytes=90-1000", Selection(206, 90, 99)),
        ("bytes=-1", Selection(206, 99, 99)),
        ("bytes=-1000", Selection(206, 0, 99)),
        ("BYTES=1-", Selection(206, 1, 99)),
        ("bytes=100-", Selection(416)),
        ("bytes=100-200", Selection(416)),
        ("bytes=99999999999999999999-", Selection(416)),
        ("bytes=-0", Selection(416)),
        *((value, WHOLE) for value in ("", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "items=0-1")),
        *((value, WHOLE) for value in ("bytes=0-1,5-6", "bytes=--1", "bytes=1", "bytes=+1-2", "bytes=1-2-3", "0-1")),
        *((value, WHOLE) for value in ("bytes=0x1-", "bytes=1_0-", "bytes=²-", f"bytes={'9' * 5000}-")),
    ],
)
def test_one_valid_range_gives_a_part_and_all_else_the_whole_file(value: str, expected: Selection) -> None:
    assert asked(("Range", value)) == expected
    assert asked(("Range", value), method="HEAD") == WHOLE, "a range means nothing without a body"
    assert asked(("Range", value), ("Range", value)) == WHOLE


@given(st.text(alphabet="bytes=0123456789-, ", max_size=30) | st.text(max_size=30), st.integers(1, 10**12))
def test_any_range_gives_bytes_of_the_file(value: str, size: int) -> None:
    got = asked(("Range", value.encode("latin-1", "replace").decode("latin-1")), size=size)
    assert got.status in (200, 206, 416)
    assert got.status == 416 or 0 <= got.first <= got.last < size


@pytest.mark.parametrize(
    ("condition", "status"),
    [(ETAG, 206), (f" {ETAG}", 206), ('"other"', 200), (f"W/{ETAG}", 200), ("Tue, 01 Dec 2026 00:00:00 GMT", 200)],
)
def test_if_range_gives_the_part_only_of_the_same_file(condition: str, status: int) -> None:
    assert asked(("Range", "bytes=5-"), ("If-Range", condition)).status == status
    assert asked(("If-Range", condition)) == WHOLE


@pytest.mark.parametrize(
    ("tags", "not_modified", "matches"),
    [
        (ETAG, True, True),
        (f'"a", {ETAG}', True, True),
        (f"W/{ETAG}", True, False),
        ("*", True, True),
        ('"a"', False, False),
        ("", False, False),
        (ETAG.strip('"'), False, False),
        ('"a, b', False, False),
    ],
)
def test_conditions_by_entity_tag(tags: str, not_modified: bool, matches: bool) -> None:
    for method in ("GET", "HEAD"):
        assert asked(("If-None-Match", tags), method=method).status == (304 if not_modified else 200)
        assert asked(("If-Match", tags), method=method).status == (200 if matches else 412)
    assert asked(("If-None-Match", tags), ("Range", "bytes=1-")).status == (304 if not_modified else 206)
