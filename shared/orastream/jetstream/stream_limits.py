"""How much each stream may hold, from the settings; and what to do on a server without room for these limits. Pure.

nats-server reserves `max_bytes` of a stream when it creates or updates it. So the streams together cannot fill the
server, and a full one leaves the others their room: heartbeats, reports and audio are stored while TTS_TEXTS is full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS
from orastream.jetstream.api_errors import code_of

AUDIO_MAX_BYTES = 4 << 30
"""Default size of TTS_AUDIO."""
STREAM_MAX_BYTES = 1 << 30
"""Default size of TTS_SESSIONS, TTS_REPORTS and TTS_TEXTS; docs/guide/operator.md ("Sizing") has the calculation."""
HEARD_MAX_BYTES = STREAM_MAX_BYTES // 2
"""Default size of TTS_HEARD, whose oldest records are removed when it is full."""
PHRASES_MAX_BYTES = 256 << 20
"""Default size of the object store of the phrase cache."""
MAX_MESSAGES_PER_TEXT = 131_072
"""Maximum number of pieces of one text, repeated ones included."""
BYTES_PER_CHAR = 12
"""The longest encoding of a character: two escapes of JSON, as for an emoji."""
REST_OF_REQUEST = 64 << 10
"""Bytes of a request or cancel besides its text: headers, the other fields (ids escaped), unknown fields."""
REST_OF_PIECE = 16 << 10
"""Bytes of a piece of text besides the text."""
LARGEST_LIMIT = 2**31 - 1
"""The server reads `max_msg_size` as 32 bits, and refuses a stream with a larger one."""
MAY_LACK_ROOM: dict[str, str] = {
    "SESSIONS": "TTS_SESSIONS_MAX_BYTES",
    "REPORTS": "TTS_REPORTS_MAX_BYTES",
    "HEARD": "TTS_HEARD_MAX_BYTES",
    "TEXTS": "TTS_TEXTS_MAX_BYTES",
}
"""Streams that work without `max_bytes`, too, by the end of their names, and the setting of each. A
server that was large enough before these settings existed must stay large enough."""
_SIZE_SETTINGS = MAY_LACK_ROOM | {"AUDIO": "TTS_AUDIO_MAX_BYTES", "phrases": "TTS_PHRASE_CACHE_MAX_BYTES"}
_NO_ROOM = frozenset(
    (
        10002,  # resource limits exceeded for account
        10005,  # no suitable peers for placement: in a cluster also when their room is too small
        10047,  # insufficient storage resources available
        10122,  # stream max bytes exceeds account limit max stream bytes
    )
)


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What the settings say about the streams (TTS_STREAM_REPLICAS, TTS_…_MAX_BYTES, TTS_MAX_…, TTS_CALLERS)."""

    replicas: int = 1
    audio_retention_s: int = 600
    audio_max_bytes: int = AUDIO_MAX_BYTES
    sessions_max_bytes: int = STREAM_MAX_BYTES
    reports_max_bytes: int = STREAM_MAX_BYTES
    heard_max_bytes: int = HEARD_MAX_BYTES
    texts_max_bytes: int = STREAM_MAX_BYTES
    max_pending_per_session: int = 64
    max_text_chars: int = DEFAULT_MAX_TEXT_CHARS
    callers: tuple[str, ...] = ()
    """The NATS accounts of callers. Each has a subject of its own for requests (`contract/caller.py`)."""

    @property
    def max_request_bytes(self) -> int:
        """Largest stored request or cancel, headers included."""
        return min(LARGEST_LIMIT, BYTES_PER_CHAR * self.max_text_chars + REST_OF_REQUEST)

    @property
    def max_piece_bytes(self) -> int:
        """Largest stored piece of a text, headers included. A piece may hold a whole text."""
        return min(LARGEST_LIMIT, BYTES_PER_CHAR * self.max_text_chars + REST_OF_PIECE)


def room_setting(stream: str) -> str | None:
    """The setting for the size of a stream that works without `max_bytes`, too; None for another stream."""
    return MAY_LACK_ROOM.get(stream.rpartition("_")[2])


def size_setting(stream: str) -> str | None:
    """The setting for the size of a stream; None for a stream without a size."""
    return _SIZE_SETTINGS.get(stream.rpartition("_")[2])


def without_reserve(
    config: Mapping[str, Any], error: Mapping[str, Any], there: Mapping[str, Any]
) -> dict[str, Any] | None:
    """`config` with the `max_bytes` of the present configuration `there`, if the server lacks room for the new one.

    `error` is the server's answer to `config`. None if it means something else, or the stream must have a limit and has
    none yet. A server that has reserved more than it may (its disk became smaller) refuses a smaller limit, too.
    """
    kept = int(there.get("max_bytes", -1))
    if code_of(error) not in _NO_ROOM or config.get("max_bytes") == kept:
        return None
    if kept <= 0 and room_setting(config["name"]) is None:
        return None
    return {**config, "max_bytes": kept}
