"""`JetStream` and `PullConsumer` against a real nats-server."""

from __future__ import annotations

import asyncio

import pytest

from orastream.base.tasks import end
from orastream.broker import Broker, Headers
from orastream.contract.errors import NodeUnavailable
from orastream.jetstream import pull_consumer
from orastream.jetstream.api import JetStream
from orastream.jetstream.pull_consumer import Delivery, PullConsumer
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = pytest.mark.integration


async def test_delete_returns_false_only_for_a_missing_message(js: JetStream) -> None:
    """`delete` returns False only for a missing message. Otherwise a request could keep its place unnoticed."""
    ack = await js.store(NAMES.request("s"), b"{}")
    assert await js.delete(NAMES.sessions_stream, ack.sequence) is True
    assert await js.delete(NAMES.sessions_stream, ack.sequence) is False
    assert await js.delete(NAMES.sessions_stream, 1_000_000) is False
    with pytest.raises(NodeUnavailable, match="stream not found"):
        await js.delete("NO_SUCH_STREAM", 1)


async def test_ends_read_is_true_only_for_the_last_message_of_a_complete_read(js: JetStream) -> None:
    put, subject = NAMES.put_audio("s", "r"), NAMES.audio("s", "r")
    first, *_, last = [(await js.store(put, b"%d" % number)).sequence for number in range(5)]
    assert [m.ends_read for m in await js.read(NAMES.audio_stream, subject, 0)] == [False] * 4 + [True]
    page = await js.read(NAMES.audio_stream, subject, first, batch=2)
    assert [m.ends_read for m in page] == [False, False], "ends_read is true for a page that the batch size has cut"
    page = await js.read(NAMES.audio_stream, subject, page[-1].sequence, max_bytes=1)
    assert [m.ends_read for m in page] == [False], "ends_read is true for a page that the byte limit has cut"
    for message in (await js.get(NAMES.audio_stream, last), await js.last(NAMES.audio_stream, subject)):
        assert message is not None
        assert not message.ends_read, "ends_read is true for a message that the leader returned"


async def test_lost_pull_request_is_repeated_while_room_is_called(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The subscriber never answers, so not even "no responders" comes."""
    monkeypatch.setattr(pull_consumer, "EXPIRES_S", -0.7)  # plus LATE_S: 0.3 s
    pulls = asyncio.Semaphore(0)

    def on_pull(_subject: str, _reply: str, _data: bytes, _headers: Headers) -> None:
        pulls.release()

    def never(_delivery: Delivery) -> None:
        raise AssertionError("there is nothing to deliver")

    async with Broker(nats_server.url, name="puller") as broker, Broker(nats_server.url, name="silent") as silent:
        await silent.subscribe(f"{pull_consumer.API}.CONSUMER.MSG.NEXT.S.c", on_pull)
        puller = PullConsumer(broker, "S", "c", never, lambda: 1)

        async def call_room_repeatedly() -> None:
            while True:
                await asyncio.sleep(0.05)
                puller.room()

        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            tasks = [group.create_task(puller.run()), group.create_task(call_room_repeatedly())]
            for _ in range(3):
                await pulls.acquire()
            for task in tasks:
                task.cancel()


async def test_full_service_proves_its_consumer_after_a_reconnect(nats_server: NatsServer, broker: Broker) -> None:
    """It requests one message although it has no room. Otherwise it would be unready until it has room."""
    js = JetStream(broker)
    await js.api("STREAM.CREATE.S", {"name": "S", "subjects": ["s.*"]})
    await js.api("CONSUMER.CREATE.S.c", {"stream_name": "S", "config": {"durable_name": "c", "ack_policy": "explicit"}})
    room = 1
    puller = PullConsumer(broker, "S", "c", lambda _delivery: None, lambda: room)
    pulling = asyncio.create_task(puller.run())

    async def proven() -> bool:
        return puller.lacking() is None

    try:
        await until(proven, "the consumer has answered", timeout_s=10)
        room = 0
        nats_server.kill()
        await nats_server.start()
        await until(proven, "the consumer has answered again", timeout_s=20)
    finally:
        await end(pulling)
