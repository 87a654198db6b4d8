"""`orastream watch`, `cancel` and `report`: what is asked about a session."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from orastream.cli import options, terminal
from orastream.cli.node.settings import find_node
from orastream.client.watch import dated_reports
from orastream.jetstream.api import JetStream

Session = Annotated[str, typer.Argument(help="The session's id, as its requests have it.")]


def watch(
    session: Annotated[str | None, typer.Argument(help="One session. Else all.")] = None,
    history: Annotated[bool, typer.Option("--history", help="First the reports of the last hour.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line, as on the wire.")] = False,
    nats: options.Nats = None,
) -> None:
    """Show reports as they are written, until Ctrl-C."""

    async def command() -> int:
        out = terminal.console()
        async with terminal.connect(find_node(nats)) as client:
            async for stored_at, report in dated_reports(JetStream(client.broker), session, history=history):
                if as_json:
                    print(terminal.json_text(report.to_map()), flush=True)
                else:
                    when = (time.strftime("%H:%M:%S ", time.localtime(stored_at)), "dim")
                    out.print(terminal.words(when, terminal.report_line(report)), soft_wrap=True)
        return 0

    terminal.run(command(), interrupted=0)


def cancel(
    session: Session,
    request: Annotated[str | None, typer.Option(help="Only this request. Else all that was asked so far.")] = None,
    nats: options.Nats = None,
) -> None:
    """Barge-in: stop what a session has asked so far. What it asks afterwards is spoken."""

    async def command() -> int:
        async with terminal.connect(find_node(nats)) as client:
            sequence = await client.cancel(session, request)
        what = "everything asked before it" if request is None else f"request {request}, if asked before it"
        print(f"cancel stored at sequence {sequence}: it ends {what}")
        return 0

    terminal.run(command())


def report(
    session: Session,
    request: Annotated[str, typer.Argument(help="The request's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="As on the wire.")] = False,
    nats: options.Nats = None,
) -> None:
    """Show what became of a request: its last report, kept for an hour. Exit code 1: nothing is known of it."""

    async def command() -> int:
        async with terminal.connect(find_node(nats)) as client:
            found = await client.report(session, request)
        if found is None:
            terminal.fail(f"nothing is known of {session}/{request}; reports are kept for an hour")
        if as_json:
            print(terminal.json_text(found.to_map(), indent=1))
        else:
            terminal.print_report(terminal.console(), found)
        return 0

    terminal.run(command())
