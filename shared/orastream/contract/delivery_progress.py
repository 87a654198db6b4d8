"""How far the delivery of an utterance is now: the message on `tts.progress.<session>.<request>`, which is not stored.

Pure. It contains no text of the request.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orastream.contract import codec
from orastream.contract.codec import Encoding, Map
from orastream.contract.errors import Undecodable
from orastream.contract.heard import HeardBy


class DeliveryProgress(BaseModel):
    """What of an utterance was sent, acknowledged and played when the message was published. Times in milliseconds."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True)

    request_id: str = Field(alias="requestId")
    session_id: str = Field(alias="sessionId")
    request_seq: int = Field(alias="requestSeq")
    """Sequence of the request: a message about a later request with the same id is about another utterance."""
    sent_ms: int = Field(alias="sentMs", ge=0)
    """The audio up to this time of the utterance was sent to OraServer."""
    acked_ms: int = Field(alias="ackedMs", ge=0)
    """The audio up to this time was acknowledged by OraServer."""
    played_ms: int | None = Field(None, alias="playedMs", ge=0)
    """The audio up to this time was played to the listener. None: unknown."""
    played_by: HeardBy = Field("unknown", alias="playedBy")
    """How `played_ms` is known: reported by OraServer (`played`), estimated (`sent`), or not at all (`unknown`)."""
    total_ms: int | None = Field(None, alias="totalMs", ge=0)
    """Length of the whole utterance. None until all its audio is made, and if its synthesis has failed."""
    retransmitted_bytes: int = Field(0, alias="retransmittedBytes", ge=0)
    """Bytes of audio that this bridge has sent more than once."""
    done: bool = False
    """The play has ended, or was cut: this is the last message about the utterance."""

    def to_map(self) -> Map:
        """Return all fields as on the wire, absent ones as None."""
        return self.model_dump(by_alias=True)

    def encode(self, encoding: Encoding) -> bytes:
        """Encode the message. `encoding` is that of its request."""
        return codec.encode(self.to_map(), encoding)

    @classmethod
    def decode(cls, payload: bytes) -> DeliveryProgress:
        """Decode a message. Raises Undecodable."""
        try:
            return cls.model_validate(codec.decode(payload), by_alias=True, by_name=False)
        except ValidationError as exc:
            raise Undecodable(str(exc)) from None
