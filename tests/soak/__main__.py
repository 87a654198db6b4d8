"""Runs a node under the load of many short conversations, and shows memory, descriptors and latency by time.

Sessions come and go; some utterances are interrupted; OraServer's connections break once a minute. synth's engine
processes are shown apart. At the end the last minute is compared with the minute after the first thousand sessions.
Exit code 1: memory has grown by more than 20 % (that of the engines: to more than 64 MiB each), descriptors by more
than 20, the median latency to more than three times, or a request failed; the folder with all logs is kept and named.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp
import structlog

from orastream.client.async_client import Client
from tests.soak.conversations import Conversations
from tests.soak.samples import FIRST_SESSIONS, WINDOW, Sample, descriptors_of, memory_of, parts, problems
from tests.support.nats_server import NatsServer
from tests.support.processes import free_port
from tests.support.services import ServiceProcess, Stack
from tests.support.tcp_proxy import TcpProxy

SERVICES = ("synth", "ws_bridge", "http_bridge", "gateway")
SAMPLE_S = 10.0
ROW_SAMPLES = 6
"""Samples for each row of the table."""
BREAK_S = 60.0
BROKEN_S = 0.5
RETENTION_S = 60
"""How long audio is kept, so that its stream is full of old audio early, not at the end."""
RTF, SLOTS = 0.1, 8
"""The engine is slowed down, so that a barge-in meets an utterance that is being spoken."""
MAX_ENGINE_BYTES = 64 << 20
"""Of one eSpeak process: about 22 MiB after its start, and `EspeakEngine.max_growth_mb`."""
GOOD = frozenset({"delivered", "cancelled"})


async def soak(minutes: float, per_second: float, seed: int, folder: Path) -> int:
    """Run for so long, print a row a minute. Returns the exit code; prints why it is not 0."""
    with _node(folder) as stack:
        await stack.nats_server.start()
        await stack.start("oraserver")
        async with _proxy(stack) as proxy:
            to = f"127.0.0.1:{proxy.port}"
            services = await stack.start(
                *SERVICES, ORASERVER_WEBSOCKET_URL=f"ws://{to}/ws/tts", ORASERVER_HTTP_URL=f"http://{to}/api/tts"
            )
            async with Client(stack.nats_server.url) as client:
                load = Conversations(client, per_second, seed)
                samples = await _observed(load, services, stack, proxy, minutes * 60)
    print(f"\n{load.begun} sessions, {load.barge_ins} barge-ins; requests: {_shown(load)}")
    found = problems(samples, {"synth's engines": SLOTS * MAX_ENGINE_BYTES})
    if bad := {status: count for status, count in load.statuses.items() if status not in GOOD}:
        found.append(f"requests that ended otherwise than delivered or cancelled: {bad}")
    print("\n".join(found) or f"flat: as after the first {FIRST_SESSIONS} sessions")
    return int(bool(found))


@contextlib.contextmanager
def _node(folder: Path) -> Iterator[Stack]:
    server = NatsServer(folder, {})
    stack = Stack(
        server,
        folder,
        {},
        TTS_AUDIO_MAX_BYTES=512 << 20,
        TTS_AUDIO_RETENTION_SECONDS=RETENTION_S,
        TTS_ENGINE_RTF=RTF,
        SYNTH_SLOTS=SLOTS,
    )
    try:
        yield stack
    finally:
        stack.kill()
        server.kill()


@contextlib.asynccontextmanager
async def _proxy(stack: Stack) -> AsyncIterator[TcpProxy]:
    proxy = TcpProxy(stack.oraserver_port, port=free_port())
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


async def _observed(
    load: Conversations, services: list[ServiceProcess], stack: Stack, proxy: TcpProxy, seconds: float
) -> list[Sample]:
    """Run the load and the breaks for so long, and take samples."""
    samples: list[Sample] = []
    began = time.monotonic()
    processes = {process.service: process.pid for process in services}
    print("  min  sessions  first audio p50, p95 ms   MiB (descriptors) of " + ", ".join(parts(processes)), flush=True)
    async with asyncio.TaskGroup() as group:
        helpers = [group.create_task(load.run()), group.create_task(_breaks(proxy)), group.create_task(_forget(stack))]
        while time.monotonic() < began + seconds:
            await asyncio.sleep(SAMPLE_S)
            of = parts(processes)
            memory = {name: memory_of(pids) for name, pids in of.items()}
            descriptors = {name: descriptors_of(pids) for name, pids in of.items()}
            sample = Sample(time.monotonic() - began, load.begun, memory, descriptors, load.latencies_ms())
            samples.append(sample)
            if len(samples) % ROW_SAMPLES == 0:
                print(_row(samples[-ROW_SAMPLES:]), flush=True)
        for helper in helpers:
            helper.cancel()
    return samples


async def _breaks(proxy: TcpProxy) -> None:
    """Cut all connections to OraServer again and again."""
    while True:
        await asyncio.sleep(BREAK_S)
        proxy.cut()
        await asyncio.sleep(BROKEN_S)
        proxy.heal()


async def _forget(stack: Stack) -> None:
    """Have the reference OraServer forget what it has received: its memory is not what is measured."""
    async with aiohttp.ClientSession() as http:
        while True:
            await asyncio.sleep(SAMPLE_S)
            async with http.delete(f"{stack.oraserver_url}/received") as answer:
                answer.raise_for_status()


def _row(samples: Sequence[Sample]) -> str:
    """The last sample, with the latencies of all."""
    last = samples[-1]
    minute = replace(last, latencies_ms=[ms for sample in samples for ms in sample.latencies_ms])
    held = ", ".join(f"{size / 2**20:.0f} ({last.descriptors[name]})" for name, size in last.memory.items())
    quantiles = f"{minute.latency_ms(0.5):.0f}, {minute.latency_ms(0.95):.0f}"
    return f"{last.at_s / 60:5.1f}  {last.sessions:8}  {quantiles:>23}   {held}"


def _shown(load: Conversations) -> str:
    return ", ".join(f"{count} {status}" for status, count in load.statuses.most_common())


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(
        prog="make soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="30 for 10 000 sessions (5)")
    parser.add_argument("--per-second", type=float, default=6.0, help="sessions begun in a second (6)")
    parser.add_argument("--seed", type=int, default=1, help="of the workload (1)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs in any case")
    options = parser.parse_args()
    least = (FIRST_SESSIONS / options.per_second + 2 * WINDOW * SAMPLE_S) / 60
    if options.minutes < least:
        parser.error(f"--minutes: {least:.1f} or more, for {FIRST_SESSIONS} sessions and the two minutes to compare")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    folder = Path(tempfile.mkdtemp(prefix="orastream-soak-"))

    async def run() -> int:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # as Ctrl-C: ends the processes
        return await soak(options.minutes, options.per_second, options.seed, folder)

    code = 128 + signal.SIGTERM
    with contextlib.suppress(asyncio.CancelledError):
        code = asyncio.run(run())
    if code or options.keep:
        print(f"logs: {folder}")
    else:
        shutil.rmtree(folder)
    return code


if __name__ == "__main__":
    sys.exit(main())
