"""`HeardWriter`: a record is stored although NATS was away, and that of a newer owner is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orastream.broker import Broker
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.messages import SpeakRequest
from orastream.contract.stored_requests import StoredRequest
from orastream.delivery.rules.heard_book import HeardBook, PlayingUtterance
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.runtime.background import Background
from orastream.delivery.runtime.heard_writer import HeardWriter
from orastream.delivery.runtime.ownership import Ownership
from orastream.jetstream.api import JetStream
from orastream.jetstream.heard_store import HeardStore
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.denying_server import denying_server, violations
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration


def playing(sequence: int, **changes: object) -> PlayingUtterance:
    body = SpeakRequest(text="네.", session_id="s", phone_id="p")
    ids = f"r{sequence}", f"r{sequence}", "s", "p"
    utterance = PlayingUtterance.of(StoredRequest(sequence, "s", *ids, None, "json", 0.0, body, None))
    utterance.begun = True
    for name, value in changes.items():
        setattr(utterance, name, value)
    return utterance


def writer(js: JetStream, epoch: int = 7) -> HeardWriter:
    return HeardWriter(js, Ownership("s", epoch, taken_over=False, lapse=0), HeardBook(Listener()))


async def done_ms(js: JetStream) -> dict[str, int | None]:
    states = await HeardStore(js).of_session("s")
    return {state.heard.request_id: state.heard.played_ms for state in states if state.heard.done}


@pytest.fixture
async def cut_off(nats_server: NatsServer, js: JetStream) -> AsyncIterator[tuple[TcpProxy, JetStream]]:
    """A connection to the same server that a test can cut."""
    proxy = TcpProxy(nats_server.port)
    await proxy.start()
    async with Broker(f"nats://127.0.0.1:{proxy.port}", name="cut off", connect_timeout_s=5) as broker:
        yield proxy, JetStream(broker)
    await proxy.stop()


async def test_a_record_is_stored_when_nats_is_back(js: JetStream, cut_off: tuple[TcpProxy, JetStream]) -> None:
    proxy, far = cut_off
    async with asyncio.TaskGroup() as group:
        background, heard = Background(group, lambda: None), writer(far)
        heard.write(playing(1), background)

        async def begun() -> bool:
            return len(await HeardStore(js).of_session("s")) == 1

        await until(begun, "the record is there")
        proxy.cut()
        utterance = playing(1, done_at=1.0, played_ms=300, audio_ms=900, sent_ms=900)
        heard.write(utterance, background)
        heard.write(playing(2, done_at=1.0, played_ms=5, audio_ms=900), background)
        await asyncio.sleep(0.5)
        utterance.played_ms = 400  # the answer of OraServer comes before the record is stored
        heard.write(utterance, background)
        assert await done_ms(js) == {}
        proxy.heal()

        async def stored() -> bool:
            return await done_ms(js) == {"r1": 400, "r2": 5}

        await until(stored, "both records are final", timeout_s=40)
        await background.end()


async def test_the_record_of_a_newer_owner_is_left_alone(js: JetStream) -> None:
    async with asyncio.TaskGroup() as group:
        background, newer, older = Background(group, lambda: None), writer(js, epoch=9), writer(js, epoch=7)
        newer.write(playing(1, done_at=1.0, played_ms=300), background)
        older.write(playing(2, done_at=1.0, played_ms=7), background)

        async def stored() -> bool:
            return set(await done_ms(js)) == {"r1", "r2"}

        await until(stored, "both are stored")
        older.write(playing(1, done_at=1.0, played_ms=1), background)
        await background.finish(10, float("inf"))
        assert background.empty and await done_ms(js) == {"r1": 300, "r2": 7}


async def test_of_what_an_earlier_owner_has_sent_it_is_estimated_what_was_heard(js: JetStream) -> None:
    """OraServer has reported to that owner what was played, and nothing to this one."""
    start = AudioStart(1, "pcm16", 8000, 1, "espeak", "ko-KR", text="네.")
    attempt = (await js.store(NAMES.put_audio("s", "r1"), start.pack())).sequence
    for message in (AudioChunk(attempt, 0, 0, 0, b"\0" * 1600), AudioEnd(attempt, "complete", 1, 1600, 0.1)):
        await js.store(NAMES.put_audio("s", "r1"), message.pack())
    book, woken = HeardBook(Listener()), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        background = Background(group, lambda: None)
        writer(js).write(playing(1, by="played"), background)
        await background.finish(10, float("inf"))
        newer = HeardWriter(js, Ownership("s", 9, taken_over=True, lapse=0), book)
        newer.recover(background, lambda _: False, woken.set)
        async with asyncio.timeout(10):
            await woken.wait()
    (utterance,) = book.take(asyncio.get_running_loop().time() + 1.0, answers=True)
    record = utterance.record(9)
    assert (record.done, record.played_ms, record.heard_by, record.epoch) == (True, 100, "sent", 9)


async def test_a_user_without_the_right_gives_up(tmp_path: Path, logs: Logs) -> None:
    """An older user of NATS. If each record were tried for a minute, the session could not rest."""
    async with denying_server(tmp_path, logs, "tts.put.heard.>") as (server, broker):
        js = JetStream(broker)
        await StreamKeeper(js, StreamLimits(audio_max_bytes=256 << 20)).ensure()
        async with asyncio.TaskGroup() as group:
            background, heard = Background(group, lambda: None), writer(js)
            for sequence in range(1, 5):
                heard.write(playing(sequence), background)
            await background.finish(30, float("inf"))
            assert background.empty, "it tries no more"
            heard.write(playing(5), background)
            assert background.empty, "it does not begin again"
    subjects = {line.rpartition(" ")[2] for line in violations(server, "tts.put.heard")}
    assert len(subjects) == 1, "only the first record was tried"
