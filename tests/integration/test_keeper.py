"""Creating the streams and keeping them, against a real nats-server."""

from __future__ import annotations

import asyncio
import time

import pytest

from orastream import streams, subjects
from orastream.bus import Bus
from orastream.errors import NodeUnavailable
from orastream.jetstream import JetStream
from orastream.keeper import Keeper
from orastream.streams import StreamLimits
from orastream.tasks import end
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = pytest.mark.integration

LIMITS = StreamLimits(audio_max_bytes=64 << 20)


async def test_sequences_begin_at_the_time_and_outlive_a_change_of_settings(nats_server: NatsServer, bus: Bus) -> None:
    """`first_seq` in an update would delete everything at the server's next start."""
    js = JetStream(bus)
    await streams.ensure(js, LIMITS)
    now = time.time_ns() // 1000
    ack = await js.store(subjects.put_audio("s", "r"), b"audio")
    assert now - 60_000_000 < ack.sequence <= now < 2**53
    await streams.ensure(js, StreamLimits(audio_max_bytes=32 << 20), change=True)
    nats_server.kill()
    await nats_server.start()
    stored = await js.get(streams.AUDIO, ack.sequence)
    assert stored is not None and stored.data == b"audio"
    assert (await js.store(subjects.put_audio("s", "r"), b"more")).sequence == ack.sequence + 1


async def test_racers_that_change_what_another_one_has_just_created_delete_nothing(
    nats_server: NatsServer, bus: Bus
) -> None:
    """Whoever loses the race brings the winner's stream to its own limits, and must not name a first sequence."""
    js = JetStream(bus)
    racers = [StreamLimits(audio_max_bytes=n << 20) for n in range(32, 40)]
    await asyncio.gather(*(streams.ensure(js, limits, change=True) for limits in racers))
    ack = await js.store(subjects.put_audio("s", "r"), b"audio")
    nats_server.kill()
    await nats_server.start()
    assert await js.get(streams.AUDIO, ack.sequence) is not None


async def test_many_create_the_same_and_only_one_may_change_it(nats_server: NatsServer, bus: Bus) -> None:
    js = JetStream(bus)
    await asyncio.gather(*(streams.ensure(js, StreamLimits(audio_max_bytes=n << 20)) for n in range(32, 40)))
    created = (await js.api(f"STREAM.INFO.{streams.AUDIO}"))["config"]["max_bytes"]
    await streams.ensure(js, StreamLimits(audio_max_bytes=50 << 20))
    assert (await js.api(f"STREAM.INFO.{streams.AUDIO}"))["config"]["max_bytes"] == created
    await streams.ensure(js, StreamLimits(audio_max_bytes=50 << 20), change=True)
    assert (await js.api(f"STREAM.INFO.{streams.AUDIO}"))["config"]["max_bytes"] == 50 << 20


async def test_what_another_service_has_created_again_gets_synths_settings(nats_server: NatsServer, bus: Bus) -> None:
    js = JetStream(bus)
    synth, other = Keeper(js, LIMITS, change=True), Keeper(js, StreamLimits(audio_max_bytes=32 << 20))
    await synth.ensure()
    await other.ensure()
    renewed: list[str] = []
    synth.on_renewed(renewed.append)
    await js.api(f"STREAM.DELETE.{streams.AUDIO}")
    await other.ensure()
    assert (await js.api(f"STREAM.INFO.{streams.AUDIO}"))["config"]["max_bytes"] == 32 << 20
    running = asyncio.create_task(synth.run())
    js.bus.missing.call()

    async def changed() -> bool:
        return bool((await js.api(f"STREAM.INFO.{streams.AUDIO}"))["config"]["max_bytes"] == 64 << 20)

    try:
        await until(changed, "synth has brought the stream to its settings")
    finally:
        await end(running)
    assert renewed == [streams.AUDIO]


async def test_no_hammering_while_something_cannot_be_created(nats_server: NatsServer, bus: Bus) -> None:
    js = JetStream(bus)
    await js.api("STREAM.CREATE.FOREIGN", {"name": "FOREIGN", "subjects": [subjects.put_report("x", "x")]})
    keeper = Keeper(js, LIMITS, needs=[streams.REPORTS])
    with pytest.raises(NodeUnavailable, match="10065"):
        await keeper.ensure()
    running = asyncio.create_task(keeper.run())
    before = (await js.api("INFO"))["api"]["total"]
    try:
        for _ in range(300):
            js.bus.missing.call()
            await asyncio.sleep(0.01)
        looks = ((await js.api("INFO"))["api"]["total"] - before) / 9
        assert 2 <= looks <= 8, f"{looks:.1f} looks in 3 s"
        assert "TTS_REPORTS" in (await keeper.lacking() or "")
        await js.api("STREAM.DELETE.FOREIGN")

        async def back() -> bool:
            return await keeper.lacking() is None

        await until(back, "it is there", timeout_s=15)
    finally:
        await end(running)
