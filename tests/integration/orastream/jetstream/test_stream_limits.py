"""The limits of the streams on a real server: what is refused, the update of older streams, a server without room."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orastream.broker import Broker
from orastream.client.async_client import Client
from orastream.contract.errors import InvalidRequest, NodeUnavailable, Overloaded, PublishRefused, StreamFull
from orastream.jetstream import management, topology
from orastream.jetstream.api import JetStream
from orastream.jetstream.object_store import object_store_config
from orastream.jetstream.stream_limits import StreamLimits, room_setting
from orastream.service.keeper import StreamKeeper
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs

LIMITED = (NAMES.sessions_stream, NAMES.reports_stream, NAMES.texts_stream)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

SMALL = StreamLimits(
    audio_max_bytes=1 << 20, sessions_max_bytes=1 << 20, reports_max_bytes=1 << 20, texts_max_bytes=1 << 20
)
OF_BEFORE = ("max_bytes", "max_msg_size")
"""Limits that earlier versions did not set, for streams other than TTS_AUDIO."""


@contextlib.asynccontextmanager
async def small_server(folder: Path, logs: Logs, max_file_store: str) -> AsyncIterator[JetStream]:
    """JetStream of a server with so much room."""
    config = folder / "small.conf"
    config.write_text(f"jetstream {{ max_file_store: {max_file_store} }}\n")
    server = NatsServer(folder, logs, "-c", str(config))
    try:
        await server.start()
        async with Broker(server.url, name="test", connect_timeout_s=5) as broker:
            yield JetStream(broker)
    finally:
        server.kill()


async def as_before(js: JetStream, limits: StreamLimits) -> None:
    """Create the streams as a version without these limits did."""
    for config in topology.stream_configs(NAMES, limits):
        older = {
            key: value for key, value in config.items() if room_setting(config["name"]) is None or key not in OF_BEFORE
        }
        await topology.ensure_stream(js, older)


async def config_of(js: JetStream, stream: str) -> dict[str, Any]:
    config: dict[str, Any] = (await management.stream_info(js, stream))["config"]
    return config


async def test_full_streams_refuse_callers_and_leave_the_node_its_room(broker: Broker) -> None:
    js = JetStream(broker)
    await StreamKeeper(js, SMALL).ensure()
    client = Client(broker)
    with pytest.raises(StreamFull, match="maximum bytes"):
        for number in range(100):
            await js.store(NAMES.text("s", f"r{number}"), b"x" * 60_000)
    with pytest.raises(Overloaded, match="the node has no room") as caught:
        for number in range(300):
            await client.say("아" * 4000, session_id=f"s{number}", phone_id="p")
    assert caught.value.retryable
    with pytest.raises(Overloaded, match="the node has no room"):
        for number in range(10_000):
            await client.cancel(f"c{number}")
    await js.store(NAMES.heartbeat_key("ws_bridge-1"), b"{}")
    await js.store(NAMES.put_report("s", "r"), b"{}")
    await js.store(NAMES.put_audio("s", "r"), b"audio")


async def test_reports_make_room_for_new_ones(broker: Broker) -> None:
    js = JetStream(broker)
    await StreamKeeper(js, SMALL).ensure()
    for number in range(40):
        await js.store(NAMES.put_report("s", f"r{number}"), b"x" * 50_000)
    assert await js.last(NAMES.reports_stream, NAMES.report("s", "r39")) is not None
    assert await js.last(NAMES.reports_stream, NAMES.report("s", "r0")) is None


async def test_message_that_no_caller_needs_is_refused(broker: Broker) -> None:
    """A piece or request of 1 MB would let few messages fill the stream. The largest that is documented is stored."""
    js = JetStream(broker)
    await StreamKeeper(js, StreamLimits()).ensure()
    for subject in (NAMES.text("s", "r"), NAMES.request("s"), NAMES.cancel("s")):
        with pytest.raises(PublishRefused, match="10054"):
            await js.store(subject, b"x" * 900_000)
    text = "😀" * 4999 + "a"
    await js.store(NAMES.text("s", "r"), json.dumps({"index": 0, "text": text}).encode())
    await js.store(NAMES.request("s"), json.dumps({"text": text, "sessionId": "s", "phoneId": "p"}).encode())


async def test_client_with_a_larger_limit_than_the_node_is_told_what_to_do(broker: Broker) -> None:
    js = JetStream(broker)
    await StreamKeeper(js, StreamLimits(max_text_chars=10)).ensure()
    client = Client(broker, max_text_chars=100_000)
    with pytest.raises(InvalidRequest, match="text: the request has more bytes .* TTS_MAX_TEXT_CHARS"):
        await client.say("가" * 50_000, session_id="s", phone_id="p")
    with pytest.raises(InvalidRequest, match="text: a piece of text has more bytes .* TTS_MAX_TEXT_CHARS"):
        async with client.utterance(session_id="s", phone_id="p") as utterance:
            await utterance.write("가" * 50_000)
            await utterance.write("나")


async def test_older_streams_get_their_limits_and_keep_what_they_hold(broker: Broker) -> None:
    """Also above the limit: then nothing is stored until there is room."""
    js = JetStream(broker)
    await as_before(js, SMALL)
    stored = [await js.store(NAMES.text("s", "r"), b"x" * 900_000) for _ in range(3)]
    await asyncio.gather(*(StreamKeeper(js, SMALL, change=True).ensure() for _ in range(2)))
    config = await config_of(js, NAMES.texts_stream)
    assert (config["max_bytes"], config["max_msg_size"]) == (SMALL.texts_max_bytes, SMALL.max_piece_bytes)
    assert [await js.get(NAMES.texts_stream, ack.sequence) is not None for ack in stored] == [True] * 3
    with pytest.raises(StreamFull):
        await js.store(NAMES.text("s", "new"), b"{}")
    await js.purge(NAMES.texts_stream, NAMES.script("s", "r"))
    await js.store(NAMES.text("s", "new"), b"{}")


async def test_older_synth_does_not_take_the_limits_away(broker: Broker) -> None:
    """In a rolling upgrade it starts again and compares only the fields that it knows."""
    js = JetStream(broker)
    await StreamKeeper(js, SMALL, change=True).ensure()
    for config in topology.stream_configs(NAMES, SMALL):
        older = {
            key: value for key, value in config.items() if room_setting(config["name"]) is None or key not in OF_BEFORE
        }
        await topology.ensure_stream(js, older, change=True)
    assert {(await config_of(js, name))["max_bytes"] for name in LIMITED} == {1 << 20}


async def test_server_without_room_for_the_limits_works_as_before(tmp_path: Path, logs: Logs) -> None:
    """An upgrade must not stop a node whose server has room for the audio, but not for what is new."""
    limits = StreamLimits(audio_max_bytes=8 << 20)
    async with small_server(tmp_path, logs, "16MB") as js:
        await as_before(js, limits)
        await js.store(NAMES.text("s", "r"), b"{}")
        await StreamKeeper(js, limits, change=True).ensure()
        for name in LIMITED:
            assert (await config_of(js, name))["max_bytes"] == -1
            await js.api(f"STREAM.DELETE.{name}")
        await StreamKeeper(js, limits).ensure()
        for name in LIMITED:
            assert (await config_of(js, name))["max_bytes"] == -1
        fitting = StreamLimits(audio_max_bytes=8 << 20, texts_max_bytes=2 << 20, sessions_max_bytes=2 << 20)
        await StreamKeeper(js, fitting, change=True).ensure()
        sizes = {name: (await config_of(js, name))["max_bytes"] for name in LIMITED}
        assert sizes == {NAMES.texts_stream: 2 << 20, NAMES.sessions_stream: 2 << 20, NAMES.reports_stream: -1}
        await js.store(NAMES.heartbeat_key("x"), b"{}")
        assert (await management.stream_info(js, NAMES.heartbeats_stream))["state"]["messages"] == 1


async def test_streams_keep_their_sizes_on_a_server_that_has_less_room_than_they_have_reserved(
    tmp_path: Path, logs: Logs
) -> None:
    """Its disk became smaller. Then the server refuses every update of a size, also to a smaller one."""
    before = StreamLimits(
        audio_max_bytes=32 << 20, sessions_max_bytes=8 << 20, reports_max_bytes=8 << 20, texts_max_bytes=8 << 20
    )
    async with small_server(tmp_path, logs, "600MB") as js:
        await StreamKeeper(js, before, change=True).ensure()
        kept = {name: (await config_of(js, name))["max_bytes"] for name in (*LIMITED, NAMES.audio_stream)}
        assert kept[NAMES.audio_stream] == 32 << 20
    smaller = StreamLimits(
        audio_max_bytes=16 << 20, sessions_max_bytes=2 << 20, reports_max_bytes=2 << 20, texts_max_bytes=2 << 20
    )
    async with small_server(tmp_path, logs, "24MB") as js:
        await StreamKeeper(js, smaller, change=True).ensure()
        assert {name: (await config_of(js, name))["max_bytes"] for name in kept} == kept
        await js.store(NAMES.put_audio("s", "r"), b"audio")
        with pytest.raises(NodeUnavailable, match="lower TTS_PHRASE_CACHE_MAX_BYTES"):
            await topology.ensure_stream(
                js, object_store_config("tts_phrases", max_bytes=8 << 20, max_age_s=60, replicas=1)
            )
        # What the settings say besides the size is needed: it is not left out in silence.
        with pytest.raises(NodeUnavailable, match="TTS_SESSIONS: .*lower TTS_SESSIONS_MAX_BYTES"):
            await StreamKeeper(js, replace(smaller, max_pending_per_session=7), change=True).ensure()


async def test_the_stream_of_audio_gets_its_room_before_the_streams_that_work_without(
    tmp_path: Path, logs: Logs
) -> None:
    """Else those could reserve it first, and on a server that was large enough before nothing would be spoken."""
    limits = StreamLimits(audio_max_bytes=64 << 20, sessions_max_bytes=60 << 20)
    async with small_server(tmp_path, logs, "80MB") as js:
        await StreamKeeper(js, limits, change=True).ensure()
        assert (await config_of(js, NAMES.audio_stream))["max_bytes"] == 64 << 20
        assert (await config_of(js, NAMES.sessions_stream))["max_bytes"] == -1
