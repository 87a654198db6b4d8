"""`StreamKeeper` and `topology` against a real nats-server."""

from __future__ import annotations

import asyncio
import time

import pytest

from orastream.base.tasks import end
from orastream.broker import Broker
from orastream.contract.errors import NodeUnavailable
from orastream.contract.names import SYNTH
from orastream.jetstream import topology
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = pytest.mark.integration

LIMITS = StreamLimits(audio_max_bytes=64 << 20)


async def test_stream_keeps_its_messages_after_a_change_of_settings(nats_server: NatsServer, broker: Broker) -> None:
    """`first_seq` in an update would delete everything at the server's next start."""
    js = JetStream(broker)
    await StreamKeeper(js, LIMITS).ensure()
    now = time.time_ns() // 1000
    ack = await js.store(NAMES.put_audio("s", "r"), b"audio")
    assert now - 60_000_000 < ack.sequence <= now < 2**53
    await StreamKeeper(js, StreamLimits(audio_max_bytes=32 << 20), change=True).ensure()
    nats_server.kill()
    await nats_server.start()
    stored = await js.get(NAMES.audio_stream, ack.sequence)
    assert stored is not None and stored.data == b"audio"
    assert (await js.store(NAMES.put_audio("s", "r"), b"more")).sequence == ack.sequence + 1


async def test_concurrent_keepers_delete_nothing_when_they_update_a_new_stream(
    nats_server: NatsServer, broker: Broker
) -> None:
    """The loser of the race updates the winner's stream to its own limits; the update must not set `first_seq`."""
    js = JetStream(broker)
    racers = [StreamLimits(audio_max_bytes=n << 20) for n in range(32, 40)]
    await asyncio.gather(*(StreamKeeper(js, limits, change=True).ensure() for limits in racers))
    ack = await js.store(NAMES.put_audio("s", "r"), b"audio")
    nats_server.kill()
    await nats_server.start()
    assert await js.get(NAMES.audio_stream, ack.sequence) is not None


async def test_only_a_keeper_with_change_updates_an_existing_stream(nats_server: NatsServer, broker: Broker) -> None:
    js = JetStream(broker)
    await asyncio.gather(*(StreamKeeper(js, StreamLimits(audio_max_bytes=n << 20)).ensure() for n in range(32, 40)))
    created = (await js.api(f"STREAM.INFO.{NAMES.audio_stream}"))["config"]["max_bytes"]
    await StreamKeeper(js, StreamLimits(audio_max_bytes=50 << 20)).ensure()
    assert (await js.api(f"STREAM.INFO.{NAMES.audio_stream}"))["config"]["max_bytes"] == created
    await StreamKeeper(js, StreamLimits(audio_max_bytes=50 << 20), change=True).ensure()
    assert (await js.api(f"STREAM.INFO.{NAMES.audio_stream}"))["config"]["max_bytes"] == 50 << 20


async def test_synth_restores_its_settings_when_another_service_created_the_stream_again(
    nats_server: NatsServer, broker: Broker
) -> None:
    js = JetStream(broker)
    synth, other = StreamKeeper(js, LIMITS, change=True), StreamKeeper(js, StreamLimits(audio_max_bytes=32 << 20))
    await synth.ensure()
    await other.ensure()
    renewed: list[str] = []
    synth.on_renewed(renewed.append)
    await js.api(f"STREAM.DELETE.{NAMES.audio_stream}")
    await other.ensure()
    assert (await js.api(f"STREAM.INFO.{NAMES.audio_stream}"))["config"]["max_bytes"] == 32 << 20
    running = asyncio.create_task(synth.run())
    js.broker.missing.call()

    async def changed() -> bool:
        return bool((await js.api(f"STREAM.INFO.{NAMES.audio_stream}"))["config"]["max_bytes"] == 64 << 20)

    try:
        await until(changed, "the stream has synth's settings again")
    finally:
        await end(running)
    assert renewed == [NAMES.audio_stream]


async def test_new_stream_begins_above_old_sequences_when_the_clock_is_behind(
    nats_server: NatsServer, broker: Broker
) -> None:
    """A service whose clock is 1 h ahead created the stream; this one creates it again."""
    js = JetStream(broker)
    (config,) = [c for c in topology.stream_configs(NAMES, LIMITS) if c["name"] == NAMES.audio_stream]
    ahead = (time.time_ns() + 3600 * 10**9) // 1000
    await js.api(f"STREAM.CREATE.{NAMES.audio_stream}", config | {"first_seq": ahead})
    keeper = StreamKeeper(js, LIMITS)
    went_back: list[str] = []
    keeper.on_sequences_back(went_back.append)
    await keeper.ensure()
    before = await js.store(NAMES.put_audio("s", "r"), b"audio")
    await keeper.ensure()
    await js.api(f"STREAM.DELETE.{NAMES.audio_stream}")
    await keeper.ensure()
    after = await js.store(NAMES.put_audio("s", "r"), b"audio")
    assert after.sequence > before.sequence >= ahead and went_back == []


async def test_keeper_reports_a_stream_whose_sequences_went_back(nats_server: NatsServer, broker: Broker) -> None:
    js = JetStream(broker)
    keeper = StreamKeeper(js, LIMITS)
    went_back: list[str] = []
    keeper.on_sequences_back(went_back.append)
    await keeper.ensure()
    (config,) = [c for c in topology.stream_configs(NAMES, LIMITS) if c["name"] == NAMES.reports_stream]
    await js.api(f"STREAM.DELETE.{NAMES.reports_stream}")
    await js.api(f"STREAM.CREATE.{NAMES.reports_stream}", config | {"first_seq": 1000})
    await keeper.ensure()
    assert went_back == [NAMES.reports_stream]


async def test_concurrent_creations_of_a_consumer_return_the_same_time(nats_server: NatsServer, broker: Broker) -> None:
    """Otherwise the next check would treat the consumer as lost and created again."""
    js = JetStream(broker)
    (config,) = [c for c in topology.stream_configs(NAMES, LIMITS) if c["name"] == NAMES.sessions_stream]
    await topology.ensure_stream(js, config)
    (consumer,) = [c for c in topology.consumer_configs(NAMES) if c["durable_name"] == SYNTH]
    waits = [consumer | {"ack_wait": seconds * 10**9} for seconds in range(5, 13)]
    found = await asyncio.gather(*(topology.ensure_consumer(js, config) for config in waits))
    assert len({each.created for each in found}) == 1 and found[0].created.startswith("2")


async def test_keeper_limits_its_checks_while_a_stream_cannot_be_created(
    nats_server: NatsServer, broker: Broker
) -> None:
    js = JetStream(broker)
    await js.api("STREAM.CREATE.FOREIGN", {"name": "FOREIGN", "subjects": [NAMES.put_report("x", "x")]})
    keeper = StreamKeeper(js, LIMITS, needs=[NAMES.reports_stream])
    with pytest.raises(NodeUnavailable, match="10065"):
        await keeper.ensure()
    running = asyncio.create_task(keeper.run())
    before = (await js.api("INFO"))["api"]["total"]
    try:
        for _ in range(300):
            js.broker.missing.call()
            await asyncio.sleep(0.01)
        checks = ((await js.api("INFO"))["api"]["total"] - before) / 9
        assert 1 <= checks <= 12, f"{checks:.1f} checks in 3 s"
        assert "TTS_REPORTS" in (await keeper.lacking() or "")
        await js.api("STREAM.DELETE.FOREIGN")

        async def back() -> bool:
            return await keeper.lacking() is None

        await until(back, "the keeper lacks no stream", timeout_s=15)
    finally:
        await end(running)
