"""Consumers are created with the name and the filter of their configuration, on a real nats-server."""

from __future__ import annotations

from typing import Any

import pytest

from orastream.contract.errors import NodeUnavailable
from orastream.jetstream import management
from orastream.jetstream.api import JetStream
from orastream.jetstream.tally import Tally, tally
from tests.support.names import NAMES

pytestmark = pytest.mark.integration

FILTER = {"filter_subject": NAMES.session_cancel("s")}
NODES_OWN = 3
"""The consumers of synth and of both bridges."""


@pytest.mark.parametrize("named", [{"durable_name": "c"}, {"name": "c"}, {}])
@pytest.mark.parametrize("filtered", [FILTER, {"filter_subjects": [NAMES.session_cancel("s"), "tts.no"]}, {}])
async def test_a_consumer_is_created(js: JetStream, named: dict[str, Any], filtered: dict[str, Any]) -> None:
    config = {"ack_policy": "none", "mem_storage": True, **named, **filtered}
    for _ in range(2):
        made = management.checked("c", await management.create_consumer(js, NAMES.sessions_stream, config), "name")
        assert made["name"] == "c" or not named
        assert filtered.items() <= made["config"].items()
    answer = await management.stream_info(js, NAMES.sessions_stream)
    count = management.checked(NAMES.sessions_stream, answer, "state")["state"]["consumer_count"]
    assert count == NODES_OWN + (1 if named else 2)


async def test_a_count(js: JetStream) -> None:
    subject = NAMES.audio("s", "r")
    assert (await tally(js, NAMES.audio_stream, subject)).messages == 0
    ack = await js.store(NAMES.put_audio("s", "r"), b"x")
    assert await tally(js, NAMES.audio_stream, subject) == Tally(ack.sequence, 1)
    with pytest.raises(NodeUnavailable, match="^NO_SUCH_STREAM: stream not found"):
        await tally(js, "NO_SUCH_STREAM", subject)
