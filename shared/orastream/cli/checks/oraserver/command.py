"""`orastream check-oraserver`: plays the bridges against any OraServer, and prints which rules it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from orastream.cli import terminal
from orastream.cli.checks.oraserver import break_checks, connection_checks
from orastream.cli.checks.oraserver.check import Check
from orastream.cli.checks.oraserver.choice import (
    STREAMS,
    CheckedProtocol,
    WrongChoice,
    chosen,
    first_of,
    without_streams,
)
from orastream.cli.checks.oraserver.outcomes import Level, Outcome, Result, exit_code, summary
from orastream.cli.checks.oraserver.server import ServerUnderTest, shown
from orastream.cli.checks.oraserver.streams.negotiation_checks import selects_v2
from orastream.cli.node.settings import CliSettings
from orastream.service.settings import load

STYLES: dict[Level, str] = {
    "ok": "green",
    "accepted": "cyan",
    "broken": "bold red",
    "risk": "yellow",
    "impossible": "bold red",
    "unseen": "dim",
    "skipped": "dim",
}

NOT_SELECTED = (
    "The server has not selected `orastream.v2`: the checks of protocol v2 were left out. --protocol v2 runs them."
)


@dataclass(frozen=True, slots=True)
class CheckRun:
    """What a run tries, and how it is printed."""

    checks: Sequence[Check]
    only: Sequence[str]
    protocol: CheckedProtocol
    strict: bool
    json: bool


def check_oraserver(  # noqa: PLR0913 - the options of a command
    url: Annotated[str | None, typer.Argument(help="Its WebSocket, as in ORASERVER_WEBSOCKET_URL.")] = None,
    http: Annotated[str | None, typer.Option(help="Its HTTP path, as in ORASERVER_HTTP_URL.")] = None,
    token: Annotated[str | None, typer.Option(help="Its token. Default: ORASERVER_TOKEN.")] = None,
    received: Annotated[
        str | None,
        typer.Option(help="An address of the server that lists what it has stored, so that files can be compared."),
    ] = None,
    restart: Annotated[
        str | None, typer.Option(help="A shell command that kills the server (SIGKILL) and starts it again.")
    ] = None,
    pid_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the server's pid: it is killed at the moment of a pong or an ack; --restart starts it."
        ),
    ] = None,
    protocol: Annotated[
        CheckedProtocol,
        typer.Option(help="What to check over WebSocket. auto: v2 if the server selects it, and v1 without an offer."),
    ] = "auto",
    idle_seconds: Annotated[
        float, typer.Option(min=0, help="How long a connection is left without traffic. 0: not tried.")
    ] = 30.0,
    only: Annotated[list[str] | None, typer.Option(help="Run only this check. May be given several times.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="A risk counts as a broken rule.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Check whether an OraServer, whoever wrote it, keeps the rules of protocol v1 or v2.

    It plays ws_bridge against URL and http_bridge against the address of `--http`, with their own code, and tries what
    a day of production brings: unusual ids, repeats, breaks in mid-utterance, two phones, large frames, refusals. Use a
    server for tests: it gets a tone for phones of its own, and ids such as ../../orastream-check. The files of
    ORASERVER_CA, ORASERVER_CERT and ORASERVER_KEY are used for wss:// and https://.

    It offers protocol v2 as a bridge does. If the server selects it, the checks of v2 run first, whose names begin with
    v2-: gaps, damage, credit, barge-in, takeovers, frames that break a rule. Then the checks of v1 run, without an
    offer: v1 must still work. For a server that speaks v2 alone use `--protocol v2`; `--protocol v1` leaves out v2, and
    `--only` runs what it names. If the server does not select v2, only the checks of v1 run.

    With `--received` it compares what the server has stored. That is an address which answers
    `GET ADDRESS?session=ID` with
    {"utterances": [{"sessionId", "phoneId", "requestId", "bytes", "complete", "sha256"}]}.

    Exit code 0: no rule is broken. 1: one is, a check could not run, or none was tried. 2: an option is wrong.
    """
    try:
        checks = chosen(only, websocket=url is not None, http=http is not None, protocol=protocol)
    except WrongChoice as exc:
        raise typer.BadParameter(str(exc), param_hint=exc.option) from None
    settings = load(CliSettings)
    server = ServerUnderTest(
        websocket_url=_checked(url, "URL", ("ws://", "wss://")),
        http_url=_checked(http, "--http", ("http://", "https://")),
        client_tls=settings.oraserver_tls,
        token=_usable(token or settings.oraserver_token),
        received_url=_checked(received, "--received", ("http://", "https://")),
        restart=restart,
        pid_file=pid_file,
        idle_s=idle_seconds,
    )
    terminal.run(_check(server, CheckRun(checks, only or (), protocol, strict, json)))


async def _check(server: ServerUnderTest, run: CheckRun) -> int:
    with terminal.console(stderr=True).status("") as status:
        checks = run.checks
        if run.protocol == "auto" and set(checks) & set(STREAMS) and not await selects_v2(server):
            checks = without_streams(checks, run.only)
        results = await examine(server, checks, lambda check: status.update(f"checking: {check.rule.name}"))
    if run.json:
        given = {"url": server.websocket_url, "http": server.http_url}
        addresses = {name: url and shown(url) for name, url in given.items()}
        print(terminal.json_text(addresses | {"checks": [result.as_json() for result in results]}, indent=2))
    else:
        _print(terminal.console(), results)
        if len(checks) < len(run.checks) and results[0].outcome.level != "broken":
            terminal.console().print(NOT_SELECTED, style="dim")
    return exit_code(results, strict=run.strict)


async def examine(
    server: ServerUnderTest, checks: Sequence[Check], begins: Callable[[Check], None] = lambda _: None
) -> list[Result]:
    """Run the checks, one after the other but `idle`, which waits beside all but `restart`. Raises nothing.

    If the first one of a protocol finds no server, the others of that protocol are skipped.
    """
    results: dict[str, Result] = {}
    idling: asyncio.Task[Result] | None = None
    try:
        for check in checks:
            first = first_of(check).rule.name
            if first in results and results[first].outcome.level == "broken":
                results[check.rule.name] = Result(check.rule, Outcome("skipped", f"`{first}` has failed"))
                continue
            begins(check)
            if check is break_checks.restart and idling is not None:
                await asyncio.wait({idling})  # else the restart would end its connection
            if check is connection_checks.idle:
                idling = asyncio.create_task(check.run(server))
            else:
                results[check.rule.name] = await check.run(server)
        if idling is not None:
            begins(connection_checks.idle)
            results[connection_checks.idle.rule.name] = await idling
    finally:
        if idling is not None:
            idling.cancel()
    return [results[check.rule.name] for check in checks]


def _print(out: Console, results: Sequence[Result]) -> None:
    made = terminal.table("result", "tried", "happened", "rule")
    for result in results:
        rule, outcome = result.rule, result.outcome
        made.add_row(
            terminal.words((outcome.level, STYLES[outcome.level])),
            terminal.words((rule.name, "bold"), f": {rule.tried}"),
            terminal.words(outcome.happened),
            terminal.words(rule.text, (f" ({rule.section})", "dim")),
        )
    out.print(made)
    pages = " and ".join(dict.fromkeys(result.rule.page for result in results))
    out.print(f"The sections are those of {pages}.", style="dim")
    out.print(Text(summary(results), "red" if exit_code(results, strict=False) else "green"))


def _checked(address: str | None, name: str, schemes: tuple[str, str]) -> str | None:
    if address is not None and not address.lower().startswith(schemes):
        raise typer.BadParameter(f"must begin with {' or '.join(schemes)}", param_hint=name)
    return address


def _usable(token: str | None) -> str | None:
    if token is not None and not (token.isascii() and token.isprintable()):
        raise typer.BadParameter("a header can only have printable ASCII", param_hint="--token")
    return token
