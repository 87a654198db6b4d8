"""The node's streams with something in each, a witness inside account NODE, and a state to compare."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from orastream.jetstream.object_store import object_store_config
from orastream.jetstream.topology import StreamLimits, consumer_configs, stream_configs
from tests.support.names import NAMES

CALLER_ACCOUNTS = ("CALLERS", "SHOP", "HALL")
SEEDED = (
    "tts.request.seed",
    "tts.text.seed.r",
    "tts.put.audio.seed.r",
    "tts.put.report.seed.r",
    "tts.put.heard.seed.r",
    "$KV.tts_owners.ws_bridge.seed",
    "$KV.tts_heartbeats.ws_bridge-1",
    "$O.tts_phrases.C.seed",
    "$O.tts_phrases.M.seed",
)


async def api(operator: NatsClient, call: str, body: object = None) -> dict[str, Any]:
    """One call of the JetStream API, as the operator."""
    payload = b"" if body is None else json.dumps(body).encode()
    answer: dict[str, Any] = json.loads((await operator.request(f"$JS.API.{call}", payload, timeout=10)).data)
    return answer


async def make_streams(operator: NatsClient) -> None:
    """Create the node's streams and consumers, with a message in each."""
    streams = stream_configs(NAMES, StreamLimits(audio_max_bytes=64 << 20))
    for config in streams:
        config.pop("max_age", None)  # nothing expires while the tests compare
    streams.append(object_store_config("tts_phrases", max_bytes=1 << 20, max_age_s=0, replicas=1))
    for config in streams:
        made = await api(operator, f"STREAM.CREATE.{config['name']}", config)
        assert "error" not in made, made
    for config in consumer_configs(NAMES):
        body = {"stream_name": "TTS_SESSIONS", "config": config, "action": "create"}
        filtered = f".{config['filter_subject']}" if "filter_subject" in config else ""
        made = await api(operator, f"CONSUMER.CREATE.TTS_SESSIONS.{config['durable_name']}{filtered}", body)
        assert "error" not in made, made
    for subject in SEEDED:
        ack = json.loads((await operator.request(subject, b"seeded", timeout=10)).data)
        assert "seq" in ack, (subject, ack)


async def state(operator: NatsClient, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The configuration and content of all streams, and their consumers; equal if nothing was changed."""
    names = (await api(operator, "STREAM.NAMES"))["streams"]
    found: dict[str, Any] = {"streams": sorted(names)}
    for name in names:
        info = await api(operator, f"STREAM.INFO.{name}", {"subjects_filter": ">"})
        consumers = (await api(operator, f"CONSUMER.LIST.{name}")).get("consumers") or []
        found[name] = {
            "config": info["config"],
            "state": None if name in without else info["state"],
            "consumers": sorted(
                (one["name"], str(one["config"]), one["num_ack_pending"], one["delivered"]["consumer_seq"])
                for one in consumers
            ),
        }
    return found


class Witness:
    """Receives everything that is published inside account NODE."""

    def __init__(self, connection: NatsClient) -> None:
        self.connection = connection
        self.seen: list[tuple[str, bytes]] = []

    async def watch(self) -> None:
        """Begin. Returns when the server has the subscription."""
        await self.connection.subscribe(">", cb=self._note)
        await self.connection.flush(10)

    async def _note(self, message: Msg) -> None:
        self.seen.append((message.subject, message.data))

    async def settle(self, *others: NatsClient) -> None:
        """Return when all that these connections and this one have published has reached the callbacks of all."""
        every = (*others, self.connection)
        for _ in range(2):  # what answers an answer, too
            for connection in (*every, *every):
                await connection.flush(10)
            # nats-py runs callbacks in tasks of their own, which a flush does not wait for.
            while any(one.pending_msgs for connection in every for one in connection._subs.values()):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.02)

    def subjects_with(self, marker: bytes) -> set[str]:
        """The subjects of the messages whose payload holds `marker`."""
        return {subject for subject, data in self.seen if marker in data}
