"""A real write into each of the node's streams, and a real pull, for `doctor`. No service acts on these messages.

Each message is deleted at once. The bridges also delete a cancel of a session that has no requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from orastream.base import tasks
from orastream.contract.errors import NodeUnavailable, OrastreamError, PublishRefused
from orastream.contract.heard import Heard
from orastream.contract.messages import Report
from orastream.contract.names import Names
from orastream.jetstream import management
from orastream.jetstream.api import JetStream
from orastream.jetstream.api_errors import described
from orastream.jetstream.pull_consumer import Delivery, PullConsumer

NAME = "orastream-doctor"
"""Session and request of the messages."""
PATIENCE_S = 2.0
PULL_S = 0.5
"""How long to wait for one message. A bridge may delete it before it is delivered; then another one is stored."""
ELECTION_S = 15.0
"""How long to repeat that: during a leader election pulls stall for some seconds."""
_REPORT = Report(request_id=NAME, session_id=NAME, request_seq=0, status="cancelled")
_HEARD = Heard(request_id=NAME, session_id=NAME, request_seq=0, done=True, heard_by="unknown")


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a write or a pull. `refused`: the error, empty on success. `silent`: there was no answer."""

    refused: str = ""
    silent: bool = False


def _messages(names: Names) -> dict[str, tuple[str, bytes]]:
    return {
        names.sessions_stream: (names.cancel(NAME), b""),
        names.audio_stream: (names.put_audio(NAME, NAME), b""),
        names.reports_stream: (names.put_report(NAME, NAME), bytes(_REPORT.encode("json"))),
        names.heard_stream: (names.put_heard(NAME, NAME), _HEARD.encode("json")),
        names.texts_stream: (names.text(NAME, NAME), b""),
        names.owners_stream: (names.owner_key("doctor", NAME), b"{}"),
        names.heartbeats_stream: (names.heartbeat_key(NAME), b"{}"),
    }


async def write(js: JetStream, stream: str) -> Trial:
    """Store a message in the stream and delete it again. Raises nothing: errors are in the result."""
    subject, data = _messages(js.names)[stream]
    try:
        ack = await js.store(subject, data, patience_s=PATIENCE_S)
        await js.delete(stream, ack.sequence)
    except NodeUnavailable as exc:
        return Trial(str(exc), silent=True)
    except PublishRefused as exc:
        return Trial(str(exc))
    return Trial()


async def pull(js: JetStream) -> Trial:
    """Pull a message of TTS_SESSIONS with a new consumer, which the server deletes if this process dies."""
    subject = js.names.session_cancel(NAME)
    # Without a name, a create that is repeated because its answer was lost would leave a second consumer.
    consumer = f"{NAME}-{uuid.uuid4().hex}"
    config = {
        "name": consumer,
        "filter_subject": subject,
        "ack_policy": "none",
        "deliver_policy": "new",
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": 30_000_000_000,
    }
    try:
        made = await management.create_consumer(js, js.names.sessions_stream, config, patience_s=PATIENCE_S)
        if "name" not in made:
            return Trial(described(made.get("error", {})))
        try:
            return await _pulled(js, consumer)
        finally:
            with contextlib.suppress(NodeUnavailable):
                await management.delete_consumer(js, js.names.sessions_stream, consumer, patience_s=PATIENCE_S)
    except OrastreamError as exc:
        return Trial(str(exc), silent=True)


async def _pulled(js: JetStream, consumer: str) -> Trial:
    came = asyncio.Event()

    def on_delivery(_delivery: Delivery) -> None:
        came.set()

    pull_consumer = PullConsumer(js.broker, js.names.sessions_stream, consumer, on_delivery, lambda: 1)
    pulling = asyncio.create_task(pull_consumer.run())
    try:
        deadline = asyncio.get_running_loop().time() + ELECTION_S
        while asyncio.get_running_loop().time() < deadline:
            # The pull request must be there before the write: a bridge soon deletes the message.
            await _until(lambda: pull_consumer.lacking() is None)
            ack = await js.store(*_messages(js.names)[js.names.sessions_stream], patience_s=PATIENCE_S)
            await _until(came.is_set)
            await js.delete(js.names.sessions_stream, ack.sequence)
            if came.is_set():
                return Trial()
    finally:
        await tasks.end(pulling)
    return Trial(pull_consumer.lacking() or "the stored message was not delivered", silent=True)


async def _until(done: Callable[[], bool]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PULL_S):
            while not done():  # noqa: ASYNC110 - PullConsumer has no event for it
                await asyncio.sleep(0.01)
