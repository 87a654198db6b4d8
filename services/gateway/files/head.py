"""The first bytes of a finished file, with the lengths that were not known when they were made. Pure.

Nothing is inserted: the bytes of the file stay in their places, so that a part of the finished file continues what a
reader got while the file was made. Ogg/Opus has its length in its last page. MP3 and AAC have no length in their
headers; their bit rate is (about) constant, so players compute it from the size of the file.
"""

from __future__ import annotations

import struct

from orastream.contract.audio import UNKNOWN_SIZE, WAV_HEADER_BYTES, set_wav_sizes
from orastream.contract.audio_messages import AudioEnd, AudioStart

HEAD_BYTES = WAV_HEADER_BYTES
"""How many bytes of a file `finished_head` needs; enough for each format."""
HEAD_VERSION = 1
"""Raise it when the finished head of the same file changes: it is a part of the entity tag."""

_SAMPLES_AT = 18
"""Offset in FLAC of 8 bytes: rate (20 bits), channels - 1 (3), bits per sample - 1 (5), number of samples (36)."""
_SAMPLE_BITS = 36


def finished_head(head: bytes, size: int, start: AudioStart, end: AudioEnd) -> bytes:
    """Return `head`, the first bytes of a file of `size` bytes, with the true lengths; as many bytes as `head` has.

    Unchanged if the format has no lengths in its header, or if the header is not as synth writes it. Of a file that was
    cancelled, the sizes of a WAV are known, and the samples of a FLAC are not.
    """
    if start.format == "wav":
        return _wav(head, size)
    if start.format == "flac" and end.status == "complete":
        return _flac(head, start.sample_rate_hz, round(end.audio_seconds * start.sample_rate_hz))
    return head


def _wav(head: bytes, size: int) -> bytes:
    open_sizes = head[4:8] == head[40:44] == struct.pack("<I", UNKNOWN_SIZE)
    if len(head) < WAV_HEADER_BYTES or not open_sizes or size - 8 >= UNKNOWN_SIZE:
        return head
    finished = bytearray(head)
    try:
        set_wav_sizes(finished, size)
    except ValueError:
        return head
    return bytes(finished)


def _flac(head: bytes, rate_hz: int, samples: int) -> bytes:
    """Source: RFC 9639, 8.2 (STREAMINFO, always the first block). The checksum of the samples stays 0, not known."""
    if len(head) < _SAMPLES_AT + 8 or head[:4] != b"fLaC" or head[4] & 0x7F or head[5:8] != b"\0\0\x22":
        return head
    (layout,) = struct.unpack_from(">Q", head, _SAMPLES_AT)
    known, stated_hz = layout & ((1 << _SAMPLE_BITS) - 1), layout >> 44
    if known or stated_hz != rate_hz or not 0 < samples < 1 << _SAMPLE_BITS:
        return head
    finished = bytearray(head)
    struct.pack_into(">Q", finished, _SAMPLES_AT, layout | samples)
    return bytes(finished)
