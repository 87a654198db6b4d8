"""Coded formats: one encoder, with one header, turns the PCM of a whole utterance into the bytes of a file."""

from __future__ import annotations

import importlib
from typing import Protocol

from orastream.contract.audio import Format


class Encoder(Protocol):
    """Encodes one utterance. For one thread at a time.

    The output depends on the samples only, not on how the calls split them, and not on the process.
    """

    def push(self, pcm: bytes) -> bytes:
        """Returns the bytes that these samples (mono PCM16 little-endian, whole) complete; possibly none."""

    def finish(self) -> bytes:
        """Returns the rest of the file. The encoder cannot be used afterwards."""


def is_plain(fmt: Format) -> bool:
    """Whether the format has no encoder: `load` has nothing to do."""
    return fmt in ("wav", "pcm16")


def load(fmt: Format) -> None:
    """Imports the libraries of the format's encoder. The first call blocks for long: not on an event loop."""
    if not is_plain(fmt):
        importlib.import_module(_module(fmt))


def encoder_of(fmt: Format, rate_hz: int) -> Encoder:
    """Returns a new encoder of a coded format. The format must support the rate (`audio.rate_for`)."""
    encoder: Encoder = importlib.import_module(_module(fmt)).encoder(fmt, rate_hz)
    return encoder


def _module(fmt: Format) -> str:
    return "services.synth.audio.encoders.mulaw" if fmt == "mulaw" else "services.synth.audio.encoders.ffmpeg"
