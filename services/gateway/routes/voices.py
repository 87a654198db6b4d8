"""`/api/voices`: what the node can speak."""

from __future__ import annotations

from orastream.client.async_client import Client
from orastream.contract.codec import Map
from services.gateway.http.responses import Answer

NOBODY = "no synth is running; until one is, nothing is spoken"


async def answer(client: Client) -> Answer:
    """200 with the voices, by engine; with a `message` besides when there is no synth. Raises NodeUnavailable."""
    voices = [voice.to_map() for voice in await client.voices()]
    body: Map = {"voices": voices}
    return Answer(200, body if voices else body | {"message": NOBODY}, "found" if voices else "nobody")
