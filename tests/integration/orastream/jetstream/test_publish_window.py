"""`PublishWindow` against a real nats-server: messages that nobody received, and messages of a lost connection."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from orastream.broker import Broker
from orastream.jetstream import management
from orastream.jetstream.api import JetStream
from orastream.jetstream.publish_window import TICK_S, PublishWindow
from orastream.jetstream.topology import StreamLimits, stream_configs
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs

pytestmark = pytest.mark.integration

NEVER_S = 60.0
"""An ack timeout that no test waits for: only the cause under test may lead to a resend."""
AUDIO = next(
    c for c in stream_configs(NAMES, StreamLimits(audio_max_bytes=64 << 20)) if c["name"] == NAMES.audio_stream
)


async def test_a_message_that_no_stream_received_is_sent_again_soon(broker: Broker) -> None:
    """As in an election: "no responders" comes at once, and the ack timeout must not run out first."""
    js = JetStream(broker)
    async with PublishWindow(broker, ack_timeout_s=NEVER_S) as window, asyncio.timeout(10):
        await window.put(NAMES.put_audio("s", "r"), b"chunk", "one")
        await asyncio.sleep(0.5)
        assert not window.idle
        await management.create_stream(js, AUDIO)
        created_at = time.monotonic()
        await window.flush()
        assert time.monotonic() - created_at < 3.0
    last = await js.last(NAMES.audio_stream, NAMES.audio("s", "r"))
    assert last is not None and last.data == b"chunk"


async def test_messages_of_a_lost_connection_are_sent_again_at_once(
    nats_server: NatsServer, tmp_path: Path, logs: Logs, js: JetStream
) -> None:
    """nats-server dies with the message unread; its successor on the same port has the data."""
    async with PublishWindow(js.broker, ack_timeout_s=NEVER_S) as window, asyncio.timeout(20):
        nats_server.freeze()
        for number in range(3):
            await window.put(NAMES.put_audio("s", "r"), b"%d" % number, str(number))
        await asyncio.sleep(0.2)
        nats_server.kill()
        await nats_server.start()
        await window.flush()
    stored = await js.read(NAMES.audio_stream, NAMES.audio("s", "r"), 0)
    assert sorted(message.data for message in stored) == [b"0", b"1", b"2"], "each is stored once"


async def test_a_window_without_late_messages_needs_no_task_and_no_timer(js: JetStream) -> None:
    """Each utterance has a window. A task for it would cost as much as two chunks."""
    await management.create_stream(js, AUDIO)
    before = asyncio.all_tasks()
    async with PublishWindow(js.broker) as window, asyncio.timeout(10):
        assert window._timer is None
        for number in range(3):
            await window.put(NAMES.put_audio("s", "r"), b"%d" % number, str(number))
            await window.flush()
            assert asyncio.all_tasks() == before
        await asyncio.sleep(2 * TICK_S)
        assert window._timer is None and asyncio.all_tasks() == before
