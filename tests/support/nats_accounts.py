"""A nats-server with the accounts of `orastream init-auth`, and the credentials of its roles."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path

import nats
from dotenv import dotenv_values
from nats.aio.client import Client as NatsClient

from orastream.cli.auth import plan
from orastream.cli.auth.plan import Wishes
from orastream.client.async_client import Client
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs


class AccountServer(NatsServer):
    """A nats-server whose configuration includes what `init-auth` has written for these callers.

    `callers` has the names of callers, with the session ids of each, separated by commas, or None for any session.
    """

    def __init__(self, folder: Path, logs: Logs, callers: dict[str, str | None] | None = None, *options: str) -> None:
        self.auth = folder / "auth"
        plan.carry_out(self.auth, Wishes())
        for caller, sessions in (callers or {}).items():
            plan.carry_out(self.auth, Wishes(callers=(caller,), sessions=sessions))
        config = folder / "accounts-server.conf"
        super().__init__(folder, logs, "-c", str(config), *options)
        # The name is in the file, too: a server whose name came from a flag alone refuses to read the file again.
        include = (self.auth / plan.ACCOUNTS).relative_to(folder)
        config.write_text(f'server_name: "{self.identity}"\ninclude "{include}"\n')

    def env(self, role: str) -> dict[str, str]:
        """The settings of a role, with the address of this server."""
        read = {name: value for name, value in dotenv_values(self.auth / f"{role}.env").items() if value is not None}
        return read | {"NATS_URL": self.url}

    def reload(self) -> None:
        """Have the server read its configuration again."""
        self.signal(signal.SIGHUP)

    def seed(self, role: str) -> str:
        """The private key of a role."""
        return self.env(role)["NATS_NKEY_SEED"]

    def client(self, role: str) -> Client:
        """A client with the credentials of a role; `async with` connects it."""
        env = self.env(role)
        return Client(self.url, nkey_seed=env["NATS_NKEY_SEED"], inbox_prefix=env["NATS_INBOX_PREFIX"])

    async def plain(self, role: str, refusals: list[str] | None = None) -> NatsClient:
        """A plain nats-py connection as a role. What the server refuses it is added to `refusals`."""

        async def note(exc: Exception) -> None:
            if refusals is not None:
                refusals.append(str(exc))

        env = self.env(role)
        return await nats.connect(
            self.url,
            nkeys_seed_str=env["NATS_NKEY_SEED"],
            inbox_prefix=env["NATS_INBOX_PREFIX"],
            error_cb=note,
            allow_reconnect=False,
            connect_timeout=5,
        )


def violations(logs: Iterable[Path]) -> list[str]:
    """The lines of these logs that tell of a refused publish or subscription."""
    found = (line for log in logs for line in log.read_text(errors="replace").splitlines())
    return [line for line in found if "Violation" in line or "refuses this user" in line]
