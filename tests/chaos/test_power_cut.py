"""A node whose nats-server ends without warning, and a new node on what is left of its data directory.

What is left is made in two ways, while the node is under load:

- A copy, which is what `kill -9` leaves: all written bytes are there, synced or not. nats-server stands still (SIGSTOP)
  while its files are copied. If it ran, the files would be of different moments, and no crash leaves such files. The
  copy shows that a node starts from files that nobody has closed. It cannot show that a sync is missing.
- A power cut, computed from nats-server's system calls: only synced bytes are there (`tests/support/power_cut.py`).

In both, each request that was acked must be there, stored or with its final report, and each stored request must get
its final report from the new node. After the power cut no stream may end before a sequence that it has acked. A power
cut with `periodic` must lose acked requests: otherwise the test could not see a loss. TRIES=10 repeats the tests ten
times, with other moments.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orastream.broker import Broker
from orastream.cli.node.nats_config import Sync
from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.errors import OrastreamError
from orastream.jetstream import management
from orastream.jetstream.api import JetStream
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.power_cut import Disk
from tests.support.processes import Logs, until
from tests.support.services import Stack
from tests.support.strace import Call, Trace, require_strace

__all__ = ["require_strace"]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

TRIES = int(os.environ.get("TRIES", "1"))
SESSIONS_AT_ONCE, REQUESTS = 8, 40
PAUSE_S = 0.4
"""So long that some requests are final when the server ends, some are spoken, and some wait."""
SERVICES = ("synth", "ws_bridge", "http_bridge")
ACK = re.compile(rb'\{"stream":"([^"]+)","seq":(\d+)')
FINAL_S = 60.0


@dataclass(frozen=True)
class Acked:
    """What nats-server had acked when it ended."""

    requests: Collection[int]
    """The sequences of the requests."""
    last: Mapping[str, int]
    """The highest sequence of each stream, as far as it is known."""

    def of(self, load: Load) -> list[Acceptance]:
        """The requests."""
        return [each for each in load.accepted if each.request_seq in self.requests]


@dataclass
class Load:
    """Requests to a node, several sessions at once, over both transports. `accepted` holds those that were acked."""

    accepted: list[Acceptance] = field(default_factory=list)

    async def run(self, client: Client) -> None:
        """Publish REQUESTS requests, each session its own one after the other."""

        async def session(number: int) -> None:
            for request in range(number, REQUESTS, SESSIONS_AT_ONCE):
                with contextlib.suppress(OrastreamError):  # nats-server stands still, or the node has ended
                    accepted = await client.say(
                        "Good. Thank you very much.",
                        session_id=f"s{number}",
                        phone_id="p",
                        request_id=f"r{request}",
                        use_websocket=number % 2 == 0,
                        fire_and_forget=True,
                    )
                    assert isinstance(accepted, Acceptance)
                    self.accepted.append(accepted)
                await asyncio.sleep(PAUSE_S)

        await asyncio.gather(*(session(number) for number in range(SESSIONS_AT_ONCE)))


@contextlib.asynccontextmanager
async def a_node(folder: Path, logs: Logs, sync: Sync) -> AsyncIterator[tuple[NatsServer, Stack]]:
    """nats-server, running, and the services of a node, not started. They are killed at the end."""
    server = NatsServer(folder, logs, name=f"nats-{folder.name}", sync=sync)
    stack = Stack(server, folder, logs, TTS_AUDIO_MAX_BYTES=256 << 20, SYNTH_SLOTS=2, TTS_ENGINE_RTF=0.1)
    try:
        await server.start()
        yield server, stack
    finally:
        stack.kill()
        server.kill()


async def lost(js: JetStream, accepted: Collection[Acceptance]) -> list[Acceptance]:
    """The requests that are neither stored nor have a final report."""
    client = Client(js.broker)
    gone = []
    for each in accepted:
        if await js.get(NAMES.sessions_stream, each.request_seq) is None:
            report = await client.report(each.session_id, each.request_id)
            if report is None or not report.final:
                gone.append(each)
    return gone


async def stored(js: JetStream) -> set[int]:
    """The sequences of the stored requests."""
    found, after = set(), 0
    while (message := await js.after(NAMES.sessions_stream, NAMES.session_request("*"), after)) is not None:
        after = message.sequence
        found.add(after)
    return found


async def check_new_node(folder: Path, logs: Logs, load: Load, acked: Acked) -> str:
    """Start a node in `folder`, and check what the module's docstring promises. Returns what was found, in words."""
    async with (
        a_node(folder, logs, Sync.ALWAYS) as (server, stack),
        Broker(server.url, name="test", connect_timeout_s=10) as broker,
    ):
        js, client = JetStream(broker), Client(broker)
        assert await lost(js, acked.of(load)) == []
        for stream, sequence in acked.last.items():
            state = (await management.stream_info(js, stream))["state"]
            assert state["last_seq"] >= sequence, f"{stream} has acked {sequence}, and ends at {state['last_seq']}"
        waiting = await stored(js)
        await stack.start("oraserver", *SERVICES)
        of_sequence = {each.request_seq: each for each in load.accepted}
        assert waiting <= set(of_sequence), "a stored request that nobody has published"
        for sequence in waiting:
            each = of_sequence[sequence]
            report = await client.wait(each.session_id, each.request_id, FINAL_S)
            assert report.status == "delivered", report
        assert await lost(js, acked.of(load)) == []
    return f"{len(acked.requests)} requests acked, {len(waiting)} stored and not final; all delivered"


@pytest.mark.parametrize("attempt", range(TRIES))
async def test_copy_of_a_running_node_is_completed_by_a_new_node(
    tmp_path: Path, logs: Logs, attempt: int, record_property: Callable[[str, object], None]
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    load = Load()
    async with a_node(before, logs, Sync.ALWAYS) as (server, stack):
        await stack.start("oraserver", *SERVICES)
        async with Client(server.url) as client:
            running = asyncio.create_task(load.run(client))
            moment = random.Random(attempt).randrange(REQUESTS // 4, REQUESTS * 3 // 4)

            async def reached() -> bool:
                return len(load.accepted) >= moment

            await until(reached, f"{moment} requests are acked", timeout_s=60)
            server.freeze()
            acked = Acked({each.request_seq for each in load.accepted}, {})
            await asyncio.to_thread(shutil.copytree, server.data, after / f"nats-{after.name}")
            server.thaw()
            await running
    record_property("figure", f"copy {attempt}: {await check_new_node(after, logs, load, acked)}")


async def traced_load(folder: Path, logs: Logs, sync: Sync, *, new: bool) -> tuple[Disk, Load, list[Call]]:
    """The load on a node: the disk at the beginning of the trace, and the system calls of nats-server since then.

    With `new` the trace begins before the streams are created. Otherwise they are there, and count as synced.
    """
    folder.mkdir()
    load = Load()
    async with a_node(folder, logs, sync) as (server, stack):
        if not new:
            await stack.start("oraserver", *SERVICES)
        server.freeze()
        async with Trace(server.pid, folder, logs) as trace:
            disk = Disk(server.data)
            server.thaw()
            if new:
                await stack.start("oraserver", *SERVICES)
            async with Client(server.url) as client:
                await load.run(client)
    assert len(load.accepted) == REQUESTS
    return disk, load, trace.calls()


def cut(disk: Disk, calls: Sequence[Call], folder: Path, chance: random.Random) -> Acked:
    """Cut the power at a random call; what is left goes into `folder`."""
    acks = [
        (call.ended, ack[1].decode(), int(ack[2]))
        for call in calls
        if call.path.startswith("socket:")
        for ack in ACK.finditer(call.data)
    ]
    moments = [ended for ended, stream, _ in acks if stream == NAMES.sessions_stream]
    at = chance.randrange(moments[REQUESTS // 4], moments[REQUESTS * 3 // 4])
    disk.run(call for call in calls if call.ended <= at)
    # In half of the tries every unsynced byte is lost. In the others some have reached the disk.
    disk.after_power_cut(folder, chance if chance.random() < 0.5 else None)
    last: dict[str, int] = {}
    for ended, stream, sequence in acks:
        if ended <= at and not stream.startswith("OBJ_"):
            last[stream] = max(sequence, last.get(stream, 0))
    return Acked(
        {sequence for ended, stream, sequence in acks if ended <= at and stream == NAMES.sessions_stream}, last
    )


@pytest.mark.usefixtures("require_strace")
@pytest.mark.parametrize("attempt", range(TRIES))
async def test_power_cut_loses_nothing_that_was_acked(
    tmp_path: Path, logs: Logs, attempt: int, record_property: Callable[[str, object], None]
) -> None:
    disk, load, calls = await traced_load(tmp_path / "before", logs, Sync.ALWAYS, new=True)
    after = tmp_path / "after"
    acked = cut(disk, calls, after / f"nats-{after.name}", random.Random(attempt))
    record_property("figure", f"power cut {attempt}: {await check_new_node(after, logs, load, acked)}")


@pytest.mark.usefixtures("require_strace")
async def test_power_cut_loses_acked_requests_without_always(tmp_path: Path, logs: Logs) -> None:
    disk, load, calls = await traced_load(tmp_path / "before", logs, Sync.PERIODIC, new=False)
    after = tmp_path / "after"
    acked = cut(disk, calls, after / f"nats-{after.name}", random.Random(0))
    async with (
        a_node(after, logs, Sync.PERIODIC) as (server, _),
        Broker(server.url, name="test", connect_timeout_s=10) as broker,
    ):
        assert await lost(JetStream(broker), acked.of(load)) != []
