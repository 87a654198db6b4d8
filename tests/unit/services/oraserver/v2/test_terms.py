"""Which subprotocol is selected, and the file checks of a complete utterance."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from orastream.contract.audio import PcmSpec, wav_header
from services.oraserver.v2 import file_checks
from services.oraserver.v2.events import UtteranceBegun
from services.oraserver.v2.terms import StreamTerms, offers

pytestmark = pytest.mark.unit

BOTH = "orastream.v1, orastream.v2"


@pytest.mark.parametrize(
    ("protocol", "header", "selected", "refused"),
    [
        ("auto", BOTH, "orastream.v2", False),
        ("auto", "orastream.v2", "orastream.v2", False),
        ("auto", "orastream.v1,chat", None, False),
        ("auto", "", None, False),
        ("v1", BOTH, None, False),
        ("first", BOTH, "orastream.v1", False),
        ("first", "orastream.v2", "orastream.v2", False),
        ("first", "", None, False),
        ("refuse", BOTH, None, True),
        ("refuse", "", None, False),
    ],
)
def test_selection(protocol: Any, header: str, selected: str | None, refused: bool) -> None:
    terms = StreamTerms(protocol)
    assert terms.refuses(offers(header)) is refused
    if not refused:
        assert terms.selected(offers(header)) == selected


def begun(fmt: str) -> UtteranceBegun:
    return UtteranceBegun(1, "tts", "s", 1, "r", "p", fmt, 8_000, 1, "espeak", "ko-KR", 0.0)


def page(flags: int, body: bytes) -> bytes:
    segments = bytes([255] * (len(body) // 255) + [len(body) % 255])
    return struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, 1, 0, 0, len(segments)) + segments + body


FIRST, MIDDLE, LAST = page(2, b"OpusHead" + bytes(11)), page(0, bytes(600)), page(4, b"OggS" + bytes(50))
SPEC = PcmSpec(8_000)


@pytest.mark.parametrize(
    ("fmt", "file", "problem"),
    [
        ("wav", wav_header(SPEC) + bytes(100), ""),
        ("wav", wav_header(SPEC, 100) + bytes(100), ""),
        ("wav", wav_header(SPEC, 98) + bytes(100), "sizes"),
        ("wav", wav_header(PcmSpec(16_000)) + bytes(100), "8000 Hz"),
        ("wav", bytes(100), "8000 Hz"),
        ("wav", b"RIFF", "shorter"),
        ("opus", FIRST + MIDDLE + LAST, ""),
        ("opus", FIRST + MIDDLE, "does not end the stream"),
        ("opus", FIRST + MIDDLE + LAST[:-1], "whole Ogg page"),
        ("opus", MIDDLE + LAST, "Opus header"),
        ("opus", b"x", "Ogg page"),
        ("pcm16", b"\0", ""),
        ("wav", b"", ""),
        ("mp3", b"\xff", ""),
    ],
)
def test_files(fmt: str, file: bytes, problem: str) -> None:
    ends = file[: file_checks.HEAD_BYTES], file[-file_checks.TAIL_BYTES :]
    found = file_checks.problems(begun(fmt), len(file), ends)
    assert [problem in violation.detail for violation in found] == [True] * bool(problem)
