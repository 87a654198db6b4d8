"""Another caller who publishes first under a message id that can be guessed takes nothing from this client's calls."""

from __future__ import annotations

import pytest

from orastream.client.async_client import Client
from orastream.contract import codec
from orastream.contract.text_pieces import TextPiece
from orastream.jetstream.api import JetStream
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

GUESSED = "victim.order-17"
"""The ids that all clients used: tokens of session and request, and the index of a piece."""


async def thieves(server: NatsServer) -> None:
    """A caller stores messages of a session of his own under the ids of another one's messages."""
    async with server.connect() as nc:
        own = codec.encode({"text": "x", "sessionId": "own", "phoneId": "p", "requestId": "r"}, "json")
        for subject, data, guess in (
            (NAMES.request("own"), own, GUESSED),
            *((NAMES.text("own", "r"), TextPiece(n, "x").encode(), f"{GUESSED}.{n}") for n in range(3)),
        ):
            ack = await nc.request(subject, data, headers={"Nats-Msg-Id": guess}, timeout=5)
            assert b'"duplicate"' not in ack.data and b'"seq"' in ack.data


async def test_request_of_another_caller_is_stored(nats_server: NatsServer, js: JetStream, client: Client) -> None:
    await thieves(nats_server)
    ids = {"sessionId": "victim", "phoneId": "p", "requestId": "order-17"}
    acceptance, _ = await client.submit({"text": "안녕하세요.", **ids})
    stored = await js.get(NAMES.sessions_stream, acceptance.request_seq)
    assert not acceptance.duplicate
    assert stored is not None and stored.subject == NAMES.session_request("victim")
    # A call that this process repeats is still stored once.
    again, _ = await client.submit({"text": "안녕하세요.", **ids})
    assert (again.duplicate, again.request_seq) == (True, acceptance.request_seq)


async def test_pieces_of_another_caller_are_stored(nats_server: NatsServer, js: JetStream, client: Client) -> None:
    await thieves(nats_server)
    async with client.utterance(session_id="victim", phone_id="p", request_id="order-17") as utterance:
        await utterance.write("안녕")
        await utterance.write("하세요.")

    async def all_stored() -> bool:
        return len(await js.read(NAMES.texts_stream, NAMES.script("victim", "order-17"), 0)) == 3

    await until(all_stored, "both pieces and the end are stored")
