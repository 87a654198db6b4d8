"""A sentence as the phrase cache stores it: its words and its audio. Pure."""

from __future__ import annotations

import struct
from typing import NamedTuple

from services.synth.engines.base import SpokenWord

KEPT_LAYOUT = 2
"""Changes with the layout of the stored bytes. It is part of the key, so that a synth finds only what it can read. In
layout 1, of older versions, the bytes are the audio alone."""

_COUNT = struct.Struct(">I")
_WORD = struct.Struct(">4I")


class KeptPhrase(NamedTuple):
    """The whole audio of a sentence, with the pause after it, and its words."""

    pcm: bytes
    words: tuple[SpokenWord, ...]

    def pack(self) -> bytes:
        """Returns the bytes to store: the number of words, the numbers of each, the audio. Numbers have 32 bits."""
        return b"".join([_COUNT.pack(len(self.words)), *(_WORD.pack(*word) for word in self.words), self.pcm])

    @classmethod
    def unpack(cls, data: bytes) -> KeptPhrase | None:
        """Returns the sentence in stored bytes; None if they are too short, as if it were not stored."""
        if len(data) < _COUNT.size:
            return None
        end = _COUNT.size + _COUNT.unpack_from(data)[0] * _WORD.size
        if len(data) < end:
            return None
        words = tuple(SpokenWord(*word) for word in _WORD.iter_unpack(data[_COUNT.size : end]))
        return cls(data[end:], words)
