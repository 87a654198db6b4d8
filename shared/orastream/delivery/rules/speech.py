"""What OraServer gets about an utterance besides its audio: the metadata of its frames, and its end. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orastream.contract.audio_messages import AudioStart
from orastream.contract.stored_requests import StoredRequest

EndedStatus = Literal["cancelled", "failed"]
"""How an utterance has ended that needs an end frame."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What a link needs to frame an utterance: the caller's ids, the token of the request id, and the text.

    The `text` of a chunk or of `complete`, if it has one, takes precedence over this `text`. If this one is empty, it
    is that of the audio's `start` (`redeliverOf`). `with_rate`: the metadata have the sample rate.
    """

    session_id: str
    phone_id: str
    request_id: str
    token: str
    text: str
    with_rate: bool = False

    @classmethod
    def of(cls, stored: StoredRequest, *, with_rate: bool) -> Speech:
        """Return the speech of a valid stored request."""
        assert (request := stored.request) is not None, "only a valid request is delivered"
        text = "" if request.redeliver_of is not None else request.text  # then it is that of the audio's `start`
        return cls(request.session_id, request.phone_id, stored.request_id, stored.token, text, with_rate)

    def metadata(self, start: AudioStart, text: str | None) -> dict[str, str | int]:
        """Return the `metadata` of a frame or POST. `text` is that of the chunk or of `complete`, if it has one."""
        found: dict[str, str | int] = {
            "sessionId": self.session_id,
            "requestId": self.request_id,
            "phoneId": self.phone_id,
            "text": text if text is not None else self.text or start.text or "",
            "engine": start.engine,
            "language": start.language,
        }
        return found | {"sampleRate": start.sample_rate_hz} if self.with_rate else found


@dataclass(frozen=True, slots=True)
class SpeechEnd:
    """The contents of an end frame: the utterance has ended with `status`.

    `text` is the text of a streamed text as far as it is known, None if the request contained it.
    """

    speech: Speech
    start: AudioStart
    status: EndedStatus
    text: str | None = None
