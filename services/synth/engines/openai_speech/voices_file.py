"""Reads the voices: from the file OPENAI_SPEECH_VOICES, or the one voice of the settings."""

from __future__ import annotations

from services.synth.engines.openai_speech.settings import OpenAiSpeechSettings
from services.synth.engines.openai_speech.voices import SpeechVoices, one_voice, voices_of
from services.synth.engines.yaml_file import read_yaml


def read_speech_voices(settings: OpenAiSpeechSettings) -> SpeechVoices:
    """Returns the voices. Raises Misconfigured that names the setting or the file, the place in it and the fix."""
    path, defaults = settings.openai_speech_voices, settings.voice_defaults
    if path is None:
        return one_voice(settings.openai_speech_voice, settings.openai_speech_language, defaults)
    path = path.expanduser()
    todo = "copy deploy/speech-voices.example.yaml there, or remove OPENAI_SPEECH_VOICES"
    file = read_yaml(path, todo)
    return voices_of(file.document, str(path), defaults, file.line_of)
