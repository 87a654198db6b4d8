"""The node under test: services as processes, each behind proxies of its own to NATS and to OraServer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from orastream.broker import Broker
from tests.chaos.composed.callers import GATEWAY_WAIT_S
from tests.chaos.composed.history import Disturbance, Usage
from tests.chaos.composed.receiver import FRAMES
from tests.chaos.composed.schedule import Setting
from tests.chaos.composed.wire import BridgeTap
from tests.support.nats_cluster import NatsCluster
from tests.support.processes import Logs, free_port
from tests.support.services import REPOSITORY, ServiceProcess
from tests.support.tcp_proxy import TcpProxy

PLANTED = REPOSITORY / "tests" / "chaos" / "planted"

SETTINGS: dict[str, object] = {
    # Slow enough that a fault meets an utterance in its middle, and small chunks, so that there are many.
    "TTS_ENGINE_RTF": 0.5,
    "SYNTH_SLOTS": 16,
    # So that utterances let others speak, and go on, all the time.
    "SYNTH_LEAD_SECONDS": 1,
    "WEBSOCKET_CHUNK_SIZE": 8192,
    # What the contract permits after a time shall not happen here, so that each failure has a fault as its reason.
    "WEBSOCKET_MAX_RETRIES": 200,
    "SYNTH_STALL_SECONDS": 60,
    "WEBSOCKET_IDLE_SECONDS": 4,
    "GATEWAY_WAIT_SECONDS": GATEWAY_WAIT_S,
    "ORASERVER_PROTOCOL": "v1",  # the log of frames reads those of v1; tests/chaos/streams is about v2
}
SPOKEN_BYTES_PER_S = 2.5 * 44_100
"""What an utterance stores in a second, at most: WAV of 22 050 Hz at an RTF of 0.5, and what each message adds."""
WORK_AFTER_S = 90
RETENTION_AFTER_S = 300
"""For the settling, the aftermath and the reading after the faults."""
OTHER_STREAMS_MB = 128
IDLE_S = 5.0
"""The longer of both bridges' idle times: http_bridge's cannot be set."""
ORA_WINDOW = 1 << 16
"""Small, so that an OraServer that reads slowly, and a link that is held, fill the sockets of the bridges."""
SUPERVISE_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """How long and how much audio the node stores. Nothing may expire before the end of a run, when it is read."""

    retention_s: int
    max_mb: int

    @property
    def store_mb(self) -> int:
        """The size of a store: JetStream offers three quarters of it, and the other streams need some of it too."""
        return (self.max_mb + OTHER_STREAMS_MB) * 4 // 3

    @classmethod
    def of(cls, seconds: float, sessions: int, synths: int) -> AudioLimits:
        """For a run of so many seconds. A synth speaks SYNTH_SLOTS utterances at once, a session one."""
        at_once = min(sessions, synths * int(str(SETTINGS["SYNTH_SLOTS"])))
        mb = (seconds + WORK_AFTER_S) * at_once * SPOKEN_BYTES_PER_S / (1 << 20)
        return cls(int(seconds) + RETENTION_AFTER_S, max(1024, int(mb)))


def replicas_of(replicas: int) -> dict[str, int]:
    """How many processes of each service there are, with this number of those that work."""
    return {"synth": replicas, "ws_bridge": replicas, "http_bridge": replicas, "gateway": 1}


class Receiver(ServiceProcess):
    """The reference OraServer with a log of frames."""

    def __init__(self, folder: Path, logs: Logs, settings: dict[str, object]) -> None:
        super().__init__("oraserver", folder, logs, settings, name="oraserver")
        self._argv = [sys.executable, "-m", "tests.chaos.composed.receiver"]


class Node:
    """All processes and proxies of a run."""

    def __init__(
        self,
        folder: Path,
        *,
        servers: int = 1,
        replicas: dict[str, int] | None = None,
        tmpfs: bool = False,
        audio: AudioLimits = AudioLimits(3600, 1024),
        plant: str = "",
    ) -> None:
        """`replicas`: processes of each service. `tmpfs`: the stores are file systems that a fault may fill. `plant`
        names a planted fault, which every service process gets.
        """
        self.folder = folder
        self.logs: Logs = {}
        self.cluster = NatsCluster(folder, self.logs, servers, store_mb=audio.store_mb if tmpfs else 0)
        self.processes: dict[str, ServiceProcess] = {}
        self.nats: dict[str, list[TcpProxy]] = {}
        """The proxies of each service process, one for each nats-server."""
        self.ora: dict[str, TcpProxy] = {}
        self.locks: dict[str, asyncio.Lock] = {}
        """Held while a fault stops, kills or starts a process."""
        self.server_lock = asyncio.Lock()
        """Held while a fault disturbs one of the nats-servers."""
        self.exits: list[Disturbance] = []
        """Processes that ended by themselves."""
        self._ora_port = free_port()
        data = folder / "oraserver-data"
        self.frames = data / FRAMES
        self.receiver = Receiver(folder, self.logs, {"ORASERVER_PORT": self._ora_port, "ORASERVER_DATA_DIR": data})
        self.receiver_lock = asyncio.Lock()
        more: dict[str, object] = {
            "TTS_STREAM_REPLICAS": servers,
            "TTS_AUDIO_RETENTION_SECONDS": audio.retention_s,
            "TTS_AUDIO_MAX_BYTES": audio.max_mb << 20,
        }
        if plant:
            paths = [str(PLANTED), str(REPOSITORY), str(REPOSITORY / "shared")]
            more |= {"PYTHONPATH": ":".join(paths), "CHAOS_PLANTED": plant}
        for service, count in (replicas or replicas_of(2)).items():
            for number in range(1, count + 1):
                self._add(service, f"{service}-{number}", more)

    @property
    def setting(self) -> Setting:
        """What the faults can hit."""
        return Setting(tuple(self.processes), len(self.cluster.servers), tmpfs=self.cluster.on_tmpfs)

    def _add(self, service: str, name: str, more: dict[str, object]) -> None:
        self.nats[name] = [TcpProxy(server.port) for server in self.cluster.servers]
        settings = {**SETTINGS, **more}
        settings["NATS_URL"] = ",".join(f"nats://127.0.0.1:{proxy.port}" for proxy in self.nats[name])
        if service.endswith("bridge"):
            proxy = self.ora[name] = TcpProxy(self._ora_port, tap=BridgeTap, window=ORA_WINDOW)
            settings["ORASERVER_WEBSOCKET_URL"] = f"ws://127.0.0.1:{proxy.port}/ws/tts"
            settings["ORASERVER_HTTP_URL"] = f"http://127.0.0.1:{proxy.port}/api/tts"
        self.processes[name] = ServiceProcess(service, self.folder, self.logs, settings, name=name)
        self.locks[name] = asyncio.Lock()

    def _proxies(self) -> list[TcpProxy]:
        return [*self.ora.values(), *(proxy for proxies in self.nats.values() for proxy in proxies)]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Node]:
        """Start everything; returns when all are ready. Kills it at the end."""
        supervising: asyncio.Task[None] | None = None
        try:
            await self.cluster.start()
            for proxy in self._proxies():
                await proxy.start()
            await asyncio.gather(self.receiver.start(), *(process.start() for process in self.processes.values()))
            supervising = asyncio.create_task(self._supervise())
            yield self
        finally:
            if supervising is not None:
                supervising.cancel()
            # First all that needs no await: a second cancellation cannot leave processes and mounts behind.
            for process in [*self.processes.values(), self.receiver]:
                with contextlib.suppress(Exception):
                    process.kill()
            self.cluster.kill_and_unmount()
            for proxy in self._proxies():
                await proxy.stop()
            await self.cluster.stop()

    async def _supervise(self) -> None:
        """Start a process again that has ended by itself."""
        while True:
            await asyncio.sleep(SUPERVISE_EVERY_S)
            for name, process in self.processes.items():
                if not self.locks[name].locked() and not process.running:
                    now = time.time()
                    self.exits.append(Disturbance("exit", name, now, now, f"exit code {process.returncode}"))
                    process.launch()

    async def heal(self) -> None:
        """End every fault that may still last, and start what does not run."""
        for proxy in [*self._proxies(), *self.cluster.routes.values()]:
            proxy.delay(0.0)
            proxy.delay(0.0)
            proxy.heal()
        for number, server in enumerate(self.cluster.servers):
            self.cluster.free_space(number)
            if not server.running:
                await server.start()
        if not self.receiver.running:
            await self.receiver.start()
        await self.misbehave()
        for name, process in self.processes.items():
            async with self.locks[name]:
                if not process.running:
                    process.launch()

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Broker]:
        """A NATS connection that no proxy disturbs. Not nats-py's own client: its failed tries leave sockets open."""
        servers = [server.url for server in self.cluster.servers if server.running]
        async with Broker(",".join(servers), name="chaos-call", connect_timeout_s=5) as broker:
            yield broker

    async def misbehave(self, **faults: object) -> None:
        """Set OraServer's faults; without arguments, clear them."""
        await self._post("/misbehave", json=faults)

    async def discard(self, seconds: float) -> None:
        """OraServer confirms all frames and POSTs, and discards them, for so long."""
        await self._post("/discard", data=str(seconds))

    async def received(self) -> dict[str, Any]:
        """What the reference OraServer lists."""
        status, body = await self.receiver.get("/received", timeout_s=60)
        assert status == 200
        value: dict[str, Any] = json.loads(body)
        return value

    async def _post(self, path: str, **options: Any) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as http:
            async with http.post(self.receiver.url + path, **options) as answer:
                assert answer.status < 300, await answer.text()

    def usage(self) -> list[Usage]:
        """Memory and descriptors of each service process."""
        found = []
        for name, process in self.processes.items():
            with contextlib.suppress(OSError):
                folder = Path("/proc") / str(process.pid)
                pages = int((folder / "statm").read_text().split()[1])
                found.append(Usage(name, pages * 4096 / (1 << 20), len(list((folder / "fd").iterdir()))))
        return found
