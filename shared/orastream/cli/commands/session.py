"""`orastream watch`, `cancel`, `redeliver` and `report`: commands about a session."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import typer

from orastream.base import tasks
from orastream.cli import options, terminal
from orastream.cli.commands.heard_lines import show_heard
from orastream.cli.commands.progress_lines import progress_lines
from orastream.cli.node.settings import find_node
from orastream.client.cancelling import CutWatch
from orastream.client.redelivery import next_id, reports_of, undelivered
from orastream.client.redelivery import redeliver as redeliver_request
from orastream.client.watch import dated_reports
from orastream.contract.errors import Overloaded

Session = Annotated[str, typer.Argument(help="Id of the session, as in its requests.")]


def watch(
    session: Annotated[str | None, typer.Argument(help="Id of one session. Default: all.")] = None,
    history: Annotated[bool, typer.Option("--history", help="First show the reports of the last hour.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line, as on the wire.")] = False,
    nats: options.Nats = None,
    prefix: options.Prefix = None,
) -> None:
    """Show reports, and what was heard, as they are written, until Ctrl-C. On a terminal also running deliveries.

    What was heard is shown when it is known, if this user may read it: it contains text. Users of accounts without a
    SESSION see it from now on. Of a running delivery a line shows what was sent, acknowledged and played.
    """

    async def command() -> int:
        out = terminal.console()
        async with terminal.connect(find_node(nats, prefix)) as client:
            if session is None:  # else it would wait for ever for a gateway that answers
                await client.reads.check_all()
            heard = asyncio.create_task(
                show_heard(client, session, history=history, as_json=as_json, out=out), name="what was heard"
            )
            try:
                async with progress_lines(out, client.reads, session, shown=not as_json):
                    async for stored_at, report in dated_reports(client.reads, session, history=history):
                        if as_json:
                            print(terminal.json_text(report.to_map()), flush=True)
                        else:
                            when = (time.strftime("%H:%M:%S ", time.localtime(stored_at)), "dim")
                            out.print(terminal.words(when, terminal.report_line(report)), soft_wrap=True)
            finally:
                await tasks.end(heard)
        return 0

    terminal.run(command(), interrupted=0)


def cancel(
    session: Session,
    request: Annotated[str | None, typer.Option(help="Only this request. Default: all earlier requests.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show what was heard of each utterance that it cuts.")] = False,
    nats: options.Nats = None,
    prefix: options.Prefix = None,
) -> None:
    """Barge-in: cancel the earlier requests of a session. Later requests are spoken."""

    async def command() -> int:
        async with terminal.connect(find_node(nats, prefix)) as client:
            if wait:
                cut = await CutWatch(client.reads, session, request).run()
                out = terminal.console()
                print(f"cancel stored at sequence {cut.cancel_seq}; utterances that it has cut: {len(cut.heard)}")
                for record in cut.heard:
                    out.print(terminal.heard_lines(record), soft_wrap=True)
                return 0
            sequence = await client.cancel(session, request)
        what = "all requests stored before it" if request is None else f"request {request}, if stored before it"
        print(f"cancel stored at sequence {sequence}: it cancels {what}")
        return 0

    terminal.run(command())


def redeliver(
    session: Session,
    request: Annotated[
        str | None,
        typer.Argument(help="Only this request, of any status. Default: all that failed at OraServer."),
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for each outcome. 0: do not wait.", min=0)] = 60,
    nats: options.Nats = None,
    prefix: options.Prefix = None,
) -> None:
    """Deliver stored audio again, in the order of the requests, each as a new request (`redeliverOf`).

    Without REQUEST: what failed with oraserver_unreachable or oraserver_refused and was not delivered since. Reports
    are kept for an hour, audio for TTS_AUDIO_RETENTION_SECONDS. Exit code 1: there is nothing to deliver, or one was
    not delivered.
    """

    async def command() -> int:
        async with terminal.connect(find_node(nats, prefix)) as client:
            reports = await reports_of(client, session)
            if request is None:
                wanted = undelivered(reports)
                missing = f"no request of session {session} has failed at OraServer in the last hour"
            else:
                wanted = [report for report in reports if report.request_id == request]
                missing = f"there is no report of {session}/{request}; reports are kept for an hour"
            if not wanted:
                terminal.fail(missing)
            again = []
            for old in wanted:
                request_id = next_id(old, reports) if request is None else None
                try:
                    again.append(accepted := await redeliver_request(client, old, request_id))
                except Overloaded as exc:
                    print(f"{len(wanted) - len(again)} are left for another run: {exc}")
                    break
                print(f"{old.request_id}: delivered again as {accepted.request_id}, stored at {accepted.request_seq}")
            if not wait:
                return 0
            out, failed = terminal.console(), False
            for accepted in again:
                final = await client.wait(session, accepted.request_id, wait)
                out.print(terminal.report_line(final), soft_wrap=True)
                failed |= final.status != "delivered"
        return int(failed)

    terminal.run(command())


def report(
    session: Session,
    request: Annotated[str, typer.Argument(help="Id of the request.")],
    as_json: Annotated[bool, typer.Option("--json", help="As on the wire.")] = False,
    nats: options.Nats = None,
    prefix: options.Prefix = None,
) -> None:
    """Show the last report of a request. Reports are kept for an hour. Exit code 1: there is no report."""

    async def command() -> int:
        async with terminal.connect(find_node(nats, prefix)) as client:
            found = await client.report(session, request)
        if found is None:
            terminal.fail(f"there is no report of {session}/{request}; reports are kept for an hour")
        if as_json:
            print(terminal.json_text(found.to_map(), indent=1))
        else:
            terminal.print_report(terminal.console(), found)
        return 0

    terminal.run(command())
