"""The load: publishes synthetic utterances live, as fast as the receiver reads them.

Several sessions have utterances at the same time, one after the other in each. Chunks go through the real publish
window into the real streams. At most `ahead` chunks are published beyond the sink's count: the naive forwarders read
only live subjects, and would lose messages as slow consumers. With `requests` each utterance also gets its request and
its claim, as synth writes them.

    python -m tests.bench.load --nats URL --sink 127.0.0.1:PORT [--chunk-bytes 32768] [--seconds 2] [--requests]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import uvloop

from orastream.broker import Broker
from orastream.contract import codec
from orastream.contract.audio import PcmSpec
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.messages import Report
from orastream.jetstream.api import JetStream
from orastream.jetstream.publish_window import PublishWindow
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.bench.sink_counts import SinkCounts
from tests.support.names import NAMES

TEXT = "안녕하세요. 주문하신 커피가 나왔습니다. 맛있게 드세요."
SPEC = PcmSpec(24_000)
PUT_PREFIX = NAMES.put_audio("*", "*").removesuffix(".*.*")
SINK_POLL_S = 0.004
SETTLE_S = 0.1
STALLED_S = 10.0
WARM_UP_CHUNKS = 16
LATENCY_PAUSE_S = 0.01


class Stalled(RuntimeError):
    """The sink got fewer or more chunks than were published."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The amount and the speed of the load."""

    chunk_bytes: int
    utterance_chunks: int = 48
    """Number of chunks of one utterance: at 32 KiB about half a minute of speech."""
    seconds: float = 2.0
    max_chunks: int = 4_000
    sessions: int = 4
    ahead: int = 256
    """Maximum number of chunks published beyond the sink's count."""
    window: int = 256
    """Maximum number of publishes without an ack."""
    requests: bool = False
    waits: bool = False
    """Whether the caller of each request waits for its end: then protocol v2 sends without regard to the listener."""
    put_prefix: str = PUT_PREFIX


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a run."""

    chunks: int
    seconds: float
    """Seconds from the first publish to the last arrival."""
    held_back: float
    """Share of the time that the publisher waited for the receiver. Near 0 the publisher was the bottleneck."""


class Load:
    """Publishes utterances. One for each contender and chunk size. `async with` connects and creates the streams."""

    def __init__(self, nats_url: str, sink: tuple[str, int], plan: Plan) -> None:
        self._plan = plan
        self._broker = Broker(nats_url, name="bench-load", connect_timeout_s=10)
        self._js = JetStream(self._broker)
        self.window = PublishWindow(self._broker, max_messages=plan.window, max_bytes=64 << 20)
        self.sink = SinkCounts(sink)
        self._audio = voice(plan.chunk_bytes)
        self._sent = 0
        self._ended = 0
        self._arrived = 0
        self._completed = 0
        self._last_arrival_ns = 0
        self._progress = asyncio.Event()
        self._held_back_s = 0.0
        self._utterances = 0
        self._stack = contextlib.AsyncExitStack()
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._broker)
        await StreamKeeper(self._js, StreamLimits()).ensure()
        await self._stack.enter_async_context(self.window)
        await self._stack.enter_async_context(self.sink)
        self._following = asyncio.create_task(self._follow_sink())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._stack.aclose()

    async def warm_up(self) -> None:
        """Publish a short utterance in each session, to open connections and warm up code. Raises Stalled."""
        await self._speak(self._plan.sessions, WARM_UP_CHUNKS)
        await self.all_arrived()
        await asyncio.sleep(SETTLE_S)

    async def run(self) -> Run:
        """Publish at full speed for the plan's seconds or chunks, until all chunks have arrived. Raises Stalled."""
        plan, before = self._plan, self._sent
        self._held_back_s = 0.0
        began_ns = time.monotonic_ns()
        while True:
            left = plan.max_chunks - (self._sent - before)
            published_s = (time.monotonic_ns() - began_ns) / 1e9
            if left <= 0 or published_s >= plan.seconds:
                break
            await self._speak(plan.sessions, min(plan.utterance_chunks, -(-left // plan.sessions)))
        await self.all_arrived()
        seconds = (self._last_arrival_ns - began_ns) / 1e9
        await asyncio.sleep(SETTLE_S)  # includes the contender's work after the last frame
        return Run(self._sent - before, seconds, self._held_back_s / max(published_s, 1e-9))

    async def latencies_ms(self, chunks: int) -> tuple[float, ...]:
        """Time from the publish of a chunk to its last byte at the sink, one chunk at a time. Raises Stalled."""
        before, published_ns = self._arrived, []
        async with self.utterance(0, chunks) as put:
            await asyncio.sleep(SETTLE_S)
            for index in range(chunks):
                published_ns.append(time.monotonic_ns())
                await put(index)
                await asyncio.sleep(LATENCY_PAUSE_S)
        await self.all_arrived()
        arrived_ns = await self.sink.arrivals_ns(before)
        return tuple((b - a) / 1e6 for a, b in zip(published_ns, arrived_ns, strict=True))

    async def _speak(self, sessions: int, chunks: int) -> None:
        """Publish one utterance in each session, one chunk of each in turn."""
        async with contextlib.AsyncExitStack() as stack:
            opening = [stack.enter_async_context(self.utterance(i, chunks)) for i in range(sessions)]
            puts = await asyncio.gather(*opening)
            for index in range(chunks):
                for put in puts:
                    await put(index)

    @contextlib.asynccontextmanager
    async def utterance(self, session_number: int, chunks: int) -> Any:
        """Store request and claim (if the plan has them) and `start`; yield `put(index)`; then store `end`."""
        self._utterances += 1
        session, request = f"bench-{session_number}", f"r{self._utterances}"
        subject = f"{self._plan.put_prefix}.{session}.{request}"
        request_seq = await self._ask(session, request) if self._plan.requests else 1
        start = AudioStart(request_seq, "pcm16", SPEC.sample_rate_hz, SPEC.channels, "synthetic", "ko-KR")
        attempt = (
            await self._js.store(subject, start.pack(), message_id=f"{session}.{request}.start", expect_last=0)
        ).sequence
        chunk_ms = SPEC.seconds(self._plan.chunk_bytes) * 1000

        async def put(index: int) -> None:
            await self._room()
            audio = self._audio[index % len(self._audio)]
            chunk = AudioChunk(attempt, index, int(index * chunk_ms), 0, audio)
            self._sent += 1
            await self.window.put(subject, chunk.pack(), f"{session}.{request}.{attempt}.{index}")

        yield put
        total = chunks * self._plan.chunk_bytes
        end = AudioEnd(attempt, "complete", chunks, total, SPEC.seconds(total))
        self._ended += 1
        await self.window.put(subject, end.pack(), f"{session}.{request}.{attempt}.end")

    async def _ask(self, session: str, request: str) -> int:
        """Store the request and claim it as synth does; returns the request's sequence."""
        phone = f"phone-{session}"
        body = {
            "text": TEXT,
            "sessionId": session,
            "phoneId": phone,
            "requestId": request,
            "transport": "websocket",
            "fire_and_forget": not self._plan.waits,
            "format": "pcm16",
            "ttlSeconds": 300,
        }
        message_id = f"{session}.{request}"
        ack = await self._js.store(NAMES.request(session), codec.encode(body, "json"), message_id=message_id)
        claim = Report(
            request_id=request,
            session_id=session,
            phone_id=phone,
            request_seq=ack.sequence,
            status="synthesizing",
            transport="websocket",
        )
        await self._js.store(NAMES.put_report(session, request), claim.encode("json"), expect_last=0)
        return ack.sequence

    async def _room(self) -> None:
        """Return when fewer than `ahead` chunks are beyond the sink's count. Raises Stalled."""
        if self._sent - self._arrived < self._plan.ahead:
            return
        began = time.monotonic()
        while self._sent - self._arrived >= self._plan.ahead:
            await self._sink_moves()
        self._held_back_s += time.monotonic() - began

    async def all_arrived(self) -> None:
        """Return when each chunk is stored, and each chunk and `complete` has reached the sink. Raises Stalled."""
        await self.window.flush()
        while self._arrived < self._sent or self._completed < self._ended:
            await self._sink_moves()
        if self._arrived != self._sent or self._completed != self._ended:
            raise Stalled(
                f"more reached the sink than was published: {self._arrived} of {self._sent} chunks, "
                f"{self._completed} of {self._ended} completes"
            )

    async def sessions_ns(self) -> dict[str, list[int]]:
        """When the chunks of each session arrived at the sink, by CLOCK_MONOTONIC."""
        return await self.sink.sessions_ns()

    async def _sink_moves(self) -> None:
        self._progress.clear()
        try:
            async with asyncio.timeout(STALLED_S):
                await self._progress.wait()
        except TimeoutError:
            raise Stalled(
                f"nothing reached the sink for {STALLED_S:g} s: {self._arrived} of {self._sent} chunks, "
                f"{self._completed} of {self._ended} completes"
            ) from None

    async def _follow_sink(self) -> None:
        while True:
            counts = await self.sink.counts()
            if (counts["chunks"], counts["completes"]) != (self._arrived, self._completed):
                self._arrived, self._completed = counts["chunks"], counts["completes"]
                self._last_arrival_ns = counts["last_chunk_ns"]
                self._progress.set()
            await asyncio.sleep(SINK_POLL_S)


def voice(chunk_bytes: int, count: int = 16) -> list[bytes]:
    """`count` different chunks of synthetic speech, PCM16 of SPEC: a gliding pitch with harmonics, syllables, breath.
    It compresses about as well as speech; silence would compress too well and noise not at all.
    """
    samples = chunk_bytes // SPEC.frame_bytes * count
    t = np.arange(samples) / SPEC.sample_rate_hz
    pitch_hz = 140 + 30 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SPEC.sample_rate_hz
    tone = sum(np.sin(k * phase) / k**1.3 for k in range(1, 24))
    syllables = np.clip(np.sin(2 * np.pi * 4 * t) + 0.6, 0, None)
    breath = np.random.default_rng(1).normal(0, 0.02, samples)
    pcm = np.clip((0.2 * tone * syllables + breath) * 12_000, -32_768, 32_767).astype("<i2").tobytes()
    return [pcm[at : at + chunk_bytes] for at in range(0, chunk_bytes * count, chunk_bytes)]


async def main() -> None:
    """Run once against a forwarder that is already running."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nats", required=True)
    parser.add_argument("--sink", required=True, help="host:port")
    parser.add_argument("--chunk-bytes", type=int, default=32_768)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--max-chunks", type=int, default=4_000)
    parser.add_argument("--put-prefix", default=PUT_PREFIX)
    parser.add_argument("--requests", action="store_true", help="with request and claim of each utterance")
    options = parser.parse_args()
    plan = Plan(
        options.chunk_bytes,
        seconds=options.seconds,
        max_chunks=options.max_chunks,
        requests=options.requests,
        put_prefix=options.put_prefix,
    )
    host, _, port = options.sink.rpartition(":")
    async with Load(options.nats, (host, int(port)), plan) as load:
        await load.warm_up()
        print(await load.run())


if __name__ == "__main__":
    uvloop.run(main())
