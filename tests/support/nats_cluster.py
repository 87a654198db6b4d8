"""One or three real nats-servers with JetStream; in a cluster, each pair is connected through a proxy of its own."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from orastream.cli.node.nats_config import Sync
from orastream.contract.errors import NodeUnavailable
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, free_port
from tests.support.tcp_proxy import TcpProxy
from tests.support.tmpfs import mount, unmount

CLUSTER = "chaos"
DEAD_PORT = 1
READY_S = 30.0
T = TypeVar("T")
ROUTE_PING = "ping_interval: 1s, ping_max: 2"


class NatsCluster:
    """`await start()`, then use `servers` and `url`. With one server there is no cluster."""

    def __init__(
        self,
        folder: Path,
        logs: Logs,
        servers: int = 1,
        *,
        store_mb: int = 0,
        sync: Sync = Sync.PERIODIC,
        more: str = "",
    ) -> None:
        """`store_mb`: each store is a tmpfs of that many MiB, so that it can be filled; 0: a folder.

        `sync` needs three servers: their configuration files say when they sync. `more` is more of each file.
        """
        assert servers in (1, 3)
        self.folder = folder
        self._ports = [free_port() for _ in range(servers)]
        self._store_mb = store_mb
        self._more = more
        assert servers > 1 or sync is Sync.PERIODIC
        self._jetstream = "jetstream { sync_interval: always }\n" if sync is Sync.ALWAYS else ""
        self._mounted: list[Path] = []
        self.routes: dict[str, TcpProxy] = {}
        """The proxy between two servers, by their numbers: `0-1`."""
        self.servers = [self._server(number, folder, logs) for number in range(servers)]

    @property
    def url(self) -> str:
        """The value for NATS_URL: all servers, separated by commas."""
        return ",".join(server.url for server in self.servers)

    @property
    def on_tmpfs(self) -> bool:
        """Whether the stores can be filled."""
        return self._store_mb > 0

    def _server(self, number: int, folder: Path, logs: Logs) -> NatsServer:
        more = ""
        if len(self._ports) > 1:
            # The server with the higher number dials. Each pair has its own proxy, so that one route can be broken. A
            # server tells its peers a dead address of itself: else they would dial it without the proxy. The first
            # server names itself, because JetStream does not start in a cluster without any route.
            for other in range(number):
                self.routes[f"{other}-{number}"] = TcpProxy(self._ports[other])
            urls = [f'"nats://127.0.0.1:{self.routes[f"{other}-{number}"].port}"' for other in range(number)]
            urls = urls or [f'"nats://127.0.0.1:{self._ports[0]}"']
            more = (
                f"cluster {{ name: {CLUSTER}, listen: 127.0.0.1:{self._ports[number]}, no_advertise: true, "
                f'advertise: "127.0.0.1:{DEAD_PORT}", '
                f"routes: [{', '.join(urls)}], {ROUTE_PING} }}"
            )
        path = folder / f"nats-{number}.conf"
        path.write_text(f"{more}\n{self._jetstream}{self._more}")
        return NatsServer(folder, logs, "-c", str(path), name=f"nats-{number}")

    async def start(self) -> None:
        """Start all servers; returns when they have a leader of JetStream. Raises ProcessFailed, AssertionError."""
        for server in self.servers:
            if self._store_mb:
                self._mount(server.data)
        for proxy in self.routes.values():
            await proxy.start()
        await asyncio.gather(*(server.start() for server in self.servers))
        if len(self.servers) > 1:
            await self._until_led()

    def kill_and_unmount(self) -> None:
        """Kill the servers and unmount the stores. Blocks, and raises nothing: for the end of a run."""
        for server in self.servers:
            with contextlib.suppress(Exception):
                server.kill()
        while self._mounted:
            with contextlib.suppress(Exception):
                unmount(self._mounted.pop())

    async def stop(self) -> None:
        """Kill the servers, unmount the stores, stop the proxies."""
        self.kill_and_unmount()
        for proxy in self.routes.values():
            await proxy.stop()

    def lose_data(self, number: int) -> None:
        """Delete the store of a server that is not running."""
        server = self.servers[number]
        assert not server.running, "a server keeps its files open"
        for entry in server.data.iterdir():
            shutil.rmtree(entry)

    def fill(self, number: int) -> None:
        """Fill the file system of a server's store. `free_space` ends it. Blocks for seconds: call it in a thread."""
        piece = b"\0" * (1 << 20)
        # Without a buffer: closing one with bytes that do not fit would raise.
        with self._filler(number).open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(piece)

    def free_space(self, number: int) -> None:
        """Give the space back."""
        self._filler(number).unlink(missing_ok=True)

    def _filler(self, number: int) -> Path:
        return self.servers[number].data / "filler"

    def _mount(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        mount(path, self._store_mb)
        self._mounted.append(path)

    async def _until_led(self) -> None:
        deadline = asyncio.get_running_loop().time() + READY_S
        while True:
            try:
                async with self.servers[0].connect() as connection:
                    jetstream = connection.jetstream(timeout=2)
                    info = await jetstream.account_info()
                    assert info is not None
                    return
            except Exception as exc:  # no leader yet: nats-py raises many kinds
                if asyncio.get_running_loop().time() > deadline:
                    raise AssertionError(f"the cluster has no leader after {READY_S:g} s: {exc!r}") from exc
                await asyncio.sleep(0.2)


async def until_placed(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat `call` while a new cluster cannot do it yet.

    Its leader may not know all servers, on which it places replicas; another server may not know yet, when the answer
    to the creation of a stream comes, who answers the reads of it (503).
    """
    deadline = asyncio.get_running_loop().time() + READY_S
    while True:
        try:
            return await call()
        except NodeUnavailable as exc:
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"not possible after {READY_S:g} s: {exc}") from exc
            await asyncio.sleep(0.2)
