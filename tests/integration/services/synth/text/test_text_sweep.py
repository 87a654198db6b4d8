"""Pieces of text that nobody will read are deleted; those of a text that waits or is being read are not."""

from __future__ import annotations

import asyncio

import pytest

from orastream.broker import Broker
from orastream.client.async_client import Client
from orastream.contract import codec, subjects
from orastream.contract.text_pieces import STALLED
from orastream.jetstream import management
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from services.synth.text import text_fate, text_sweep
from services.synth.text.text_sweep import TextSweep
from tests.support.ending import end, store_request
from tests.support.inprocess import running_node
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until
from tests.support.raw_nats import pub, send

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

PIECE = b'{"index":7,"text":"late"}'
AGE_S = 0.5


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look is a sweep, and pieces are old after AGE_S."""
    monkeypatch.setattr(text_sweep, "SWEEP_EVERY_S", 0.0)
    monkeypatch.setattr(text_sweep, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(text_fate, "ORPHAN_S", AGE_S)
    monkeypatch.setattr(text_fate, "PRESSED_ORPHAN_S", AGE_S)


async def texts(js: JetStream) -> set[str]:
    """The texts of which a piece is stored."""
    found: set[str] = set()
    after = 0
    while page := await js.read(NAMES.texts_stream, "tts.script.>", after, batch=256):
        found |= {message.subject.removeprefix("tts.script.") for message in page}
        after = page[-1].sequence
    return found


async def test_only_those_of_final_requests_at_first(js: JetStream) -> None:
    """Not those of an open request, nor young ones of a request that is not stored yet."""
    sweep = TextSweep(js, ReportStore(js))
    for request in ("final", "open"):
        stored = await store_request(js, request)
        if request == "final":
            await end(js, stored, "cancelled")
        else:
            await ReportStore(js).write(stored, stored.report("synthesizing"), 0)
    for subject in ("s.final", "s.open", "s.unknown"):
        await js.store(f"tts.text.{subject}", PIECE)
    await js.store(NAMES.text("s", "final"), PIECE)
    assert await sweep.look() == 2
    assert await texts(js) == {"s.open", "s.unknown"}
    assert await sweep.look() == 0


async def test_those_without_a_request_when_they_are_old(js: JetStream, client: Client) -> None:
    """Requests that wait keep their pieces, also one that cannot be read, and one that was deleted after its claim."""
    claimed = await store_request(js, "claimed")
    await ReportStore(js).write(claimed, claimed.report("synthesizing"), 0)
    await js.delete(NAMES.sessions_stream, claimed.sequence)
    for request in ("queued", "other"):
        await store_request(js, request)
    await client.submit({"text": "", "sessionId": "세 션", "phoneId": "p", "requestId": "요청", "textStream": True})
    unread = await js.store(NAMES.request("s"), b"not a map")
    kept = {"s.claimed", "s.queued", "s.other", f"s.seq-{unread.sequence}", ".".join(subjects.tokens("세 션", "요청"))}
    for text in (*kept, "s.orphan", "t.orphan", "t.two"):
        await js.store(f"tts.text.{text}", PIECE)
    sweeps = [TextSweep(js, ReportStore(js)) for _ in range(2)]
    assert await asyncio.gather(*(sweep.look() for sweep in sweeps)) == [0, 0]
    await asyncio.sleep(2 * AGE_S)
    await js.store(NAMES.text("t", "young"), PIECE)
    deleted = await asyncio.gather(*(sweep.look() for sweep in sweeps))
    assert sum(deleted) == 3
    assert await texts(js) == kept | {"t.young"}


async def test_those_of_a_request_that_waits_under_the_subject_of_an_account(js: JetStream) -> None:
    await StreamKeeper(js, StreamLimits(audio_max_bytes=64 << 20, callers=("SHOP",)), change=True).ensure()
    body = {"text": "", "sessionId": "s", "phoneId": "p", "requestId": "r", "textStream": True}
    await js.store(NAMES.ingest_subject("SHOP", "s"), codec.encode(body, "json"))
    for text in ("s.r", "s.orphan"):
        await js.store(f"tts.text.{text}", PIECE)
    sweep = TextSweep(js, ReportStore(js))
    assert await sweep.look() == 0
    await asyncio.sleep(2 * AGE_S)
    assert await sweep.look() == 1
    assert await texts(js) == {"s.r"}


async def test_old_pieces_of_many_texts(js: JetStream, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reports are listed at once, and what is older than every other text is deleted at once."""
    monkeypatch.setattr(text_sweep, "MAX_SINGLE_LISTS", 3)
    monkeypatch.setattr(text_sweep, "BULK", 10)
    sweep = TextSweep(js, ReportStore(js))
    for number in range(30):
        await js.store(NAMES.text(f"s{number}", "orphan"), PIECE)
    await store_request(js, "queued")
    claimed = await store_request(js, "claimed")
    await ReportStore(js).write(claimed, claimed.report("synthesizing"), 0)
    for request in ("queued", "claimed"):
        await js.store(NAMES.text("s", request), PIECE)
    for number in range(30):
        await js.store(NAMES.text(f"s{number}", "later"), PIECE)
    await sweep.look()
    await asyncio.sleep(2 * AGE_S)
    await js.store(NAMES.text("s1", "young"), PIECE)
    assert await sweep.look() == 60
    assert await texts(js) == {"s.queued", "s.claimed", "s1.young"}


async def test_request_that_comes_during_a_sweep(js: JetStream, client: Client) -> None:
    """Its old pieces may be gone, as nobody had asked for them in time. What comes with it or after it stays."""
    sweeps = [TextSweep(js, ReportStore(js)) for _ in range(2)]
    requests = [f"r{number}" for number in range(20)]
    for request in requests:
        await js.store(NAMES.text("s", request), PIECE)
    await asyncio.gather(*(sweep.look() for sweep in sweeps))
    await asyncio.sleep(2 * AGE_S)

    async def ask(request: str) -> int:
        fields = {"text": "", "sessionId": "s", "phoneId": "p", "requestId": request, "textStream": True}
        await client.submit({**fields, "ttlSeconds": 60})
        return (await js.store(NAMES.text("s", request), PIECE)).sequence

    asked = asyncio.gather(*(ask(request) for request in requests))
    await asyncio.gather(*(sweep.look() for sweep in sweeps))
    new = await asked
    await asyncio.sleep(2 * AGE_S)
    await asyncio.gather(*(sweep.look() for sweep in sweeps))
    assert all([await js.get(NAMES.texts_stream, sequence) is not None for sequence in new])


async def test_pieces_under_a_wildcard(nats_server: NatsServer, js: JetStream) -> None:
    """They are deleted, and as a filter their subject deletes nothing of others."""
    sweep = TextSweep(js, ReportStore(js))
    await store_request(js, "queued")
    await js.store(NAMES.text("s", "queued"), PIECE)
    tokens = (b"s.*", b"*.queued", b"s.\xff", b"s." + b"x" * 400)
    assert await send(nats_server.port, *(pub(b"tts.text." + token, PIECE) for token in tokens)) == b""

    async def stored() -> bool:
        return int((await management.stream_info(js, NAMES.texts_stream))["state"]["messages"]) == 5

    await until(stored, "the server stored what it received: it answers a PING before that")
    assert await sweep.look() == 4
    assert await texts(js) == {"s.queued"}


async def test_text_that_fills_the_stream(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its request waits, so no synth has read it yet. Another one with many pieces stays."""
    monkeypatch.setattr(text_fate, "LARGEST_TEXT_BYTES", 300_000)
    js = JetStream(broker)
    await StreamKeeper(js, StreamLimits(audio_max_bytes=1 << 20, texts_max_bytes=1 << 20)).ensure()
    sweep = TextSweep(js, ReportStore(js))
    for request in ("huge", "long"):
        await store_request(js, request)
    for _ in range(200):
        await js.store(NAMES.text("s", "long"), PIECE)
    for _ in range(12):
        await js.store(NAMES.text("s", "huge"), b"x" * 60_000)
    assert await sweep.look() == 12
    assert await texts(js) == {"s.long", "s.huge"}
    last = await js.last(NAMES.texts_stream, NAMES.script("s", "huge"))
    assert last is not None and last.data == STALLED
    assert await sweep.look() == 0


async def test_a_writer_that_goes_on_after_a_cancel(nats_server: NatsServer, js: JetStream, client: Client) -> None:
    async with running_node(nats_server.url, "http://127.0.0.1:1", ("synth",)):
        ids = {"sessionId": "s", "phoneId": "p", "requestId": "r"}
        await client.submit({"text": "하나. ", **ids, "transport": "none", "textStream": True})
        await client.cancel("s")
        assert (await client.wait("s", "r", 20)).status == "cancelled"

        async def tidied() -> bool:
            return await js.after(NAMES.sessions_stream, NAMES.session_request("s"), 0) is None

        await until(tidied, "the request is deleted, and with it its text", timeout_s=10)
        piece = await js.store(NAMES.text("s", "r"), PIECE)

        async def gone() -> bool:
            return await js.get(NAMES.texts_stream, piece.sequence) is None

        await until(gone, "the late piece is deleted", timeout_s=10)
