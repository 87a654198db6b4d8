"""`place_of` reads the headers that the server appends to the publisher's headers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.broker import Headers
from orastream.contract.subjects import decoded
from orastream.jetstream.place import parse_time, parse_time_ns, place_of, stream_of

pytestmark = pytest.mark.unit

PLACE = ("tts.audio.s.r", 7, "2026-01-01T00:00:00.5Z", 3)
NAMES = ("Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Last-Sequence", "Status", "X")


def block(*headers: tuple[str, str]) -> Headers:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return Headers(f"NATS/1.0\r\n{lines}\r\n".encode())


def stored(*own: tuple[str, str]) -> Headers:
    """The headers of a republished message whose publisher has set the headers `own`."""
    subject, sequence, time, last = PLACE
    places = (subject, str(sequence), time, str(last))
    server = zip(NAMES[1:5], places, strict=True)
    return block(*own, ("Nats-Stream", "TTS_AUDIO"), *server)


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["1", "100000", "x", "tts.audio.o.o"])), max_size=12))
def test_place_of_reads_the_headers_of_the_server_not_those_of_the_publisher(own: list[tuple[str, str]]) -> None:
    assert place_of(stored(*own)) == PLACE
    assert stream_of(stored(*own)) == b"TTS_AUDIO"


def test_stream_of_a_message_that_no_stream_has_published() -> None:
    assert stream_of(block()) is None and stream_of(block(("X", "TTS_AUDIO"))) is None


SENT = st.lists(st.integers(0, 255).filter(lambda byte: byte not in b" \t\n"), min_size=1, max_size=12).map(bytes)


@given(SENT, st.binary(max_size=60))
def test_place_of_accepts_any_bytes_in_subject_and_headers(subject: bytes, own: bytes) -> None:
    """The server replaces the last two bytes of the publisher's block, which should be CRLF, by its own headers."""
    lines = b"Nats-Stream: S\r\nNats-Subject: %b\r\nNats-Sequence: 7\r\nNats-Time-Stamp: %b\r\n"
    lines += b"Nats-Last-Sequence: 3\r\n\r\n"
    headers = Headers(own[:-2] + lines % (subject, PLACE[2].encode()))
    assert place_of(headers) == (decoded(subject), *PLACE[1:])


def test_place_of_raises_for_a_message_that_no_stream_has_stored() -> None:
    with pytest.raises((KeyError, ValueError)):
        place_of(block(("X", "1")))


DIGITS = st.text("0123456789", min_size=1, max_size=6)
TIMES = st.one_of(
    st.text(max_size=30),
    st.datetimes().map(lambda time: time.isoformat() + "Z"),
    st.builds("{}-{}-{}T{}:{}:{}.{}{}".format, *[DIGITS] * 7, st.sampled_from(["Z", "+09:00", "-25:99", ""])),
    st.sampled_from(["2026-02-31T00:00:00Z", "2026-12-31T99:99:99.999999999+99:99", "0000-01-01T00:00:00Z"]),
)


@given(TIMES)
def test_parse_time_accepts_every_time_that_place_of_returns(time: str) -> None:
    """Any publisher can forge a live message; a reader must not fail when it parses the forged time."""
    forged = block(
        ("Nats-Subject", "a"), ("Nats-Sequence", "1"), ("Nats-Time-Stamp", time), ("Nats-Last-Sequence", "0")
    )
    try:
        _, _, given_time, _ = place_of(forged)
    except (KeyError, ValueError):
        return
    assert parse_time(given_time) > 0 or given_time < "1970-01-03"


@given(st.datetimes(datetime(1971, 1, 1), datetime(2900, 1, 1)), st.integers(-14, 14), st.integers(0, 999_999_999))
def test_parse_time_ns_reads_zones_and_nanoseconds(local: datetime, zone_h: int, nanoseconds: int) -> None:
    local = local.replace(microsecond=0)
    text = f"{local.isoformat()}.{nanoseconds:09}{zone_h:+03}:00"
    expected = int((local - timedelta(hours=zone_h)).replace(tzinfo=UTC).timestamp()) * 10**9 + nanoseconds
    assert parse_time_ns(text) == expected
