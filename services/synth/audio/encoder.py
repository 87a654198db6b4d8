"""Coded formats: PCM in, the bytes of the file out, by one encoder with one header for the whole utterance."""

from __future__ import annotations

import importlib
from typing import Protocol

from orastream.contract.audio import Format


class Encoder(Protocol):
    """Encodes one utterance. The bytes depend on the samples only: not on how they were split, nor on the process."""

    def push(self, pcm: bytes) -> bytes:
        """The bytes that these samples (mono PCM16 little-endian, whole) complete; possibly none."""

    def finish(self) -> bytes:
        """The rest of the file; the encoder is of no use afterwards."""


def load(fmt: Format) -> None:
    """Import what the format's encoder needs, which takes a while the first time: not on an event loop."""
    if fmt not in ("wav", "pcm16"):
        importlib.import_module(_module(fmt))


def encoder_of(fmt: Format, rate_hz: int) -> Encoder:
    """A new encoder of a coded format. The rate is one that the format takes (`audio.rate_for`)."""
    encoder: Encoder = importlib.import_module(_module(fmt)).encoder(fmt, rate_hz)
    return encoder


def _module(fmt: Format) -> str:
    return "services.synth.audio.encoders.mulaw" if fmt == "mulaw" else "services.synth.audio.encoders.ffmpeg"
