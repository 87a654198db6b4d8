"""The order of nats-server's system calls: a message is written, synced, and only then acked. Traced on a real node.

With `sync_interval: always` this is what makes a power cut harmless. With `periodic` the same judgement must find no
sync before the acks: otherwise it would prove nothing. In a cluster it is the log of the replication that is synced.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from orastream.broker import Broker, Headers
from orastream.cli.node.nats_config import Sync
from orastream.client.async_client import Client
from orastream.contract.messages import FINAL, Report
from orastream.jetstream.api import JetStream
from orastream.jetstream.place import place_of
from orastream.jetstream.topology import StreamLimits, ensure_stream, stream_configs
from tests.support.names import NAMES
from tests.support.nats_cluster import NatsCluster, until_placed
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.services import Stack
from tests.support.strace import Call, Trace, require_strace

__all__ = ["require_strace"]

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("require_strace"), pytest.mark.timeout(120)]

SESSION, REQUEST = "traced-session", "traced-request"


@dataclass(frozen=True)
class Kept:
    """A stored message: its stream, sequence and stored subject."""

    what: str
    stream: str
    sequence: int
    subject: str


@dataclass(frozen=True)
class Steps:
    """What nats-server did with one message."""

    write: Call
    syncs: tuple[Call, ...]
    """Those of the same file that began after the write had returned."""
    ack: Call
    live: Call
    """The send of the message to a subscriber of the stored subject."""

    @property
    def synced_first(self) -> bool:
        """Whether a sync of the file had succeeded before the ack was sent, and before anybody saw the message."""
        first = min((sync.ended for sync in self.syncs if sync.result == 0), default=None)
        return first is not None and first < self.ack.began and first < self.live.began


def is_sync(call: Call, write: Call) -> bool:
    """Whether the call syncs what `write` has written."""
    return call.name in ("fsync", "fdatasync") and call.path == write.path and call.began > write.ended


def is_send(call: Call) -> bool:
    """Whether the call has sent something."""
    return call.path.startswith("socket:") and call.result > 0


def steps_of(message: Kept, calls: Sequence[Call]) -> Steps:
    """Find the calls that concern the message. Raises AssertionError if one is missing."""

    def only(found: Iterator[Call], what: str) -> Call:
        call = next(found, None)
        assert call is not None, f"{message}: no {what}"
        return call

    # As nats-server stores it: length, sequence, time in ns, length of the subject, subject. (Little endian.)
    record = struct.pack("<Q", message.sequence)
    folder = f"/streams/{message.stream}/msgs/"
    subject = message.subject.encode()
    write = only(
        (call for call in calls if folder in call.path and record in call.data and subject in call.data), "write"
    )
    sent = list(filter(is_send, calls))
    ack = b'"stream":"%b","seq":%d' % (message.stream.encode(), message.sequence)
    place = b"Nats-Sequence: %d\r\n" % message.sequence
    return Steps(
        write,
        tuple(call for call in calls if is_sync(call, write)),
        only((call for call in sent if ack in call.data), "ack"),
        only((call for call in sent if place in call.data and subject in call.data), "live message"),
    )


async def until_acked(js: JetStream, request_seq: int) -> None:
    """Wait until ws_bridge has the acks of its writes: it deletes the request only after that of the final report."""

    async def deleted() -> bool:
        return await js.get(NAMES.sessions_stream, request_seq) is None

    await until(deleted, "the request is deleted", timeout_s=30)


async def traced_request(server: NatsServer, folder: Path, logs: Logs) -> tuple[list[Kept], list[Call]]:
    """One request to a whole node, while nats-server is traced: its request, its claim and its final report."""
    stack = Stack(server, folder, logs, TTS_AUDIO_MAX_BYTES=256 << 20, SYNTH_SLOTS=1)
    seen: list[tuple[int, Report]] = []

    def on_report(_subject: str, _reply: str, data: bytes, headers: Headers) -> None:
        seen.append((place_of(headers)[1], Report.decode(data)))

    try:
        await stack.start("oraserver")
        await stack.start("synth", "ws_bridge")
        async with Broker(server.url, name="test", connect_timeout_s=10) as broker:
            await broker.subscribe(NAMES.report(SESSION, REQUEST), on_report)
            async with Trace(server.pid, folder, logs) as trace:
                report = await Client(broker).say(
                    "Good.", session_id=SESSION, phone_id="p", request_id=REQUEST, fire_and_forget=False, wait_s=40
                )
                assert isinstance(report, Report)
                await until_acked(JetStream(broker), report.request_seq)
    finally:
        stack.kill()
    assert report.status == "delivered", report
    claim, final = seen[0], seen[-1]
    assert claim[1].status == "synthesizing" and final[1].status in FINAL, seen
    stored = NAMES.report(SESSION, REQUEST)
    messages = [
        Kept("request", NAMES.sessions_stream, report.request_seq, NAMES.session_request(SESSION)),
        Kept("claim", NAMES.reports_stream, claim[0], stored),
        Kept("final report", NAMES.reports_stream, final[0], stored),
    ]
    return messages, trace.calls()


@pytest.mark.parametrize("sync", list(Sync))
async def test_message_is_synced_before_its_ack_only_with_always(tmp_path: Path, logs: Logs, sync: Sync) -> None:
    """`kill -9` loses nothing either way: the file was written before the ack."""
    server = NatsServer(tmp_path, logs, sync=sync)
    try:
        await server.start()
        messages, calls = await traced_request(server, tmp_path, logs)
    finally:
        server.kill()
    for message in messages:
        steps = steps_of(message, calls)
        assert steps.write.ended < min(steps.ack.began, steps.live.began), (message, steps)
        assert steps.synced_first is (sync is Sync.ALWAYS), (message, steps)


async def syncs_in_a_cluster(folder: Path, logs: Logs, sync: Sync) -> int:
    """How many of three servers had synced a report when its ack was sent to the publisher."""
    data = b"a report that no other message contains"
    cluster = NatsCluster(folder, logs, 3, sync=sync)
    folders = [folder / f"trace-{number}" for number in range(3)]
    try:
        await cluster.start()
        async with Broker(cluster.url, name="test", connect_timeout_s=20) as broker, AsyncExitStack() as traced:
            js = JetStream(broker)
            configs = {config["name"]: config for config in stream_configs(NAMES, StreamLimits(replicas=3))}
            await until_placed(lambda: ensure_stream(js, configs[NAMES.reports_stream]))
            traces = []
            for server, each in zip(cluster.servers, folders, strict=True):
                each.mkdir()
                traces.append(await traced.enter_async_context(Trace(server.pid, each, logs)))
            ack = await js.store(NAMES.put_report(SESSION, REQUEST), data)
            await broker.round_trip()
    finally:
        await cluster.stop()
    of_server = [trace.calls() for trace in traces]
    reply = b'"stream":"%b","seq":%d' % (NAMES.reports_stream.encode(), ack.sequence)
    sent_s = min(call.began_s for calls in of_server for call in calls if is_send(call) and reply in call.data)
    writes = [next(call for call in calls if "/_js_/" in call.path and data in call.data) for calls in of_server]
    assert sorted(write.ended_s for write in writes)[1] < sent_s, "no majority had written it"
    return sum(
        any(is_sync(call, write) and call.result == 0 and call.ended_s < sent_s for call in calls)
        for calls, write in zip(of_server, writes, strict=True)
    )


async def test_majority_has_synced_before_the_ack_only_with_always(tmp_path: Path, logs: Logs) -> None:
    for sync in Sync:
        (tmp_path / sync).mkdir()
    assert await syncs_in_a_cluster(tmp_path / Sync.ALWAYS, logs, Sync.ALWAYS) >= 2
    assert await syncs_in_a_cluster(tmp_path / Sync.PERIODIC, logs, Sync.PERIODIC) == 0
