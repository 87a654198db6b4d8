"""What `sync_interval: always` of nats-server costs: first audio and accepted requests a second, beside `periodic`.

Two nodes run side by side, and take turns, so that both have the same conditions. The cost depends on the disk below
the folder for temporary files (TMPDIR): how long it takes for an fsync stands under the table. Blocks, so call it in a
thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from orastream.cli.node.nats_config import Sync
from orastream.client.async_client import Client
from orastream.contract.messages import Report
from tests.bench.measure import number, percentile, ratio, table
from tests.bench.node import SHORT
from tests.support.scenes import running_node
from tests.support.services import Stack

AT_ONCE = 32
REQUESTS = 1024
"""Requests of one round."""
PER_SESSION = 32
"""Requests of a session; at most TTS_MAX_PENDING_PER_SESSION."""
FSYNCS = 200
FSYNC_BYTES = 4096


@dataclass
class _Values:
    """What was measured with one setting."""

    first_audio_ms: list[float] = field(default_factory=list)
    alone_per_s: list[float] = field(default_factory=list)
    """Accepted requests a second of each round, one request at a time."""
    together_per_s: list[float] = field(default_factory=list)
    """The same with AT_ONCE requests at a time."""


def measure(utterances: int, rounds: int) -> str:
    """Measure both settings with so many utterances and rounds of requests; returns the table."""
    with tempfile.TemporaryDirectory(prefix="orastream-bench-") as name, contextlib.ExitStack() as nodes:
        folder = Path(name)
        fsyncs_ms = _fsyncs_ms(folder)
        stacks = {}
        for sync in Sync:
            (folder / sync).mkdir()
            stacks[sync] = nodes.enter_context(running_node(folder / sync, {}, replicas=1, sync=sync))
        values = asyncio.run(_measure(stacks, utterances, rounds))
    return _report(values, fsyncs_ms, utterances)


async def _measure(stacks: dict[Sync, Stack], utterances: int, rounds: int) -> dict[Sync, _Values]:
    values = {sync: _Values() for sync in Sync}
    async with contextlib.AsyncExitStack() as closing:
        clients = {
            sync: await closing.enter_async_context(Client(str(stack.settings["NATS_URL"])))
            for sync, stack in stacks.items()
        }
        for utterance in range(utterances + 1):
            for sync, client in clients.items():
                report = await client.say(SHORT, session_id="s", phone_id="p", fire_and_forget=False)
                assert isinstance(report, Report) and report.status == "delivered", report
                assert report.first_audio_ms is not None
                if utterance:  # the first one opens the session's connection
                    values[sync].first_audio_ms.append(report.first_audio_ms)
        for stack in stacks.values():  # only nats-server accepts: the services would take its time
            stack.kill()
        for number_of_round in range(rounds):
            for sync, client in clients.items():
                values[sync].alone_per_s.append(await _accept(client, f"alone-{number_of_round}", 1))
                values[sync].together_per_s.append(await _accept(client, f"{number_of_round}", AT_ONCE))
    return values


async def _accept(client: Client, name: str, callers: int) -> float:
    """Accepted requests a second, of so many callers at once. Each waits for its ack before the next request."""

    async def caller(number_of_caller: int) -> None:
        for request in range(REQUESTS // callers):
            session = f"{name}-{number_of_caller}-{request // PER_SESSION}"
            await client.say(SHORT, session_id=session, phone_id="p", fire_and_forget=True)

    began = time.perf_counter()
    await asyncio.gather(*(caller(number_of_caller) for number_of_caller in range(callers)))
    return REQUESTS / (time.perf_counter() - began)


def _fsyncs_ms(folder: Path) -> list[float]:
    """Milliseconds of one fsync after an append, as nats-server does for each message."""
    times = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            file.write(bytes(FSYNC_BYTES))
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return times


def _report(values: dict[Sync, _Values], fsyncs_ms: list[float], utterances: int) -> str:
    periodic, always = values[Sync.PERIODIC], values[Sync.ALWAYS]
    rows = []
    for percent in (50, 95):
        first = [percentile(each.first_audio_ms, percent) for each in (periodic, always)]
        rows.append(
            [f"first audio, ms, p{percent}", *(number(value, 1) for value in first), f"{first[1] / first[0]:.2f}"]
        )
    for what, slow, fast in (
        ("accepted requests a second, one at a time", always.alone_per_s, periodic.alone_per_s),
        (f"the same, {AT_ONCE} at a time", always.together_per_s, periodic.together_per_s),
    ):
        medians = (percentile(fast, 50), percentile(slow, 50))
        rows.append([what, *map(number, medians), f"{ratio(slow, fast):.2f}"])
    fsync = " / ".join(number(percentile(fsyncs_ms, percent), 2) for percent in (50, 95))
    return (
        table([f"sync_interval ({utterances} utterances)", "periodic", "always", "ratio"], rows)
        + f"\nfsync of {FSYNC_BYTES >> 10} KiB on this disk, ms, p50 / p95: {fsync}"
    )
