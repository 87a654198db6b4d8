"""What 32 KiB of audio cost in one process, without sockets and NATS: frames of v1, and frames and rules of v2."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable

from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.contract.oraserver.from_bridge import AudioRange, BridgeHello
from orastream.contract.oraserver.from_server import ServerHello, StreamAck, StreamOpened, unpack_from_server
from orastream.delivery.rules.speech import Speech
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.multiplex import Multiplex
from orastream.delivery.rules.streams.out_stream import OutStream
from orastream.delivery.rules.streams.stream_terms import StreamRequest
from orastream.delivery.websocket.frames import FrameTemplate
from orastream.delivery.websocket.masking import FIN_BINARY, FIN_TEXT, masked_frame
from tests.bench.measure import median, number, table

AUDIO = os.urandom(32 << 10)
CREDIT = 1 << 20
ROUNDS, TIMES = 7, 2_000
BYTES_PER_S = 48_000.0
KEY = b"\x01\x02\x03\x04"
START = AudioStart(1, "wav", 24_000, 1, "bench", "ko-KR", "1", None)


def measure() -> str:
    """The table; medians of several rounds. A process that does nothing else has warm caches, unlike a bridge."""
    rows = [
        ["v1: base64, JSON and masking", number(_us(_v1()), 1)],
        ["v2: msgpack and masking", number(_us(_v2_frame()), 1)],
        ["v2: the same, the rules, and an ack for each 64 KiB", number(_us(_v2_rules()), 1)],
    ]
    return table(["for 32 KiB of PCM, without I/O", "us"], rows)


def _us(step: Callable[[], object]) -> float:
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(TIMES):
            step()
        rounds.append((time.perf_counter() - began) / TIMES * 1e6)
    return median(rounds)


def _v1() -> Callable[[], object]:
    template = FrameTemplate(Speech("session", "phone", "request", "token", "Good."), START)
    chunk = AudioChunk(1, 1, 0, 0, AUDIO)
    return lambda: masked_frame(FIN_TEXT, template.chunk(chunk), KEY)


def _v2_frame() -> Callable[[], object]:
    return lambda: masked_frame(FIN_BINARY, AudioRange(1, 0, AUDIO).parts(), KEY)


def _v2_rules() -> Callable[[], object]:
    """A stream whose caller waits for the end: no pacing."""
    now = 1.0
    connection = Multiplex(BridgeHello(2, "node", "bridge", "bench"), itertools.count(1))
    connection.received(ServerHello(2, CREDIT, 1_000, ("wav",), 0), now)
    request = StreamRequest("session", "phone", "request", 1, 1, START, fresh=True, paced_until=0.0)
    stream = OutStream(request, Listener(), connection.limits, BYTES_PER_S)
    connection.add(stream, now)
    connection.poll(now)
    connection.poll(now)
    connection.received(StreamOpened(stream.number, 0, CREDIT), now)

    def step() -> None:
        nonlocal now
        now += 0.001
        offset = stream.offered_bytes
        stream.offer(offset, AUDIO, round(offset / BYTES_PER_S * 1000))
        connection.offered(stream, now)
        while isinstance(message := connection.poll(now), AudioRange):
            masked_frame(FIN_BINARY, message.parts(), KEY)
        if (sent := stream.offered_bytes) % (64 << 10) == 0:
            ack = StreamAck(stream.number, sent, sent + CREDIT, connection.frames)
            connection.received(unpack_from_server(ack.pack()) or ack, now)
            connection.poll(now)
        connection.next_time(now)
        connection.changed.clear()
        assert not stream.unsent_bytes

    return step
