"""Which part of a file a request asks for, by its headers. Pure. Source: RFC 9110, 13 (conditions) and 14 (ranges)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]{0,20})-([0-9]{0,20})[ \t]*", re.IGNORECASE)
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Selection:
    """What to answer: `status`, and for 200 and 206 the bytes from `first` to `last`, both included."""

    status: int
    first: int = 0
    last: int = -1


def selection(method: str, headers: Headers, etag: str, size: int) -> Selection:
    """The answer to a GET or HEAD of a file of `size` bytes, at least 1, with a strong entity tag.

    206 for one range; 416 for one behind the end. 200, the whole file, without a range, for several ranges, for an
    invalid one, and if `If-Range` names another file. 304 by `If-None-Match`, 412 by `If-Match`.
    """
    if (wanted := _joined(headers, "if-match")) is not None and not _names(wanted, etag, weak=False):
        return Selection(412)
    if (known := _joined(headers, "if-none-match")) is not None and _names(known, etag, weak=True):
        return Selection(304)
    whole = Selection(200, 0, size - 1)
    ranges = headers.getlist("range")
    if method != "GET" or len(ranges) != 1:
        return whole
    if (condition := _joined(headers, "if-range")) is not None and condition.strip(" \t") != etag:
        return whole
    return _part(ranges[0].strip(" \t"), size) or whole


def _part(text: str, size: int) -> Selection | None:
    """None: not valid, or not one range."""
    match = _RANGE.fullmatch(text)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:  # the last bytes
        count = min(int(match[2]), size)
        return Selection(206, size - count, size - 1) if count else Selection(416)
    first, last = int(match[1]), int(match[2]) if match[2] else size - 1
    if match[2] and last < first:
        return None
    return Selection(206, first, min(last, size - 1)) if first < size else Selection(416)


def _joined(headers: Headers, name: str) -> str | None:
    """The values of a header as one list; None if there is none."""
    return ",".join(headers.getlist(name)) if name in headers else None


def _names(tags: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags has this one, or is `*`. `weak`: a weak tag counts too."""
    return tags.strip(" \t") == "*" or any(tag == etag and (weak or not mark) for mark, tag in _TAG.findall(tags))
