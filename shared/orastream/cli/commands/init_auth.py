"""`orastream init-auth`: writes accounts and users for nats-server, and the credentials of each role."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orastream.cli import terminal
from orastream.cli.auth import names, plan
from orastream.cli.auth.plan import Done, Wishes
from orastream.cli.node.settings import CliSettings
from orastream.contract.errors import SettingsError
from orastream.contract.names import DEFAULT_PREFIX
from orastream.service.settings import load


def init_auth(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder, or one of an earlier run.")],
    caller: Annotated[
        list[str] | None,
        typer.Option(help="Add a caller with an account of its own; may be repeated. Letters, digits and _."),
    ] = None,
    sessions: Annotated[
        str | None, typer.Option(help="Session ids, separated by commas: the one --caller may use these alone.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Also make certificates to try TLS with, for 90 days.")] = False,
    host: Annotated[
        list[str] | None,
        typer.Option(
            help="A name or address by which callers reach the server; may be repeated. The first is in NATS_URL."
        ),
    ] = None,
    rotate: Annotated[list[str] | None, typer.Option(help="Make a new key for this role; may be repeated.")] = None,
) -> None:
    """Write accounts and users for nats-server, and a file with the credentials of each role, into DIR.

    A second run keeps all keys and callers, and adds the new ones. docs/guide/security.md says what each role may do.
    """
    wishes = Wishes(tuple(caller or ()), sessions, tls, tuple(host or ()), tuple(rotate or ()))
    try:
        if load(CliSettings).tts_prefix != DEFAULT_PREFIX:
            terminal.fail("TTS_PREFIX: init-auth makes users for the prefix tts alone; unset it (docs/guide/scale.md)")
        done = plan.carry_out(folder, wishes)
    except SettingsError as exc:
        terminal.fail(str(exc))
    for line in summary(done, rotated=wishes.rotate):
        print(terminal.visible(line))


def summary(done: Done, *, rotated: tuple[str, ...] = ()) -> list[str]:
    """What the run has written, and what to do next. It holds no seed. Pure."""
    lines = [f"{done.folder}:"]
    env = {name.removesuffix(".env") for name in done.changed if name.endswith(".env")}
    certificates = sum(name.endswith(".crt") for name in done.changed)
    lines += [f"  {name}" for name in done.changed if name in (plan.ACCOUNTS, plan.TLS)]
    lines += [f"  {role}.env" for role in sorted(env)]
    if certificates:
        lines.append(
            f"  {certificates} certificates and their keys in tls/, to try TLS with: they expire after 90 days"
        )
    if len(lines) == 1:
        lines.append("  nothing has changed")
    for role in done.elsewhere:
        services = " with its old TTS_CALLERS" if role in names.SERVICES else ""
        lines.append(f"  {role}.env is not here; whoever has it keeps its key{services}")
    lines += ["", "Next:"]
    url = "  NATS_NODE_URL=tls://nats:4222" if done.tls else ""
    lines += [
        f"  docker compose     NATS_AUTH_DIR={done.folder}{url}  in .env; then: docker compose up -d --wait",
        "  running already    docker compose kill -s HUP nats && docker compose up -d --wait",
        "  … with a new       docker compose kill -s HUP nats && sleep 2 && docker compose kill -s HUP nats;",
        "    --caller         docker compose up -d --wait synth && docker compose up -d --wait",
        f"  a caller           set -a; . {done.folder / names.LLM}.env; set +a; orastream say Hello",
    ]
    if rotated:
        lines.append(
            f"  new keys           give {', '.join(f'{role}.env' for role in rotated)} to those who are that role"
        )
    return lines
