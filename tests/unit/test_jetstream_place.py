"""Where a stored message stands, read off what the server has put behind the publisher's own headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.bus import Headers
from orastream.jetstream import place_of
from orastream.subjects import decoded

pytestmark = pytest.mark.unit

PLACE = ("tts.audio.s.r", 7, "2026-01-01T00:00:00.5Z", 3)
NAMES = ("Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Last-Sequence", "Status", "X")


def block(*headers: tuple[str, str]) -> Headers:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return Headers(f"NATS/1.0\r\n{lines}\r\n".encode())


def stored(*own: tuple[str, str]) -> Headers:
    """As the server republishes a message with headers of its publisher."""
    subject, sequence, time, last = PLACE
    places = (subject, str(sequence), time, str(last))
    server = zip(NAMES[1:5], places, strict=True)
    return block(*own, ("Nats-Stream", "TTS_AUDIO"), *server)


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["1", "100000", "x", "tts.audio.o.o"])), max_size=12))
def test_the_servers_word_counts_whatever_the_publisher_wrote(own: list[tuple[str, str]]) -> None:
    assert place_of(stored(*own)) == PLACE


SENT = st.lists(st.integers(0, 255).filter(lambda byte: byte not in b" \t\n"), min_size=1, max_size=12).map(bytes)


@given(SENT, st.binary(max_size=60))
def test_subject_and_headers_may_be_any_bytes(subject: bytes, own: bytes) -> None:
    """The server takes two bytes off the publisher's block, which should be its last CRLF, and writes on from there."""
    lines = b"Nats-Stream: S\r\nNats-Subject: %b\r\nNats-Sequence: 7\r\nNats-Time-Stamp: %b\r\n"
    lines += b"Nats-Last-Sequence: 3\r\n\r\n"
    headers = Headers(own[:-2] + lines % (subject, PLACE[2].encode()))
    assert place_of(headers) == (decoded(subject), *PLACE[1:])


def test_what_no_stream_has_stored_has_no_place() -> None:
    with pytest.raises((KeyError, ValueError)):
        place_of(block(("X", "1")))
