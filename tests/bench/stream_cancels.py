"""How long audio of a cancelled stream still leaves: in process, a pool and its links against the sink.

One connection is busy with streams that never end. Others begin on it, and are cancelled at random moments. Measured
is from the call of `cancel` until the last audio of the stream, and the `cancel` itself, have arrived at the sink.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from orastream.contract.audio import PcmSpec
from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.contract.oraserver.from_bridge import BridgeHello, CancelUtterances
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.stream_terms import StreamRequest
from orastream.delivery.websocket.pool import OraServerPool, PoolSettings
from orastream.delivery.websocket.stream_link import StreamLink
from tests.bench.measure import number, percentile, table
from tests.bench.processes import Sink
from tests.bench.sink_counts import SinkCounts

BUSY, CANCELLED = 20, 10
"""Streams that never end, and streams that are cancelled, at a time."""
CHUNK_BYTES = 32 << 10
SPEC = PcmSpec(24_000)
MIN_S, MAX_S = 0.005, 0.08
"""From the begin of a stream until its cancel."""
GOAL_MS = 50.0


@dataclass(slots=True)
class _Session:
    """One link, and what is spoken over it."""

    pool: OraServerPool
    name: str
    seq: int = 0
    sent_ns: dict[int, int] = field(default_factory=dict)
    """When the cancel of each sequence was asked for."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _link: StreamLink | None = None
    _listener: Listener = field(default_factory=Listener)

    async def speak(self, seconds: float) -> None:
        """Send audio for so long, as fast as the link takes it; without an end."""
        clock = asyncio.get_running_loop().time
        until, self.seq = clock() + seconds, self.seq + 1
        if self._link is None:
            link = await self.pool.link(self.name, "p", self._wake.set)
            assert isinstance(link, StreamLink)
            self._link = link
        link, start = self._link, AudioStart(self.seq, "pcm16", SPEC.sample_rate_hz, 1, "synthetic", "ko-KR")
        link.open(
            StreamRequest(self.name, "p", f"r{self.seq}", self.seq, 1, start, fresh=True, paced_until=float("-inf")),
            self._listener,
        )
        index = 0
        while (left := until - clock()) > 0:
            self._wake.clear()
            if link.lost is not None:
                raise link.lost
            if link.room:
                ms = int(SPEC.seconds(index * CHUNK_BYTES) * 1000)
                link.write(start, AudioChunk(1, index, ms, 0, AUDIO, offset=index * CHUNK_BYTES))
                index += 1
                continue
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                return

    async def cancel(self) -> None:
        """Cancel what is spoken; returns when the sink has answered."""
        assert self._link is not None
        self.sent_ns[self.seq] = time.monotonic_ns()
        pending = self._link.cancel(CancelUtterances(self.name, 1, before=self.seq + 1), self._listener)
        while not pending.over:
            self._wake.clear()
            await self._wake.wait()
        assert pending.cleared is not None, pending


AUDIO = bytes(CHUNK_BYTES)


async def measure(cancels: int) -> tuple[str, str]:
    """The table, and the line about the goal."""
    randomly = random.Random(1)
    async with Sink("--streams") as sink, SinkCounts(sink.address) as counts:
        hello = BridgeHello(2, "bench", "bench", "orastream/0")
        pool = OraServerPool(PoolSettings(sink.ws_url, hello, "v2", max_connections=1))
        sessions = [_Session(pool, f"c{index}") for index in range(CANCELLED)]

        async def one(session: _Session) -> None:
            for _ in range(cancels // CANCELLED):
                await session.speak(randomly.uniform(MIN_S, MAX_S))
                await session.cancel()

        busy = [asyncio.create_task(_Session(pool, f"b{index}").speak(3600)) for index in range(BUSY)]
        began = time.monotonic()
        await asyncio.gather(*map(one, sessions))
        seconds = time.monotonic() - began
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        found, totals = await counts.cancels(), await counts.counts()
        await pool.close()
    assert not totals["faults"] and len(found) == len(sessions) * (cancels // CANCELLED), totals
    last, arrived = _latencies_ms(sessions, found)
    rows = [
        [name, *(number(percentile(values, p), 1) for p in (50, 99, 100))]
        for name, values in (("last audio of the stream", last), ("the cancel", arrived))
    ]
    rate = totals["bytes"] / seconds / (1 << 20)
    missed = percentile(last, 99) > GOAL_MS
    headers = [
        f"ms from the cancel until it is at the sink ({len(last)} cancels, {rate:.0f} MiB/s)",
        "p50",
        "p99",
        "max",
    ]
    return table(headers, rows), (
        f"goal {'MISSED' if missed else 'met'}: the last audio of a cancelled stream leaves within "
        f"{percentile(last, 99):.1f} ms (p99; at most {GOAL_MS:g})"
    )


def _latencies_ms(sessions: list[_Session], found: list[tuple[str, int, int]]) -> tuple[list[float], list[float]]:
    """For each cancel: until the last audio (0: all had come before), and until the cancel."""
    last, arrived = [], []
    for session in sessions:
        at_sink = [entry for entry in found if entry[0] == session.name]
        for sent_ns, (_, cancel_ns, audio_ns) in zip(session.sent_ns.values(), at_sink, strict=True):
            last.append(max(audio_ns - sent_ns, 0) / 1e6)
            arrived.append((cancel_ns - sent_ns) / 1e6)
    return last, arrived
