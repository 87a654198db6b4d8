"""Coded formats: one encoder, with one header, turns the PCM of a whole utterance into the bytes of a file."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping
from functools import cache
from typing import Protocol

from orastream.contract.audio import Format

_OF_FFMPEG = ("opus", "flac", "mp3", "aac")
_HEADER_VERSION = 2
"""Raise it when the tags, or the options of the encoders, change. 1: without tags."""
NO_TAGS: Mapping[str, str] = {}


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


def encoder_of(fmt: Format, rate_hz: int, tags: Mapping[str, str] = NO_TAGS) -> Encoder:
    """Returns a new encoder of a coded format. The format must support the rate (`audio.rate_for`).

    `tags` are in the header of the file, if the format has one.
    """
    encoder: Encoder = importlib.import_module(_module(fmt)).encoder(fmt, rate_hz, tags)
    return encoder


def file_mark(fmt: Format | str) -> str:
    """Returns what the version of an engine needs in a `start` of that format: it changes with the bytes of the file
    that the same samples give. Else a synth with another encoder would continue a file with bytes that do not fit.

    "" for formats in which each sample is coded alone, by a rule that does not change.
    """
    return f"+av{_av_version()}.{_HEADER_VERSION}" if fmt in _OF_FFMPEG else ""


@cache
def _av_version() -> str:
    return importlib.metadata.version("av")


def _module(fmt: Format) -> str:
    return "services.synth.audio.encoders.ffmpeg" if fmt in _OF_FFMPEG else "services.synth.audio.encoders.g711"
