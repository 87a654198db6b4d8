"""Whether an attempt still counts, and when its synth may ack or nak the delivery, on a real nats-server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioMessage, AudioStart
from orastream.contract.names import SYNTH
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream
from orastream.jetstream.publish_window import PublishWindow
from orastream.jetstream.pull_consumer import Delivery, PullConsumer
from orastream.jetstream.stream_limits import StreamLimits
from orastream.jetstream.tally import tally
from orastream.service.keeper import StreamKeeper
from services.synth.job.attempt import Attempt, AudioLost, end_latest, first_attempt, open_attempt
from services.synth.job.audio_reader import AudioReader
from services.synth.job.hold import Hold, Superseded
from services.synth.job.standing import Evidence, evidence_of
from tests.support.ending import store_request
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = pytest.mark.integration

PUT = NAMES.put_audio("s", "r")
RETENTION_S = 600.0


def start_of(stored: StoredRequest) -> AudioStart:
    return AudioStart(stored.sequence, "pcm16", 16_000, 1, "choir", "en-US")


async def begin(js: JetStream, stored: StoredRequest) -> Attempt:
    """Open the first attempt, as the claim does."""
    start = start_of(stored)
    ack = await js.store(NAMES.put_audio(stored.session, stored.token), start.pack(), expect_last=0)
    return first_attempt(js, stored, start, ack.sequence, RETENTION_S)


async def begin_another(js: JetStream, stored: StoredRequest) -> Attempt:
    opened = await open_attempt(js, stored, start_of(stored), RETENTION_S)
    assert isinstance(opened, Attempt)
    return opened


async def write(js: JetStream, attempt: Attempt, *messages: AudioMessage) -> None:
    """Publish messages of the attempt, as `narrate` does."""
    async with PublishWindow(js.broker, on_stored=attempt.trail.on_stored, ack_timeout_s=0.5) as window:
        for message in messages:
            attempt.trail.on_sent()
            await window.put(PUT, message.pack(), attempt.message_id(getattr(message, "index", "end")))
        await window.flush()


def chunks(attempt: Attempt, count: int) -> list[AudioMessage]:
    first = attempt.progress.next_index
    return [AudioChunk(attempt.sequence, index, 0, 0, b"ab" * 8000) for index in range(first, first + count)]


def end(attempt: Attempt, total: int) -> AudioEnd:
    return AudioEnd(attempt.sequence, "complete", total, total * 16_000, 0.0)


async def evidence(js: JetStream, attempt: Attempt) -> Evidence:
    trail = replace(attempt.trail)
    return evidence_of(trail, attempt.trail, await tally(js, NAMES.audio_stream, NAMES.audio("s", "r")))


async def has(some: Sequence[object], count: int) -> bool:
    return len(some) >= count


async def test_message_count_proves_the_attempt_while_no_other_synth_writes(js: JetStream) -> None:
    """Also for a later attempt that continues an earlier one, and for one that has stored `waiting` messages."""
    stored = await store_request(js)
    attempt = await begin(js, stored)
    assert await evidence(js, attempt) is Evidence.ALONE
    await write(js, attempt, *chunks(attempt, 3))
    await attempt.show_waiting()
    assert await evidence(js, attempt) is Evidence.ALONE
    second = await begin_another(js, stored)
    assert second.progress.next_index == 3
    await write(js, second, *chunks(second, 70), end(second, 73))
    await second.show_waiting()
    assert await evidence(js, second) is Evidence.ALONE
    assert await second.counts(proven=True)
    assert not await attempt.counts(proven=True)


async def test_resent_messages_are_counted_once(js: JetStream, nats_server: NatsServer) -> None:
    """The server is killed while the window is full; the window resends the messages without an ack."""
    stored = await store_request(js)
    attempt = await begin(js, stored)
    writing = asyncio.create_task(write(js, attempt, *chunks(attempt, 400), end(attempt, 400)))

    async def some_are_stored() -> bool:
        return attempt.trail.stored > 20

    await until(some_are_stored, "more than 20 messages are stored", poll_s=0.0)
    nats_server.kill()
    await nats_server.start()
    await writing
    assert js.broker.repairs.resent > 0
    assert await evidence(js, attempt) is Evidence.ALONE


async def test_later_start_supersedes_the_attempt_unless_its_end_was_complete(js: JetStream) -> None:
    stored = await store_request(js)
    attempt = await begin(js, stored)
    await write(js, attempt, *chunks(attempt, 2))
    second = await begin_another(js, stored)
    await write(js, attempt, *chunks(attempt, 3)[2:], end(attempt, 3))
    assert not await attempt.counts(proven=True), (
        "the first attempt counts, although its last messages came after the start of the second one"
    )
    assert await second.counts(proven=True), "late messages of the first attempt superseded the second one"
    await write(js, second, *chunks(second, 1), end(second, 3))
    assert await second.counts(proven=True)
    assert not await attempt.counts(proven=False), "the first attempt counts; only the second one may ack"
    await js.store(PUT, start_of(stored).pack())
    assert await second.counts(proven=True), "a start after a complete end superseded the attempt"


async def test_start_of_another_request_with_the_same_id_does_not_supersede_the_attempt(js: JetStream) -> None:
    stored = await store_request(js)
    attempt = await begin(js, stored)
    await js.store(PUT, replace(start_of(stored), request_seq=stored.sequence + 1).pack())
    assert await attempt.counts(proven=True)


async def test_cancel_ends_the_latest_attempt(js: JetStream) -> None:
    """Another synth opens an attempt at the same time: the audio still ends."""
    requests = [await store_request(js, f"r{number}") for number in range(30)]
    for stored in requests:
        await begin(js, stored)
    ending = [end_latest(js, stored, None) for stored in requests]
    opening = [open_attempt(js, stored, start_of(stored), RETENTION_S) for stored in requests]
    await asyncio.gather(*(both for pair in zip(opening, ending, strict=True) for both in pair))
    for stored in requests:
        reader = AudioReader(js, stored)
        await reader.read()
        finished = reader.progress.finished
        assert finished is not None and finished.status == "cancelled"


async def test_superseded_synth_sends_neither_ack_nor_nak(js: JetStream) -> None:
    """Its nak would take the request from the synth that has the newest delivery."""
    stored = await store_request(js)
    deliveries: list[Delivery] = []
    puller = asyncio.create_task(
        PullConsumer(js.broker, NAMES.sessions_stream, SYNTH, deliveries.append, lambda: 1).run()
    )
    try:
        await until(lambda: has(deliveries, 1), "a delivery")
        hold = Hold(deliveries[0])
        hold.attempt = await begin(js, stored)
        await hold.redeliver(0)
        await until(lambda: has(deliveries, 2), "another delivery after a nak: the attempt counted")
        second = Hold(deliveries[1])
        second.attempt = await begin_another(js, stored)
        await hold.redeliver(0)
        with pytest.raises(Superseded):
            async with asyncio.timeout(10):
                await hold.keep()
        with pytest.raises(Superseded):
            await hold.forget(hold.attempt)
        with pytest.raises(Superseded):
            await hold.confirmed(hold.attempt, end(hold.attempt, 0))
        assert len(deliveries) == 2, "the superseded synth took the request from the second one"
        await second.redeliver(0)
        await until(lambda: has(deliveries, 3), "a delivery after the nak of the attempt that counts")
    finally:
        puller.cancel()
        await asyncio.wait({puller})


async def test_no_nak_is_sent_while_it_is_unknown_which_synth_has_the_request(
    js: JetStream, nats_server: NatsServer
) -> None:
    """A nak would stay in the client's buffer and be sent when another synth has the request."""
    stored = await store_request(js)
    message = await js.get(NAMES.sessions_stream, stored.sequence)
    assert message is not None
    answers: list[bytes] = []
    delivery = Delivery(js.broker, message.subject, message.data, "answers", message.sequence, message.time_ns, 1)
    await js.broker.subscribe("answers", lambda _subject, _reply, data, _headers: answers.append(data))
    hold = Hold(delivery)
    hold.attempt = await begin(js, stored)
    nats_server.kill()
    await hold.redeliver(0)
    await nats_server.start()
    await js.broker.wait_connected(30)
    await js.broker.round_trip()
    assert answers == []
    await hold.redeliver(0)
    await until(lambda: has(answers, 1), "a nak after the reconnect")


async def lose_the_audio(js: JetStream) -> None:
    await js.api(f"STREAM.DELETE.{NAMES.audio_stream}")
    await StreamKeeper(js, StreamLimits(audio_max_bytes=64 << 20)).ensure()


async def test_lost_audio_raises_instead_of_proving_the_attempt(js: JetStream) -> None:
    """Else an utterance with transport `none` would be reported as delivered without its first chunks."""
    stored = await store_request(js)
    attempt = await begin(js, stored)
    await write(js, attempt, *chunks(attempt, 2))
    await lose_the_audio(js)
    await write(js, attempt, end(attempt, 2))
    with pytest.raises(AudioLost):
        await attempt.counts(proven=True)
    again = await begin_another(js, stored)
    assert again.progress.next_index == 0 and await again.counts(proven=True)


async def test_cancel_ends_the_audio_after_a_loss(js: JetStream) -> None:
    stored = await store_request(js)
    await begin(js, stored)
    await lose_the_audio(js)
    assert (await end_latest(js, stored, None)).status == "cancelled"


async def test_start_that_may_have_expired_is_not_reported_as_lost(js: JetStream) -> None:
    """The text is streamed for longer than the stream keeps the audio."""
    stored = await store_request(js)
    start = start_of(stored)
    ack = await js.store(PUT, start.pack(), expect_last=0)
    attempt = first_attempt(js, stored, start, ack.sequence, retention_s=0.0)
    await js.delete(NAMES.audio_stream, ack.sequence)
    await write(js, attempt, *chunks(attempt, 1))
    assert await attempt.counts(proven=True)
