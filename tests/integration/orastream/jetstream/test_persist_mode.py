"""The stream of a cache is acked before it is written (`persist_mode: async`), all others after it. On real servers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orastream.broker import Broker
from orastream.contract.errors import SettingsError
from orastream.jetstream import topology
from orastream.jetstream.api import JetStream
from orastream.jetstream.object_store import ObjectStore, object_store_config
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.names import NAMES
from tests.support.nats_cluster import NatsCluster, until_placed
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs

pytestmark = pytest.mark.integration

STREAM = "OBJ_b"
BUCKET_BYTES = 8 << 20


def a_cache(*, replicas: int = 1, max_bytes: int = BUCKET_BYTES) -> dict[str, Any]:
    return object_store_config("b", max_bytes=max_bytes, max_age_s=60, replicas=replicas)


async def config_of(js: JetStream, stream: str = STREAM) -> dict[str, Any]:
    config: dict[str, Any] = (await js.api(f"STREAM.INFO.{stream}"))["config"]
    return config


@pytest.fixture
def objects(js: JetStream) -> ObjectStore:
    return ObjectStore(js, "b", max_bytes=BUCKET_BYTES)


@pytest.fixture
async def cluster(tmp_path: Path, logs: Logs) -> AsyncIterator[NatsCluster]:
    cluster = NatsCluster(tmp_path, logs, 3)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.stop()


async def test_only_the_cache_is_async(js: JetStream) -> None:
    await topology.ensure_stream(js, a_cache())
    assert (await config_of(js))["persist_mode"] == "async"
    for config in topology.stream_configs(NAMES, StreamLimits()):
        assert "persist_mode" not in await config_of(js, config["name"]), config["name"]


async def test_update_keeps_the_mode_and_the_content(js: JetStream, objects: ObjectStore) -> None:
    """The server refuses an update that leaves `async` out, and one that adds it."""
    for mode in ({"persist_mode": "async"}, {}):
        plain = {key: value for key, value in a_cache().items() if key != "persist_mode"}
        await js.api(f"STREAM.DELETE.{STREAM}")
        assert "config" in await js.api(f"STREAM.CREATE.{STREAM}", plain | mode)
        await objects.put("name", b"data")
        await topology.ensure_stream(js, a_cache(max_bytes=2 * BUCKET_BYTES), change=True)
        config = await config_of(js)
        assert config["max_bytes"] == 2 * BUCKET_BYTES
        assert config.get("persist_mode") == mode.get("persist_mode")
        assert await objects.get("name") == b"data"


async def test_server_refuses_what_ensure_stream_avoids(js: JetStream) -> None:
    """If a later server accepts one of these, `config_to_create` and `config_to_update` can go."""
    plain = {key: value for key, value in a_cache().items() if key != "persist_mode"}
    await js.api(f"STREAM.CREATE.{STREAM}", a_cache())
    without = await js.api(f"STREAM.UPDATE.{STREAM}", plain | {"max_age": 10**11})
    assert without["error"]["err_code"] == 10052
    await js.api(f"STREAM.DELETE.{STREAM}")
    await js.api(f"STREAM.CREATE.{STREAM}", plain)
    added = await js.api(f"STREAM.UPDATE.{STREAM}", a_cache())
    assert added["error"]["err_code"] == 10052
    replicated = await js.api("STREAM.CREATE.X", a_cache(replicas=3) | {"name": "X", "subjects": ["x.*"]})
    assert replicated["error"]["err_code"] == 10052


async def test_cache_is_created_again_when_it_must_be_replicated(cluster: NatsCluster) -> None:
    async with Broker(cluster.url, name="test", connect_timeout_s=20) as broker:
        js = JetStream(broker)
        objects = ObjectStore(js, "b", max_bytes=BUCKET_BYTES)
        ahead = (time.time_ns() + 3600 * 10**9) // 1000  # created by a service whose clock is 1 h ahead
        await js.api(f"STREAM.CREATE.{STREAM}", a_cache() | {"first_seq": ahead})
        await until_placed(lambda: objects.put("name", b"data"))
        before = await js.api(f"STREAM.INFO.{STREAM}")

        await topology.ensure_stream(js, a_cache(replicas=3))
        assert (await config_of(js))["num_replicas"] == 1, "only synth changes streams"

        found = await until_placed(lambda: topology.ensure_stream(js, a_cache(replicas=3), change=True))
        config = await config_of(js)
        assert (config["num_replicas"], config.get("persist_mode")) == (3, None)
        assert found.by_us and found.last_seq > before["state"]["last_seq"]
        assert await until_placed(lambda: objects.get("name")) is None
        await objects.put("name", b"data")

        await topology.ensure_stream(js, a_cache(replicas=3), change=True)
        await topology.ensure_stream(js, a_cache(replicas=1), change=True)
        config = await config_of(js)
        assert (config["num_replicas"], config.get("persist_mode")) == (1, None)
        assert await objects.get("name") == b"data", "an update was possible, and the cache was deleted"


async def test_stream_that_is_no_cache_is_never_deleted(cluster: NatsCluster) -> None:
    """An operator may have made it async. Its content is not ours to delete: the server's refusal is reported."""
    async with Broker(cluster.url, name="test", connect_timeout_s=20) as broker:
        js = JetStream(broker)
        configs = {config["name"]: config for config in topology.stream_configs(NAMES, StreamLimits(replicas=3))}
        reports = configs[NAMES.reports_stream]
        await js.api("STREAM.CREATE.TTS_REPORTS", reports | {"num_replicas": 1, "persist_mode": "async"})
        ack = await js.store(NAMES.put_report("s", "r"), b"{}")
        with pytest.raises(SettingsError, match="TTS_REPORTS"):
            await topology.ensure_stream(js, reports, change=True)
        assert await js.get(NAMES.reports_stream, ack.sequence) is not None


async def test_killed_server_keeps_each_object_whole_or_not_at_all(
    nats_server: NatsServer, js: JetStream, objects: ObjectStore
) -> None:
    """It may lose the newest ones, which is what async means; what the other streams have acked is there."""
    await topology.ensure_stream(js, a_cache())
    for number in range(40):
        await objects.put(f"n{number}", bytes([number]) * 9_000)
        ack = await js.store(NAMES.put_report("s", str(number)), b"{}")
    nats_server.kill()
    await nats_server.start()
    await js.broker.wait_connected(10)
    found = [await objects.get(f"n{number}") for number in range(40)]
    assert all(data in (None, bytes([number]) * 9_000) for number, data in enumerate(found))
    assert await js.get(NAMES.reports_stream, ack.sequence) is not None
    await objects.put("after", b"data")
    assert await objects.get("after") == b"data"


async def test_sequences_of_a_cache_may_go_back(nats_server: NatsServer, broker: Broker) -> None:
    """A killed server forgets its newest messages and uses their sequences again. No reader compares them."""
    js = JetStream(broker)
    keeper = StreamKeeper(js, StreamLimits(audio_max_bytes=64 << 20))
    went_back: list[str] = []
    keeper.on_sequences_back(went_back.append)
    await keeper.ensure()
    await keeper.add(a_cache(), change=True)
    for name in (STREAM, NAMES.reports_stream):
        config = await config_of(js, name)
        await js.api(f"STREAM.DELETE.{name}")
        await js.api(f"STREAM.CREATE.{name}", config | {"first_seq": 1000})
    await keeper.ensure()
    assert went_back == [NAMES.reports_stream]
