"""The names of a node without TTS_PREFIX, for tests."""

from __future__ import annotations

from orastream.contract.names import Names

NAMES = Names()
