"""`/api/voices`: the voices of the node."""

from __future__ import annotations

from orastream.client.async_client import Client
from orastream.contract.codec import Map
from services.gateway.http.responses import Answer

NOBODY = "no synth is running; nothing is spoken until one is started"


async def answer(client: Client) -> Answer:
    """200 with the voices, by engine, and with a `message` when no synth runs. Raises NodeUnavailable."""
    voices = [voice.to_map() for voice in await client.voices()]
    body: Map = {"voices": voices}
    return Answer(200, body if voices else body | {"message": NOBODY}, "found" if voices else "nobody")
