"""Asks whether the stream of audio is full. Not in `UtteranceRunner`, because it needs none of its state."""

from __future__ import annotations

from orastream.base import logger
from orastream.contract.errors import NodeUnavailable
from orastream.delivery.rules.audio_room import is_full
from orastream.delivery.rules.entry import Entry
from orastream.delivery.runtime.outcomes import AudioRoomSeen
from orastream.jetstream import management
from orastream.jetstream.api import JetStream

ASK_TIMEOUT_S = 2.0

log = logger.named(__name__)


async def ask_audio_room(js: JetStream, entry: Entry) -> AudioRoomSeen:
    """Ask the leader of TTS_AUDIO how full the stream is. Cancel-safe."""
    try:
        fill = await management.fill(js, js.names.audio_stream, patience_s=ASK_TIMEOUT_S)
    except NodeUnavailable:
        return AudioRoomSeen(entry, None)
    full = is_full(fill.stored_bytes, fill.max_bytes)
    if full:
        log.debug("the stream of audio is full; synth and this bridge wait", request=entry.stored.request_id)
    return AudioRoomSeen(entry, full)
