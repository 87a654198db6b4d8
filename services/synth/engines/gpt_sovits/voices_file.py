"""Reads `voices.yaml`."""

from __future__ import annotations

from pathlib import Path

from services.synth.engines.gpt_sovits.voices import Voices
from services.synth.engines.yaml_file import read_yaml


def read_voices(path: Path) -> Voices:
    """Returns the profiles of the file. Raises Misconfigured that names the file, the place in it and the fix."""
    file = read_yaml(path, "copy deploy/voices.example.yaml there, or set GPT_SOVITS_VOICES")
    return Voices(file.document, str(path))
