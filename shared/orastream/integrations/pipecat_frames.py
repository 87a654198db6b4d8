"""What the node says of an utterance, as Pipecat's frames have it: words with times, and kinds of errors. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from orastream.client.complete_audio import SpeechFailed
from orastream.contract.errors import (
    Code,
    InvalidRequest,
    NodeUnavailable,
    OrastreamError,
    SettingsError,
    WaitTimeout,
)
from orastream.integrations.live_transcript import TranscriptPart

CATEGORIES: dict[Code, str] = {
    "invalid_request": "invalid_request",
    "overloaded": "rate_limit",
    "expired": "rate_limit",
    "engine_error": "server",
    "synth_stalled": "server",
    "text_stalled": "application",
    "oraserver_unreachable": "server",
    "oraserver_refused": "server",
    "audio_expired": "server",
    "audio_too_long": "application",
    "internal": "server",
}
"""Values of Pipecat's `ErrorCategory`. After `invalid_request` Pipecat gives the service no more work until its
settings change: so it is for a voice or a field, not for a text."""
_SPACELESS = frozenset({"zh", "ja", "yue", "cmn", "th", "lo", "km", "my"})


def failure_of(exc: Exception) -> tuple[str, str]:
    """Return the text of an error frame, `code: message`, and its category."""
    if isinstance(exc, SpeechFailed):
        code, message = exc.error.code, exc.error.message
        if code == "invalid_request" and message.startswith("text"):
            return f"{code}: {message}", "application"
        return f"{code}: {message}", CATEGORIES[code]
    if isinstance(exc, InvalidRequest):
        return f"{exc.code}: {exc}", "application" if exc.field == "text" else "invalid_request"
    if isinstance(exc, NodeUnavailable | WaitTimeout):
        return f"{exc.code}: {exc}", "connectivity"
    if isinstance(exc, SettingsError):
        return f"{exc.code}: {exc}", "invalid_request"
    if isinstance(exc, OrastreamError):
        return f"{exc.code}: {exc}", CATEGORIES[exc.code]
    if isinstance(exc, TypeError):  # a field that requests do not have
        return f"invalid_request: {exc}", "invalid_request"
    return f"internal: {exc}", "unknown"


class SpokenWords:
    """Makes of the parts of a text the words that Pipecat matches with its own copy: as written, between white space.

    Pipecat puts a space between the words of its context. So parts without white space between them (14일, 에) are one
    word, but in languages that are written without white space each part is one, and `has_spaces` is false.
    """

    def __init__(self, language: str | None) -> None:
        """`language` is a BCP 47 tag; None: that of the node."""
        self.has_spaces = (language or "").partition("-")[0].lower() not in _SPACELESS
        self._held = ""
        self._held_s = 0.0

    def add(self, parts: Iterable[TranscriptPart]) -> list[tuple[str, float]]:
        """Return the words that are complete, each with the second of the utterance at which it counts as spoken.

        That is when it begins; of several words that come as one part (a sentence), when they have been spoken, so that
        a sentence that is interrupted does not count.
        """
        words: list[tuple[str, float]] = []
        for part in parts:
            is_one_word = len(part.text.split()) == 1
            if not self._held:
                self._held_s = (part.begin_ms if is_one_word else part.end_ms) / 1000
            self._held += part.text
            if part.text[-1:].isspace() or not self.has_spaces:
                words += self.rest()
        return words

    def rest(self) -> list[tuple[str, float]]:
        """Return the last word, which no white space has ended."""
        word, self._held = self._held.strip(), ""
        return [(word, self._held_s)] if word else []
