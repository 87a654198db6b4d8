"""The text of `<role>.env`: what a process needs to be that role. Pure.

The file can be read by docker compose (`env_file`), by kubectl (`--from-env-file`) and by a shell (`set -a; . FILE`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orastream.cli.auth import names
from orastream.cli.auth.accounts import CallerAccount, account_plans, caller_accounts
from orastream.cli.auth.rights import inbox_prefix
from orastream.contract import subjects

SEED = "NATS_NKEY_SEED"
PORT = 4222
CONTAINER_TLS = "/etc/nats/tls"
"""Where a service's container in compose.yaml and deploy/kubernetes has its certificates."""
_SEED_LINE = re.compile(rf"^{SEED}=(SU[A-Z2-7]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files and the server are."""

    folder: Path
    """The absolute path of the files. `folder.opened` allows no character in it that a shell would interpret."""
    host: str
    """The server's name for callers."""
    tls: bool


def all_roles(callers: Sequence[CallerAccount]) -> tuple[str, ...]:
    """All roles: the node's own, then the callers'."""
    return (*names.ROLES, *(caller.role for caller in callers))


def accounts_of(callers: Sequence[CallerAccount]) -> dict[str, str]:
    """The account of each role."""
    node = {role: names.NODE for role in (*names.SERVICES, names.OPERATOR)}
    return node | {plan.role: plan.name for plan in account_plans(tuple(callers))}


def env_text(role: str, seed: str, callers: Sequence[CallerAccount], place: Place) -> str:
    """The text of the env file of `role`."""
    account = accounts_of(callers)[role]
    lines = [
        f"# Credentials of {role} (account {account}), written by `orastream init-auth`.",
        f"# Whoever can read this file is {role}: keep it secret.",
        f"{SEED}={seed}",
        f"NATS_INBOX_PREFIX={inbox_prefix(role) if account == names.NODE else subjects.INBOX}",
    ]
    service = role in names.SERVICES
    if service:
        lines.append(f"TTS_CALLERS={','.join(caller_accounts(tuple(callers)))}")
    scheme = "tls" if place.tls else "nats"
    if not service:
        lines.append(f"NATS_URL={scheme}://{names.in_url(place.host)}:{PORT}")
    elif place.tls:
        lines.append(f"NATS_URL=tls://nats:{PORT}")
    if place.tls:
        if service:
            lines.append(f"# Paths in a container. Elsewhere: the files in {role_folder(place, role)}")
        files = CONTAINER_TLS if service else role_folder(place, role)
        lines += [f"NATS_CA={files}/ca.crt", f"NATS_CERT={files}/client.crt", f"NATS_KEY={files}/client.key"]
    return "\n".join(lines) + "\n"


def role_folder(place: Place, role: str) -> Path:
    """The folder of the certificates of a role."""
    return place.folder / "tls" / role


def seed_in(text: str) -> str | None:
    """The seed in the text of an env file, or None."""
    found = _SEED_LINE.search(text)
    return found[1] if found else None
