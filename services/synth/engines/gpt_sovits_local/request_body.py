"""The arguments of `TTS.run` for a sentence, made from the body of `POST /tts`. Pure."""

from __future__ import annotations

from services.synth.engines.gpt_sovits import tts
from services.synth.engines.gpt_sovits.voices import Profile

TOKENS = 2
"""Default `streaming_mode` of a profile here: the earliest first audio without an audible loss."""

_MODES = {
    0: {"streaming_mode": False, "return_fragment": False, "fixed_length_chunk": False},
    1: {"streaming_mode": False, "return_fragment": True, "fixed_length_chunk": False},
    2: {"streaming_mode": True, "return_fragment": False, "fixed_length_chunk": False},
    3: {"streaming_mode": True, "return_fragment": False, "fixed_length_chunk": True},
}


def asked(profile: Profile, sentence: str, *, language: str, speed: float) -> tts.Body:
    """Returns the arguments of `TTS.run`; `speed` 1.0 is the voice's own pace. Raises UnknownVoice for the language."""
    body = tts.body(profile, sentence, language=language, speed=speed)
    number = profile.parameters.streaming_mode if "streaming_mode" in profile.parameters.model_fields_set else TOKENS
    if body["speed_factor"] != 1.0 and number < TOKENS:
        number = TOKENS  # modes 0 and 1 make noise at another pace, and fail
    mode = _MODES[number]
    if mode["streaming_mode"]:
        body["parallel_infer"] = False  # a token stream cannot be computed in parallel
    return {**body, **mode}
