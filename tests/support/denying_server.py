"""A nats-server that denies its user a right, as users of an older `orastream init-auth` lack one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from orastream.broker import Broker
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, free_port

CONFIG = """\
authorization {{
  users: [{{user: node, password: secret, permissions: {{publish: {{deny: ["{denied}"]}}}}}}]
}}
"""


@asynccontextmanager
async def denying_server(folder: Path, logs: Logs, denied: str) -> AsyncIterator[tuple[NatsServer, Broker]]:
    """The server, which lets nobody publish on the subjects `denied`, and a connection of its user."""
    port, config = free_port(), folder / "denied.conf"
    config.write_text(CONFIG.format(denied=denied))
    server = NatsServer(folder, logs, "-c", str(config), port=port)
    await server.start()
    try:
        async with Broker(f"nats://node:secret@127.0.0.1:{port}", name="test", connect_timeout_s=5) as broker:
            yield server, broker
    finally:
        server.kill()


def violations(server: NatsServer, subject: str) -> list[str]:
    """The lines of the server's log about messages on subjects with this part that it has refused."""
    return [line for line in server.log.read_text().splitlines() if "Violation" in line and subject in line]
