"""The contenders: each is a process between NATS and a WebSocket, started with two addresses.

To add one: subclass `Contender`, give `argv`, and put it into `all_contenders`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from tests.bench.load import TEXT
from tests.bench.processes import HERE, REPOSITORY, START_S, Process, ProcessFailed

SUBJECT = "tts.audio.*.*"
WITH_DEFLATE, WITHOUT_DEFLATE, FLOOR, REAL = "naive, defaults", "naive, no compression", "C floor", "ws_bridge"
TUNED = "naive, tuned"


class Contender:
    """One process to measure. `wants_requests`: it delivers requests; else it forwards any audio message."""

    name: str
    wants_requests = False
    tuned = False
    """Whether it is a naive forwarder with the faster libraries."""

    def __init__(self) -> None:
        self.process: Process | None = None

    def argv(self, nats_url: str, ws_url: str) -> list[str | Path]:
        """The command line."""
        raise NotImplementedError

    def env(self, nats_url: str, ws_url: str) -> dict[str, str]:
        """Variables that are added to the environment."""
        return {}

    ready = "ready"
    """A part of the stdout line that shows that it accepts work; "" if `wait_ready` checks it instead."""

    async def wait_ready(self) -> None:
        """Return when it accepts work. For contenders that do not print a ready line."""

    async def start(self, nats_url: str, ws_url: str) -> None:
        """Start it and return when it accepts work. Raises ProcessFailed."""
        self.process = Process(self.name, self.argv(nats_url, ws_url), env=self.env(nats_url, ws_url), ready=self.ready)
        await self.process.start()
        await self.wait_ready()

    async def stop(self) -> None:
        """Stop it."""
        if self.process is not None:
            await self.process.stop()

    @property
    def pids(self) -> list[int]:
        """The pids of the processes whose CPU time is measured."""
        assert self.process is not None
        return [self.process.pid]

    def check(self) -> None:
        """Raise ProcessFailed if it has ended."""
        assert self.process is not None
        self.process.check()


class Naive(Contender):
    """naive_forwarder.py, with the default compression of `websockets` or without compression.

    `tuned` (without compression) also gives it uvloop, orjson and pybase64, in place of the standard library.
    """

    def __init__(self, *, compression: bool, tuned: bool = False) -> None:
        super().__init__()
        self._compression = "deflate" if compression else "none"
        self.tuned = tuned
        self.name = TUNED if tuned else WITH_DEFLATE if compression else WITHOUT_DEFLATE

    def argv(self, nats_url: str, ws_url: str) -> list[str | Path]:
        """The command line."""
        options = ["--nats", nats_url, "--ws", ws_url, "--subject", SUBJECT, "--text", TEXT]
        options += ["--compression", self._compression, *(["--tuned"] if self.tuned else [])]
        return [sys.executable, HERE / "naive_forwarder.py", *options]


class Floor(Contender):
    """The C forwarder: the lower bound of the cost."""

    name = FLOOR

    def __init__(self, binary: Path) -> None:
        super().__init__()
        self._binary = binary

    def argv(self, nats_url: str, ws_url: str) -> list[str | Path]:
        """The command line, with hosts and ports as separate arguments, so that the C code need not parse URLs."""
        nats, ws = urlsplit(nats_url), urlsplit(ws_url)
        words = [nats.hostname, nats.port, ws.hostname, ws.port, ws.path, SUBJECT, json.dumps(TEXT, ensure_ascii=False)]
        return [self._binary, *map(str, words)]


class WsBridge(Contender):
    """The real bridge, as `python -m services.ws_bridge`, with acks and metrics."""

    name = REAL
    wants_requests = True
    ready = ""

    def __init__(self, **settings: object) -> None:
        """`settings` are added to the environment; all others have their defaults."""
        super().__init__()
        self._settings = {name: str(value) for name, value in settings.items()}
        self._health_port = 0

    def argv(self, nats_url: str, ws_url: str) -> list[str | Path]:
        """The service's own command."""
        return [sys.executable, "-m", "services.ws_bridge"]

    def env(self, nats_url: str, ws_url: str) -> dict[str, str]:
        """The addresses, and the settings given."""
        self._health_port = free_port()
        return {
            "NATS_URL": nats_url,
            "ORASERVER_WEBSOCKET_URL": ws_url,
            "TTS_HEALTH_PORT": str(self._health_port),
            "TTS_LOG_FORMAT": "json",
            **self._settings,
        }

    async def metric(self, name: str) -> float:
        """The value of a metric without labels; 0 if there is none."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{self._health_port}/metrics") as answer,
        ):
            for line in (await answer.text()).splitlines():
                if line.startswith(f"{name} "):
                    return float(line.rpartition(" ")[2])
        return 0.0

    async def wait_ready(self) -> None:
        """Poll /readyz until it returns 200."""
        try:
            async with asyncio.timeout(START_S):
                while not await _answers_200(self._health_port, "/readyz"):
                    self.check()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            assert self.process is not None
            raise ProcessFailed(f"{self.name} is not ready: {self.process.last_words()}") from None


def all_contenders(floor: Path | None) -> list[Contender]:
    """All contenders, in the order of the table. The C forwarder is there only if it could be built."""
    found: list[Contender] = []
    if (REPOSITORY / "services/ws_bridge/__main__.py").exists():
        found.append(WsBridge())
    found += [Naive(compression=True), Naive(compression=False), Naive(compression=False, tuned=True)]
    if floor is not None:
        found.append(Floor(floor))
    return found


def free_port() -> int:
    """A loopback port that was free at the time of the call."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def _answers_200(port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(2):
            return b" 200 " in await reader.readline()
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
