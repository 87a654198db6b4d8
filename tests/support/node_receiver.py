"""Builds the receiver of clients/oraserver-node outside the repository, and runs it as a process."""

from __future__ import annotations

import os
import shutil
import ssl
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.certificates import Certificates
from tests.support.npm import installed, require_node, run_npm
from tests.support.processes import Logs, Process, free_port

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "clients" / "oraserver-node"


def built_in(folder: Path) -> Path:
    """Copy the receiver into `folder`, build it there, and return the folder. Skips without node.js."""
    require_node()
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules", "dist", "data"))
    shutil.copy(
        REPOSITORY / "docs" / "reference" / "oraserver-v2-messages.md", folder
    )  # its tests read the examples there
    (folder / "node_modules").symlink_to(installed(SOURCE) / "node_modules")
    run_npm(folder, "run", "build")
    return folder


class NodeReceiver(Process):
    """The built receiver on a free port, which stays the same after restarts. With certificates it speaks TLS."""

    def __init__(
        self,
        build: Path,
        folder: Path,
        logs: Logs,
        *,
        token: str,
        certificates: Certificates | None = None,
        crc: bool = False,
    ) -> None:
        """`crc`: over v2 it asks for checksums."""
        self.port = free_port()
        self.scheme = "http" if certificates is None else "https"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._ssl = True if certificates is None else ssl.create_default_context(cafile=str(certificates.ca))
        env = {"PATH": os.environ["PATH"], "PORT": str(self.port), "ORASERVER_TOKEN": token}
        env["DATA_DIR"] = str(folder / "received")
        if crc:
            env["V2_CRC"] = "on"
        if certificates is not None:
            env |= {"TLS_CERT": str(certificates.certificate), "TLS_KEY": str(certificates.key)}
        logs["node-receiver"] = folder / "node-receiver.log"
        argv = [str(shutil.which("node")), build / "dist" / "src" / "main.js"]
        super().__init__("node-receiver", argv, env=env, cwd=folder, log=logs["node-receiver"])

    async def start(self) -> None:
        """Start it; returns when it answers. Raises ProcessFailed."""
        self.launch()
        await self.until_ready(self.ready)

    async def ready(self) -> bool:
        """Whether it answers."""
        try:
            await self.received("nothing")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False
        return True

    async def received(self, session_id: str) -> dict[str, Any]:
        """What it has received of a session."""
        url = f"{self.scheme}://127.0.0.1:{self.port}/received"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10), headers=self._headers) as http:
            async with http.get(url, params={"session": session_id}, ssl=self._ssl) as answer:
                assert answer.status == 200, f"{answer.status} {await answer.text()}"
                value: dict[str, Any] = await answer.json()
                return value
