"""The body of `POST /v1/audio/speech`. Pure.

Source: OpenAI API reference, "Create speech": input, model, voice, instructions, response_format, speed. Servers know
more fields (`extra_body`).
"""

from __future__ import annotations

from services.synth.engines.openai_speech.voices import SpeechVoice

PATH = "/v1/audio/speech"

SpeechFields = dict[str, object]


def speech_body(voice: SpeechVoice, sentence: str, *, language: str, speed: float) -> SpeechFields:
    """Returns the body for a sentence. At normal speed, 1.0, it has no `speed`: not every server accepts that field."""
    body: SpeechFields = {**voice.extra_body, "model": voice.model, "input": sentence, "response_format": voice.format}
    if voice.voice is not None:
        body["voice"] = voice.voice
    if voice.instructions is not None:
        body["instructions"] = voice.instructions
    if voice.language_field is not None:
        body[voice.language_field] = language
    if speed != 1.0 and voice.speed == "sent":
        body["speed"] = round(speed, 4)
    return body


def tempo(voice: SpeechVoice, speed: float) -> float:
    """Returns by how much the engine itself must make the audio faster; 1.0: not at all."""
    return speed if voice.speed == "unsupported" else 1.0
