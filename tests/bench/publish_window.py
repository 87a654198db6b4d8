"""JetStream publishing through a window of unacked messages against awaiting each ack: messages a second.

python -m tests.bench.publish_window
"""

from __future__ import annotations

import time

import uvloop

from orastream.broker import Broker
from orastream.jetstream.api import JetStream
from orastream.jetstream.publish_window import PublishWindow
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.bench.measure import median, number, ratio, table
from tests.bench.processes import NatsServer

SIZES = (4 << 10, 32 << 10)
WINDOW = 256
MESSAGES = 2_000


async def measure(rounds: int, messages: int = MESSAGES) -> str:
    """Measure both ways, alternating in each round on one server, and return the table."""
    rates: dict[tuple[str, int], list[float]] = {}
    async with NatsServer() as server, Broker(server.url, name="bench-window", connect_timeout_s=10) as broker:
        js = JetStream(broker)
        await StreamKeeper(js, StreamLimits()).ensure()
        for number_of_round in range(rounds):
            for size in SIZES:
                for name, publish in (("await each", _await_each), (f"window of {WINDOW}", _windowed)):
                    await js.api("STREAM.PURGE.TTS_AUDIO")
                    began = time.perf_counter()
                    await publish(js, f"tts.put.audio.bench.{number_of_round}", bytes(size), messages, name)
                    rates.setdefault((name, size), []).append(messages / (time.perf_counter() - began))
    rows = []
    for size in SIZES:
        each, windowed = rates["await each", size], rates[f"window of {WINDOW}", size]
        rows.append(
            [f"{size >> 10} KiB", number(median(each)), number(median(windowed)), f"{ratio(windowed, each):.1f}x"]
        )
    return table(["stored messages a second", "await each", f"window of {WINDOW}", "ratio"], rows)


async def _await_each(js: JetStream, subject: str, data: bytes, messages: int, name: str) -> None:
    for index in range(messages):
        await js.store(subject, data, message_id=f"{name}.{subject}.{len(data)}.{index}")


async def _windowed(js: JetStream, subject: str, data: bytes, messages: int, name: str) -> None:
    async with PublishWindow(js.broker, max_messages=WINDOW, max_bytes=64 << 20) as window:
        for index in range(messages):
            await window.put(subject, data, f"{name}.{subject}.{len(data)}.{index}")
        await window.flush()


if __name__ == "__main__":
    print(uvloop.run(measure(3)))
