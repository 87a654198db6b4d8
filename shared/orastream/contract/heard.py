"""What a listener has heard of a request: the record under `tts.heard.<session>.<request>`, and who may replace it.

Pure. It contains text of the request, so reading it has a permission of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orastream.contract import codec
from orastream.contract.codec import Encoding, Map
from orastream.contract.errors import Undecodable
from orastream.contract.stored_requests import Message

HeardBy = Literal["played", "sent", "unknown"]
"""How `playedMs` is known. `played`: OraServer has reported it (protocol v2 with `played`). `sent`: estimated from when
the audio was sent, for a phone that plays at once and drops what it has at a cancel. `unknown`: not at all."""
Cut = Literal["words", "proportion"]
"""How the end of `heardText` was found: by the times of the words, or in proportion to the sentence's characters."""


class Heard(BaseModel):
    """What a listener has heard of one request. With `done` false it is still heard, and only the ids are known.

    A record that is done is written again if a cancel shows that less was heard.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True)

    request_id: str = Field(alias="requestId")
    session_id: str = Field(alias="sessionId")
    request_seq: int = Field(alias="requestSeq")
    """Sequence of the request: a record of a later request with the same id replaces that of an earlier one."""
    epoch: int = 0
    """Epoch of the ownership of the bridge that wrote it; a lower one never replaces it. 0: written by synth."""
    done: bool
    """Nothing more of the request will be heard."""
    heard_by: HeardBy = Field(alias="heardBy")
    played_ms: int | None = Field(None, alias="playedMs", ge=0)
    """Milliseconds of the utterance that were heard. None: unknown, or not `done`."""
    heard_text: str | None = Field(None, alias="heardText")
    """The text up to the end of the last word that was heard, as it was written. None like `played_ms`."""
    unheard_text: str | None = Field(None, alias="unheardText")
    """The rest of the text as far as it is known: of a text stream, what synth has read. None like `played_ms`."""
    cut: Cut | None = None
    """How the end of `heard_text` was found; None if it is not within a sentence."""
    cancel_seq: int | None = Field(None, alias="cancelSeq")
    """Sequence of the cancel, or of the request with `supersede`, that has ended it; None if it ended by itself."""

    def with_(self, **changes: Any) -> Heard:
        """Return a copy with some fields changed."""
        return self.model_copy(update=changes)

    def to_map(self) -> Map:
        """Return all fields of the record as on the wire, absent ones as None."""
        return self.model_dump(by_alias=True)

    def encode(self, encoding: Encoding) -> bytes:
        """Encode the record. `encoding` is that of its request."""
        return codec.encode(self.to_map(), encoding)

    @classmethod
    def decode(cls, payload: bytes) -> Heard:
        """Decode a record. Raises Undecodable."""
        try:
            return cls.model_validate(codec.decode(payload), by_alias=True, by_name=False)
        except ValidationError as exc:
            raise Undecodable(str(exc)) from None


@dataclass(frozen=True, slots=True)
class HeardState:
    """A stored record, its stream sequence (`revision`) and its time in unix seconds of the server's clock."""

    heard: Heard
    revision: int
    stored_at_s: float
    encoding: Encoding = "json"


def heard_state_of(stored: Message) -> HeardState | None:
    """Return the record in a stored message, or None if it cannot be decoded."""
    try:
        return HeardState(Heard.decode(stored.data), stored.sequence, stored.time_s, codec.encoding_of(stored.data))
    except Undecodable:
        return None


def surely_done(payload: bytes) -> bool:
    """Whether a stored record is done, seen without decoding it. False: it may be done all the same.

    No text in it can look like that: JSON escapes its quotation marks.
    """
    return payload.startswith(b"{") and b'"done":true' in payload


def left_undone(states: Iterable[HeardState], epoch: int) -> list[tuple[HeardState, float]]:
    """Return the records of one session that owners before this `epoch` have not finished, in order of the requests.

    With each, when its play began (unix seconds of the server's clock), if it was alone: when its first audio was sent,
    or when the record of an utterance before it was done, if that was later.
    """
    found, free_at_s = [], float("-inf")
    for state in sorted(states, key=lambda one: one.heard.request_seq):
        heard = state.heard
        if not heard.done and heard.epoch < epoch:
            found.append((state, max(state.stored_at_s, free_at_s)))
        elif heard.done and heard.heard_by != "unknown":
            free_at_s = max(free_at_s, state.stored_at_s)
    return found


def may_replace(stored: Heard, mine: Heard) -> bool:
    """Whether `mine` may replace the stored record: it is of a later request, or of the same one and no older owner."""
    if stored.request_seq != mine.request_seq:
        return stored.request_seq < mine.request_seq
    return stored.epoch <= mine.epoch
