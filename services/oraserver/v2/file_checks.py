"""Whether a complete file has a valid header of its format. Pure."""

from __future__ import annotations

import struct

from orastream.contract.audio import UNKNOWN_SIZE, WAV_HEADER_BYTES, PcmSpec, wav_header
from services.oraserver.v2.events import UtteranceBegun
from services.oraserver.violations import Violation

HEAD_BYTES = 512
TAIL_BYTES = 65_536
"""More than the largest Ogg page has: 65 307 bytes."""

_OGG_FIRST, _OGG_LAST = 2, 4
_OGG_PAGE = struct.Struct("<4sBBqIIIB")


def problems(begun: UtteranceBegun, size: int, head_and_tail: tuple[bytes, bytes]) -> list[Violation]:
    """What is wrong with a file of `size` bytes, of which the first HEAD_BYTES and the last TAIL_BYTES are given."""
    head, tail = head_and_tail
    found = ""
    if not size:
        return []  # nothing was to be said
    if begun.format == "wav":
        found = _wav(begun, size, head)
    elif begun.format == "opus":
        found = _ogg(head, tail)
    return [Violation("v2-file", f"{begun.format}: {found}")] if found else []


def _wav(begun: UtteranceBegun, size: int, head: bytes) -> str:
    """A header as orastream writes it, with the true sizes or with those of a stream."""
    if len(head) < WAV_HEADER_BYTES:
        return "shorter than its header"
    want = wav_header(PcmSpec(begun.rate, begun.channels), size - WAV_HEADER_BYTES)
    if head[:4] + head[8:40] != want[:4] + want[8:40]:
        return f"the header is not that of PCM with {begun.rate} Hz and {begun.channels} channels"
    for offset, true in ((4, size - 8), (40, size - WAV_HEADER_BYTES)):
        if struct.unpack_from("<I", head, offset)[0] not in (true, UNKNOWN_SIZE):
            return "the sizes in the header are neither those of the file nor those of a stream"
    return ""


def _ogg(head: bytes, tail: bytes) -> str:
    """Ogg pages with an Opus header in the first one, and the end of the stream in the last one."""
    if len(head) < _OGG_PAGE.size or head[:4] != b"OggS":
        return "does not begin with an Ogg page"
    _, _, flags, _, _, _, _, segments = _OGG_PAGE.unpack_from(head)
    if not flags & _OGG_FIRST or not head[27 + segments :].startswith(b"OpusHead"):
        return "the first page has no Opus header"
    at = tail.rfind(b"OggS")
    while at >= 0:
        if at + _OGG_PAGE.size <= len(tail):
            _, version, flags, _, _, _, _, segments = _OGG_PAGE.unpack_from(tail, at)
            body = tail[at + 27 : at + 27 + segments]
            if version == 0 and at + 27 + segments + sum(body) == len(tail):
                return "" if flags & _OGG_LAST else "the last page does not end the stream"
        at = tail.rfind(b"OggS", 0, at)
    return "does not end with a whole Ogg page"
