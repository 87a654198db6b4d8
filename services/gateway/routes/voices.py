"""`/api/voices`: the voices of the node."""

from __future__ import annotations

from orastream.contract.codec import Map
from services.gateway.http.responses import Answer
from services.gateway.known_voices import KnownVoices

NOBODY = "no synth is running; nothing is spoken until one is started"


async def answer(known: KnownVoices) -> Answer:
    """200 with the voices, by engine, and with a `message` when no synth runs. Raises NodeUnavailable."""
    voices = [voice.to_map() for voice in await known.get()]
    body: Map = {"voices": voices}
    return Answer(200, body if voices else body | {"message": NOBODY}, "found" if voices else "nobody")
