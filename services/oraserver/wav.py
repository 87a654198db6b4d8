"""Checks and corrects the two sizes in the header of a WAV file. Pure, no I/O."""

from __future__ import annotations

import struct

from orastream.contract.audio import WAV_HEADER_BYTES


def has_true_sizes(wav: bytes) -> bool:
    """Whether the RIFF and data sizes in the header are those of the file. The data chunk must be the last one."""
    if len(wav) < WAV_HEADER_BYTES or wav[:4] != b"RIFF" or wav[8:12] != b"WAVE":
        return False
    if struct.unpack_from("<I", wav, 4)[0] != len(wav) - 8:
        return False
    at = 12
    while at + 8 <= len(wav):
        name, size = struct.unpack_from("<4sI", wav, at)
        at += 8
        if name == b"data":
            return bool(size == len(wav) - at)
        at += size + size % 2  # RIFF pads chunks to an even size
    return False


def true_header(header: bytes, file_bytes: int) -> bytes | None:
    """`header`, as `orastream.contract.audio.wav_header` writes it, with the sizes for a file of `file_bytes` bytes.

    None when `header` has another form, or the file is too long for one.
    """
    if len(header) != WAV_HEADER_BYTES or header[:4] != b"RIFF" or header[36:40] != b"data":
        return None
    if not WAV_HEADER_BYTES <= file_bytes <= 0xFFFFFFFF:
        return None
    sizes = struct.pack("<I", file_bytes - 8), struct.pack("<I", file_bytes - WAV_HEADER_BYTES)
    return header[:4] + sizes[0] + header[8:40] + sizes[1]
