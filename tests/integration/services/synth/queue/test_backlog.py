"""The backlog on a real nats-server: an answer that is an error is not an empty backlog."""

from __future__ import annotations

import pytest

from orastream.client.async_client import Client
from orastream.contract.errors import NodeUnavailable
from orastream.contract.names import SYNTH
from orastream.jetstream import management
from orastream.jetstream.api import JetStream
from services.synth.queue.backlog import Backlog
from tests.support.names import NAMES

pytestmark = pytest.mark.integration


async def test_backlog_keeps_its_value_when_the_consumer_is_missing(js: JetStream, client: Client) -> None:
    """The metric that scales synth keeps its value; 0 would say that there is no work."""
    await client.say("one", session_id="s", phone_id="p")
    backlog = Backlog(js)
    await backlog.look()
    limit = backlog.audio_max_bytes
    assert backlog.requests == 1 and limit > 0
    await management.delete_consumer(js, NAMES.sessions_stream, SYNTH)
    with pytest.raises(NodeUnavailable, match="synth: "):
        await backlog.look()
    assert (backlog.requests, backlog.audio_max_bytes) == (1, limit)
