"""A barge-in with and without records of what was heard: when the next utterance starts, and what the records cost.

Two nodes with eSpeak and a receiver that plays in real time; one writes the records, the other does not. Both speak at
the same time, one request of the one and one of the other in turn, so that other work on the machine disturbs both. In
each session a new request with `supersede` comes every PERIOD_S seconds, while the utterance before it plays. `measure`
blocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from orastream.broker import Broker
from orastream.client.async_client import Client
from orastream.contract.subjects import token
from orastream.jetstream.api import JetStream
from orastream.jetstream.heard_store import HeardStore
from tests.bench.measure import cpu_seconds, median, number, percentile, ratio, table
from tests.bench.processes import Sink
from tests.bench.sink_counts import SinkCounts
from tests.bench.streams import PROTOCOLS, StreamSample, talk
from tests.bench.whole_node import SIX_SECONDS
from tests.support.nats_server import NatsServer
from tests.support.services import Stack

RECORDS = ("on", "off")
SESSIONS = 50
"""Sessions of each node."""
PERIOD_S = 4.0
"""How long an utterance of six seconds plays before the next request of its session is published."""
TURNS = 5
"""Measured requests of each session in one round, besides the first one, which interrupts nothing."""
TALK_SESSIONS, TALK_TURNS = 100, 3
QUIET_S = 3.0
"""After a round: until the last utterances have been played."""
ARRIVED_S, DONE_S = 20.0, 10.0

LATE_GOAL = 1.1
"""Maximum ratio of the median time to the first audio with records to that without. 1.0 within the noise."""


@dataclass(frozen=True, slots=True)
class BargeIns:
    """One round of one node."""

    protocol: str
    records: str
    first_audio_ms: tuple[float, ...]
    """From the publish of a request that supersedes to its first audio at the receiver."""
    bridge_cpu_ms: float
    server_cpu_ms: float
    """CPU of ws_bridge and of nats-server for one utterance, in milliseconds."""


@dataclass(slots=True)
class _Node:
    protocol: str
    records: str
    stack: Stack
    sink: SinkCounts
    client: Client
    js: JetStream
    rounds: int = 0

    def cpu(self) -> tuple[float, float]:
        """CPU seconds of ws_bridge and of nats-server."""
        return cpu_seconds(self.stack.only("ws_bridge").pid), cpu_seconds(self.stack.nats_server.pid)


def measure(rounds: int, quick: bool, say: Callable[[str], None]) -> tuple[str, bool]:
    """The tables, and whether a goal was missed. `say` gets a line about each round of a node."""
    sessions, talk_turns = (20, 1) if quick else (SESSIONS, TALK_TURNS)
    found: list[BargeIns] = []
    for protocol in PROTOCOLS:
        found += asyncio.run(_interrupted(protocol, rounds, sessions, say))
    talks = {protocol: asyncio.run(_talks(protocol, talk_turns, say)) for protocol in PROTOCOLS}
    text, missed = report(found)
    return f"{text}\n\n{_talk_table(talks)}", missed


async def _interrupted(protocol: str, rounds: int, sessions: int, say: Callable[[str], None]) -> list[BargeIns]:
    found = []
    with tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder:
        async with contextlib.AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(_node(Path(folder), protocol, records)) for records in RECORDS]
            for number_of_round in range(rounds):
                began = asyncio.get_running_loop().time() + 0.5
                first, second = nodes if number_of_round % 2 else reversed(nodes)
                later = began + PERIOD_S / sessions / 2
                both = await asyncio.gather(_round(first, sessions, began), _round(second, sessions, later))
                for one in both:
                    say(f"{protocol}, records {one.records}: {number(median(one.first_audio_ms), 1)} ms")
                found += both
    return found


@contextlib.asynccontextmanager
async def _node(folder: Path, protocol: str, records: str) -> AsyncIterator[_Node]:
    """nats-server, synth, ws_bridge and sink as processes of their own."""
    folder = folder / f"{protocol}-{records}"
    folder.mkdir()
    async with Sink("--streams", "--plays") as sink:
        server = NatsServer(folder, {})
        stack = Stack(
            server,
            folder,
            {},
            ORASERVER_WEBSOCKET_URL=sink.ws_url,
            ORASERVER_PROTOCOL=protocol,
            HEARD_RECORDS=records,
            TTS_AUDIO_MAX_BYTES=512 << 20,
        )
        try:
            await server.start()
            await stack.start("synth", "ws_bridge")
            async with (
                SinkCounts(sink.address) as counts,
                stack.client() as client,
                Broker(server.url, name="bench") as broker,
            ):
                yield _Node(protocol, records, stack, counts, client, JetStream(broker))
        finally:
            stack.kill()
            server.kill()


async def _round(node: _Node, sessions: int, began: float) -> BargeIns:
    """Each session says a text from `began` on (the loop's clock), and interrupts it TURNS times."""
    clock = asyncio.get_running_loop().time
    name = f"{node.rounds}"
    node.rounds += 1
    asked_ns: list[list[int]] = [[] for _ in range(sessions)]
    firsts_before = await node.sink.firsts_ns()

    async def session(index: int) -> None:
        for turn in range(TURNS + 2):  # one before the measurement, and one that goes on after it
            await asyncio.sleep(max(0.0, began + (turn + index / sessions) * PERIOD_S - clock()))
            asked_ns[index].append(time.monotonic_ns())
            await node.client.say(
                SIX_SECONDS,
                session_id=f"s{index}",
                phone_id="p",
                request_id=f"{name}-{turn}",
                use_websocket=True,
                fire_and_forget=True,
                supersede=turn > 0,
            )

    async with asyncio.TaskGroup() as group:
        for index in range(sessions):
            group.create_task(session(index))
        await asyncio.sleep(began + PERIOD_S - clock())
        before = node.cpu()
        await asyncio.sleep(began + (TURNS + 1) * PERIOD_S - clock())
        after = node.cpu()
    firsts = await _arrived(node, [len(firsts_before.get(f"s{index}", ())) + TURNS + 2 for index in range(sessions)])
    await asyncio.sleep(QUIET_S)
    await _check_records(node, name, sessions)
    late = [
        (firsts[index][turn - TURNS - 2] - asked_ns[index][turn]) / 1e6
        for index in range(sessions)
        for turn in range(1, TURNS + 1)
    ]
    spent = [(b - a) / (sessions * TURNS) * 1000 for a, b in zip(before, after, strict=True)]
    return BargeIns(node.protocol, node.records, tuple(late), *spent)


async def _arrived(node: _Node, utterances: list[int]) -> list[list[int]]:
    """When the first audio of each utterance came, by session; waits until all `utterances` of each have begun."""
    async with asyncio.timeout(ARRIVED_S):
        while True:
            found = await node.sink.firsts_ns()
            firsts = [found.get(f"s{index}", []) for index in range(len(utterances))]
            if all(len(got) >= wanted for got, wanted in zip(firsts, utterances, strict=True)):
                break
            await asyncio.sleep(0.05)
    assert [len(got) for got in firsts] == utterances, "an utterance has begun twice"
    return firsts


async def _check_records(node: _Node, name: str, sessions: int) -> None:
    """Each utterance was cut in its middle, as its record says; the last one of each session was not cut."""
    store = HeardStore(node.js)
    async with asyncio.timeout(DONE_S):
        for index in range(sessions):
            while True:
                states = await store.of_session(token(f"s{index}"))
                records = [one.heard for one in states if one.heard.request_id.startswith(f"{name}-")]
                if all(record.done for record in records):
                    break
                await asyncio.sleep(0.1)
            records.sort(key=lambda record: record.request_seq)
            assert len(records) == (TURNS + 2 if node.records == "on" else 0), records
            for record in records:
                last = record is records[-1]
                assert (record.cancel_seq is None) == last, record
                assert last or (record.heard_text and record.unheard_text), record
                assert record.heard_by == ("played" if node.protocol == "v2" else "sent"), record


async def _talks(protocol: str, turns: int, say: Callable[[str], None]) -> dict[str, StreamSample]:
    """A conversation without barge-ins, with and without records at the same time."""
    cells = [talk(protocol, TALK_SESSIONS, turns, HEARD_RECORDS=records) for records in RECORDS]
    talks = dict(zip(RECORDS, await asyncio.gather(*cells), strict=True))
    for records, one in talks.items():
        say(f"conversation over {protocol}, records {records}: {number(one.cpu_seconds / one.utterances * 1000, 2)} ms")
    return talks


def report(found: Iterable[BargeIns]) -> tuple[str, bool]:
    """The table of the barge-ins with a line for each goal, and whether one was missed."""
    found = list(found)
    rows, lines = [], []
    for protocol in PROTOCOLS:
        of = {r: [one for one in found if (one.protocol, one.records) == (protocol, r)] for r in RECORDS}
        for records in RECORDS:
            late = [ms for one in of[records] for ms in one.first_audio_ms]
            cpu = (median(one.bridge_cpu_ms for one in of[records]), median(one.server_cpu_ms for one in of[records]))
            latencies = (number(percentile(late, p), 1) for p in (50, 95))
            rows.append([f"{protocol}, records {records}", *latencies, *(number(ms, 2) for ms in cpu), str(len(late))])
        times = {p: _ratio(of, lambda one, p=p: percentile(one.first_audio_ms, p)) for p in (50, 95)}
        spent = [_ratio(of, lambda one: one.bridge_cpu_ms), _ratio(of, lambda one: one.server_cpu_ms)]
        rows.append([f"{protocol}, on to off", *(f"{part:.2f}" for part in (*times.values(), *spent)), ""])
        lines.append(
            f"goal {'met' if times[50] <= LATE_GOAL else 'MISSED'}: over {protocol} the utterance after a barge-in "
            f"starts after {times[50]:.2f} of the time without records (p50; at most {LATE_GOAL:g})"
        )
    headers = ["a barge-in", "first audio p50 ms", "p95 ms", "ws_bridge ms/utterance", "nats-server ms", "utterances"]
    return "\n".join([table(headers, rows), *lines]), any("MISSED" in line for line in lines)


def _ratio(of: dict[str, list[BargeIns]], value: Callable[[BargeIns], float]) -> float:
    """The median of the ratios of each round, with records to without."""
    on, off = ([value(one) for one in of[records]] for records in RECORDS)
    return ratio(on, off)


def _talk_table(talks: dict[str, dict[str, StreamSample]]) -> str:
    rows = []
    for protocol, of in talks.items():
        cpu = {
            r: [s / one.utterances * 1000 for s in (one.cpu_seconds, one.server_cpu_seconds)] for r, one in of.items()
        }
        for records, spent in cpu.items():
            late = (number(percentile(of[records].first_audio_ms, p), 1) for p in (50, 95))
            rows.append([f"{protocol}, records {records}", *late, *(number(ms, 2) for ms in spent)])
        rows.append([f"{protocol}, on to off", "", "", *(f"{a / b:.2f}" for a, b in zip(*cpu.values(), strict=True))])
    headers = ["a conversation", "first audio p50 ms", "p95 ms", "ws_bridge ms/utterance", "nats-server ms"]
    return table(headers, rows)
