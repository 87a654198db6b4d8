"""The phrase cache with a real nats-server: a spoken sentence is found again, complete or not at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import nats
import pytest
from structlog.testing import capture_logs

from orastream.broker import Broker
from orastream.contract.errors import NodeUnavailable, ObjectTooLarge
from orastream.jetstream import topology
from orastream.jetstream.api import JetStream
from orastream.jetstream.object_store import ObjectStore, object_store_config
from orastream.service import lifecycle
from orastream.service.keeper import StreamKeeper
from orastream.service.metrics import Metrics
from services.synth.audio.pcm_chunker import Cutting
from services.synth.engine_pool.pool import EnginePool
from services.synth.settings import SynthSettings
from services.synth.speech.phrase_cache import CachingSpeaker, LookUp, open_store
from services.synth.speech.phrase_key import Worth
from services.synth.speech.resume import FIRST_ATTEMPT, Resume
from services.synth.speech.speak import SpokenUtterance, speak_utterance
from services.synth.speech.speaker import PoolSpeaker, Speaker
from services.synth.text.script import script_of
from tests.support.engines import LOG, TEXT
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs

pytestmark = pytest.mark.integration

BUCKET_BYTES = 3 << 20


@pytest.fixture
async def objects(js: JetStream) -> ObjectStore:
    config = object_store_config("b", max_bytes=BUCKET_BYTES, max_age_s=60, replicas=1)
    await topology.ensure_stream(js, config, change=True)
    return ObjectStore(js, "b", max_bytes=BUCKET_BYTES)


@pytest.mark.parametrize("size", [0, 1, 128 * 1024, 700_001])
async def test_store_returns_a_stored_object(objects: ObjectStore, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert await objects.get("한국어/1") is None
    await objects.put("한국어/1", data)
    assert await objects.get("한국어/1") == data
    await objects.put("한국어/1", b"another")
    assert await objects.get("한국어/1") == b"another"


async def test_other_clients_can_read_a_stored_object(objects: ObjectStore, nats_server: NatsServer) -> None:
    await objects.put("name", bytes(300_000) + b"!")
    client = await nats.connect(nats_server.url)
    try:
        bucket = await client.jetstream().object_store("b")
        assert (await bucket.get("name")).data == bytes(300_000) + b"!"
    finally:
        await client.close()


async def test_store_returns_none_for_an_object_that_lost_a_chunk(objects: ObjectStore, js: JetStream) -> None:
    await objects.put("old", bytes(300_000))
    first = await js.after("OBJ_b", "$O.b.C.*", 0)
    assert first is not None and await js.delete("OBJ_b", first.sequence)
    assert await objects.get("old") is None


@pytest.mark.parametrize("entry", [b"[" * 100_000, b"{", b"[]", b'{"nuid":1}', b"\xff"])
async def test_store_returns_none_for_an_entry_that_cannot_be_read(
    objects: ObjectStore, js: JetStream, entry: bytes
) -> None:
    """Another program that uses the bucket can write it."""
    await objects.put("name", b"audio")
    meta = await js.after("OBJ_b", "$O.b.M.*", 0)
    assert meta is not None
    await js.store(meta.subject, entry, rollup=True)
    assert await objects.get("name") is None
    await objects.put("name", b"again")
    assert await objects.get("name") == b"again"


async def test_store_deletes_the_oldest_objects_when_it_is_full(objects: ObjectStore) -> None:
    for number in range(8):
        await objects.put(f"n{number}", bytes(400_000))
    assert await objects.get("n0") is None
    assert await objects.get("n7") == bytes(400_000)


async def test_replaced_object_leaves_no_chunks(objects: ObjectStore, js: JetStream) -> None:
    await objects.put("name", bytes(300_000))
    await objects.put("name", b"new")
    info = await js.api("STREAM.INFO.OBJ_b")
    assert info["state"]["messages"] == 2


# ---- the speaker


class Seen(Counter[str]):
    """What was counted, by name."""

    def phrase_looked_up(self, result: LookUp) -> None:
        """A sentence was looked for."""
        self[f"phrase_{result}"] += 1

    def phrase_kept(self, size_bytes: int) -> None:
        """A sentence was put into the store."""
        assert size_bytes > 0
        self["phrase_kept"] += 1


@pytest.fixture
async def pool() -> AsyncIterator[EnginePool]:
    async with EnginePool("espeak", 1, log=LOG) as pool:
        yield pool


UTTERANCE = SpokenUtterance(None, "ko-KR", 1.0, "wav")


async def file_of(speaker: Speaker, utterance: SpokenUtterance = UTTERANCE, resume: Resume = FIRST_ATTEMPT) -> bytes:
    lines = script_of(TEXT, "ko-KR", 1.0)
    pieces = speak_utterance(speaker, utterance, lines, Cutting(8192), resume=resume)
    return b"".join([piece.audio async for piece in pieces])


async def kept(seen: Seen, count: int) -> None:
    async with asyncio.timeout(10):
        while seen["phrase_kept"] < count:
            await asyncio.sleep(0.01)


async def test_cached_sentence_is_returned_at_once_by_every_synth(objects: ObjectStore, pool: EnginePool) -> None:
    slow = PoolSpeaker(pool, rtf=0.1)
    whole = await file_of(slow)
    first, second = Seen(), Seen()
    async with CachingSpeaker(slow, objects, first) as speaker:
        assert await file_of(speaker) == whole
        await kept(first, 3)
    async with CachingSpeaker(slow, objects, second) as other_replica:
        assert await file_of(other_replica) == whole
        resampled = SpokenUtterance(None, "ko-KR", 1.0, "pcm16", 16_000)
        assert await file_of(other_replica, resampled) == await file_of(slow, resampled)
        for stored in (100, 30_000, len(whole) - 2):
            assert whole[:stored] + await file_of(other_replica, resume=Resume(1, stored, 0)) == whole
    assert first == {"phrase_miss": 3, "phrase_kept": 3}
    assert second == {"phrase_hit": 15}


async def test_incomplete_sentence_is_not_cached(objects: ObjectStore, pool: EnginePool) -> None:
    seen = Seen()
    async with CachingSpeaker(PoolSpeaker(pool, rtf=1.0), objects, seen) as speaker:
        lines = script_of("하나도 남기지 않고 모두 말할 문장입니다.", "ko-KR", 1.0)
        async with aclosing(speak_utterance(speaker, UTTERANCE, lines, Cutting(8192))) as pieces:
            await anext(pieces)
    assert seen == {"phrase_miss": 1}


async def test_cache_is_not_used_when_the_engine_is_faster(objects: ObjectStore, pool: EnginePool) -> None:
    seen = Seen()
    async with CachingSpeaker(PoolSpeaker(pool), objects, seen, clock=lambda: 0.0) as speaker:  # it takes no time
        fast = await file_of(speaker)
        assert await file_of(speaker) == fast
    assert seen == {"phrase_miss": 1}, "the cache was used, although a lookup takes longer than the sentence"


async def test_engine_speaks_when_the_store_is_missing(objects: ObjectStore, pool: EnginePool, js: JetStream) -> None:
    seen = Seen()
    await js.api("STREAM.DELETE.OBJ_b")
    async with CachingSpeaker(PoolSpeaker(pool, rtf=0.05), objects, seen) as speaker:
        assert await file_of(speaker) == await file_of(PoolSpeaker(pool))
    assert seen == {"phrase_unanswered": 3}


@pytest.mark.parametrize("size", [BUCKET_BYTES // 4 + 1, BUCKET_BYTES, 2 * BUCKET_BYTES])
async def test_store_refuses_an_object_above_its_limit(objects: ObjectStore, js: JetStream, size: int) -> None:
    await objects.put("largest", bytes(BUCKET_BYTES // 4))
    before = (await js.api("STREAM.INFO.OBJ_b"))["state"]
    with pytest.raises(ObjectTooLarge, match=f"^b: an object of {size} bytes .* limit for one is {BUCKET_BYTES // 4}$"):
        await objects.put("giant", bytes(size))
    assert await objects.get("giant") is None
    assert await objects.get("largest") == bytes(BUCKET_BYTES // 4)
    assert (await js.api("STREAM.INFO.OBJ_b"))["state"] == before, "a part of the refused object was stored"


async def test_sentence_too_large_for_the_bucket_is_spoken_and_not_cached(
    objects: ObjectStore, pool: EnginePool, js: JetStream
) -> None:
    seen = Seen()
    slow = PoolSpeaker(pool, rtf=0.05)
    async with CachingSpeaker(slow, ObjectStore(js, "b", max_bytes=4), seen) as speaker:
        assert await file_of(speaker) == await file_of(slow)
    assert seen == {"phrase_miss": 3}


def test_worth_compares_the_times_of_lookup_and_engine() -> None:
    worth = Worth()
    assert worth.looking_up
    worth.note(0.002)
    assert not worth.looking_up
    for _ in range(10):
        worth.note(0.5)
    assert worth.looking_up and worth.keeping(0.5) and not worth.keeping(0.001)


async def test_synth_works_without_the_cache_on_a_server_that_refuses_its_size(tmp_path: Path, logs: Logs) -> None:
    """An account may limit the size of each stream. It is a mistake in the settings, but not worth the end of synth."""
    config = tmp_path / "account.conf"
    limit = "jetstream { disk_max_stream_bytes: 8MB }"
    config.write_text(f"accounts {{ NODE {{ users: [{{user: u, password: p}}], {limit} }} }}\nno_auth_user: u\n")
    server = NatsServer(tmp_path, logs, "-c", str(config))
    settings = SynthSettings(_env_file=None)  # type: ignore[call-arg]
    try:
        await server.start()
        async with Broker(server.url, name="test", connect_timeout_s=5) as broker:
            js = JetStream(broker)
            keeper = StreamKeeper(js, settings.limits)
            process = lifecycle.Process(js, Metrics(), asyncio.Event(), keeper)
            with capture_logs() as logged:
                store = await open_store(process, settings)
            (warning,) = [entry for entry in logged if entry["event"] == "no phrase cache yet"]
            assert "10122" in warning["error"] and "lower TTS_PHRASE_CACHE_MAX_BYTES" in warning["error"]
            with pytest.raises(NodeUnavailable):
                await store.get("sentence")
    finally:
        server.kill()
