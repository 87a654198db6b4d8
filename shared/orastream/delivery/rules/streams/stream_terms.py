"""What a stream of protocol v2 is asked for, its states and limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from orastream.contract.audio_messages import AudioStart

SILENT_S = 10.0
"""How long OraServer may give no answer about an unfinished stream, or to a cancel."""


STUCK_S = 60.0
"""How long OraServer may answer without storing one more byte although there is something to send, or let a stream wait
until it takes it."""


class StreamState(Enum):
    """See the table "States" of docs/reference/oraserver-v2.md."""

    WAITING = "it is not opened: OraServer has as many streams as it takes, is busy, or has not said hello"
    OPENING = "`open` was sent, and the answer says where to begin"
    SENDING = "audio may be sent"
    ENDED = "all that there is, and `end`, were sent"
    DELIVERED = "OraServer has stored everything"
    DROPPED = "it was cancelled, or given up by this bridge"
    BROKEN = "`fault` says why"


FINAL = (StreamState.DELIVERED, StreamState.DROPPED, StreamState.BROKEN)
"""A tuple: a set would call the hash of `Enum`, which is written in Python."""


@dataclass(frozen=True, slots=True)
class StreamFault:
    """Why a stream has broken. `code` is that of OraServer's `error`, None if it sent none."""

    reason: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """The utterance of a stream."""

    session: str
    phone: str
    request: str
    seq: int
    epoch: int
    start: AudioStart
    acked: int = 0
    """Bytes that OraServer has confirmed, as the report says."""
    fresh: bool = False
    """Nobody can have sent any of it."""
    paced_until: float = float("inf")
    """Until when (monotonic seconds) the bridge may wait until the listener has played some of it."""


@dataclass(slots=True)
class SendingLimits:
    """Settings of a connection."""

    max_frame_bytes: int = 32 << 10
    max_lead_s: float = 8.0
    crc: bool = False
    """Whether OraServer wants checksums."""


class LinkPace(NamedTuple):
    """What the connection knows about itself when a frame is taken."""

    ack_s: float
    link_bytes_per_s: float | None
    surely_bytes_per_s: float
    competing: bool
