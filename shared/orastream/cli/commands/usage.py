"""`orastream usage`: what each caller has used in the last hour."""

from __future__ import annotations

from typing import Annotated

import typer

from orastream.cli import options, terminal
from orastream.cli.node.settings import find_node
from orastream.client.redelivery import reports_of
from orastream.client.usage import usage_of

UNKNOWN = "(not known)"


def usage(
    as_json: Annotated[bool, typer.Option("--json", help="JSON, one object per caller.")] = False,
    nats: options.Nats = None,
    prefix: options.Prefix = None,
) -> None:
    """Show requests, characters and seconds of delivered speech by caller, from the reports of the last hour.

    A caller is an account of NATS or a named key of the gateway. For longer times ask Prometheus
    (orastream_usage_…). Exit code 1: there is no report.
    """

    async def command() -> int:
        async with terminal.connect(find_node(nats, prefix)) as client:
            found = usage_of(await reports_of(client, None))
        if as_json:
            print(terminal.json_text([one.to_map() for one in found], indent=1))
        elif not found:
            terminal.fail("there is no report; reports are kept for an hour")
        else:
            made = terminal.table("caller", ">requests", ">delivered", ">failed", ">characters", ">speech")
            for one in found:
                lost = one.outcomes.get("failed", 0) + one.outcomes.get("expired", 0)
                counts = (one.requests, one.outcomes.get("delivered", 0), lost, one.characters)
                words = (one.caller or UNKNOWN, *map(str, counts), f"{one.audio_seconds:.1f} s")
                made.add_row(*map(terminal.words, words))
            terminal.console().print(made)
        return 0 if found else 1

    terminal.run(command())
