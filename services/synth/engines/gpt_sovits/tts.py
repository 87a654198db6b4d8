"""The body of `POST /tts` (GPT-SoVITS, api_v2.py), and the quotable part of a refusal. Pure."""

from __future__ import annotations

from services.synth.engines.base import UnknownVoice
from services.synth.engines.gpt_sovits.voices import Profile, spoken_language
from services.synth.engines.servers.quoting import json_object, plain, quotable

Body = dict[str, object]


def body(profile: Profile, sentence: str, *, language: str, speed: float) -> Body:
    """Returns the body for a sentence; `speed` 1.0 is the voice's own pace. Raises UnknownVoice for the language.

    Languages are in lower case: the server accepts `KO` and then fails.
    """
    try:
        text_lang = profile.text_lang or spoken_language(language)
    except ValueError as exc:
        raise UnknownVoice(f"language: {exc}") from None
    parameters = profile.parameters.model_dump(exclude_none=True)
    asked: Body = {
        **parameters,
        "text": sentence,
        "text_lang": text_lang,
        "ref_audio_path": profile.ref_audio_path,
        "prompt_lang": profile.prompt_lang,
        "prompt_text": profile.prompt_text,
        "speed_factor": round(profile.parameters.speed_factor * speed, 4),
        "media_type": "wav",
    }
    if profile.aux_ref_audio_paths:
        asked["aux_ref_audio_paths"] = list(profile.aux_ref_audio_paths)
    return asked


def whole(asked: Body) -> Body:
    """Returns the body for the same sentence without streaming: the server then answers a failure with the reason."""
    return {**asked, "streaming_mode": 0}


def reason(status: int, answer: bytes, sentence: str = "") -> str:
    """Returns why the server refused: its own message, without parts that quote the sentence."""
    said = json_object(answer)
    message, exception = plain(said.get("message")), quotable(said.get("Exception"), sentence)
    return ": ".join(filter(None, [message, exception])) or f"it answered {status}"
