"""Where and when a message is stored, from the headers that the stream adds. Pure."""

from __future__ import annotations

import re
from calendar import timegm

from orastream.broker import Headers
from orastream.contract import subjects

_TIME = re.compile(
    r"([12]\d{3})-(0[1-9]|1[0-2])-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-]\d\d):(\d\d))", re.ASCII
)


def parse_time(text: str) -> float:
    """Convert the server's RFC 3339 time to unix seconds. Raises ValueError."""
    return parse_time_ns(text) / 1e9


def parse_time_ns(text: str) -> int:
    """Convert the server's RFC 3339 time to unix nanoseconds, without loss. Raises ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text!r}")
    *date, fraction, zone_h, zone_min = match.groups()
    offset_s = 0 if zone_h is None else int(zone_h) * 3600 + int(zone_h[0] + zone_min) * 60
    return (timegm(tuple(map(int, date))) - offset_s) * 10**9 + int((fraction or "0").ljust(9, "0"))


_PLACE = re.compile(
    rb"\r\nNats-Subject: ([^\n]+)\r\nNats-Sequence: (\d{1,20})\r\nNats-Time-Stamp: (%b)\r\n"
    rb"(?:[^\r\n]+\r\n)*?Nats-Last-Sequence: (\d{1,20})\r\n" % re.sub(r"\((?!\?)", "(?:", _TIME.pattern).encode()
)

_STREAM = b"\r\nNats-Stream: "


def place_of(headers: Headers) -> tuple[str, int, str, int]:
    """Subject, sequence, time and previous sequence of a stored message, from the headers that the stream adds.

    In the answer to a read, the previous sequence is that of the message before it in the answer. For a live message
    it is that of the last message on the same subject. `parse_time` accepts every time that this returns.
    Raises KeyError or ValueError when the headers do not come from a stream.
    """
    # A publisher may have copied these headers from another stored message. The server appends its own after them, in
    # this order, so the last ones are valid. One match for all four costs as much as one lookup.
    block = headers.block
    match = _PLACE.match(block, max(0, block.rfind(b"\r\nNats-Subject: ")))
    if match is not None:
        subject, sequence, time, last = match.groups()
        return subjects.decoded(subject), int(sequence), time.decode(), int(last)
    stored_at = headers["Nats-Time-Stamp"]
    if _TIME.fullmatch(stored_at) is None:
        raise ValueError(f"not a time: {ascii(stored_at[:40])}")
    return headers["Nats-Subject"], int(headers["Nats-Sequence"]), stored_at, int(headers["Nats-Last-Sequence"])


def stream_of(headers: Headers) -> bytes | None:
    """The stream that has published or returned a stored message, or None if there is no such header."""
    block = headers.block
    at = block.rfind(_STREAM)  # the last one: a publisher may have sent one, too
    return block[at + len(_STREAM) : block.find(b"\r\n", at + 2)] if at >= 0 else None
