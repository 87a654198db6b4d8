"""Output of the commands: consoles, tables, numbers. Also runs a command's coroutine and sets its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text, TextType

from orastream import traces
from orastream.broker import AddressOrigin, Broker
from orastream.cli.node.settings import NodeAddress
from orastream.client.async_client import Client
from orastream.contract.codec import Map
from orastream.contract.errors import OrastreamError, WaitTimeout
from orastream.contract.heard import Heard
from orastream.contract.messages import Report, Status
from orastream.service import logging

PLAIN_WIDTH = 160
"""Width in a pipe or a file, in characters; wide enough that no table cell is folded."""
INTERRUPTED, TERMINATED = 130, 143
LAST_TRACES_S = 2.0
ORIGIN = AddressOrigin(
    "--nats or NATS_URL",
    "--nats or NATS_URL",
    "start it (orastream up), or set --nats or NATS_URL to where it is",
)
"""Where a command has the address of NATS from."""

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that move the cursor, change the reading direction or cannot be encoded. Texts of requests and reports
could use them to change what a user sees."""

COLOURS: dict[Status, str] = {
    "queued": "dim",
    "synthesizing": "cyan",
    "delivering": "cyan",
    "delivered": "green",
    "failed": "red",
    "cancelled": "yellow",
    "expired": "red",
}


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal; in a pipe or a file without colours and PLAIN_WIDTH wide."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = PLAIN_WIDTH
    return made


def run(command: Coroutine[Any, Any, int], *, interrupted: int = INTERRUPTED) -> NoReturn:
    """Run a command and exit with its code. OrastreamError: a line on stderr and 1. Ctrl-C: `interrupted`."""
    logging.configure("cli", level="ERROR")
    end_traces = traces.start("orastream-cli", os.environ)
    try:
        code = asyncio.run(command)
    except WaitTimeout as exc:
        which, again = f"{exc.session_id}/{exc.request_id}", report_command(exc.session_id, exc.request_id)
        fail(f"no final report of {which} after {exc.waited_s:g} s; ask again: {again}")
    except OrastreamError as exc:
        fail(str(exc))
    except KeyboardInterrupt:
        code = interrupted
    except asyncio.CancelledError:  # a command whose SIGTERM handler cancels its task
        code = TERMINATED
    finally:
        end_traces(LAST_TRACES_S)
    raise typer.Exit(code)


def fail(message: str) -> NoReturn:
    """Print an error on stderr and exit with 1."""
    console(stderr=True).print(words(("error:", "bold red"), f" {message}"), soft_wrap=True)
    raise typer.Exit(1)


def warn(message: str) -> None:
    """Print a warning on stderr."""
    console(stderr=True).print(words(("warning:", "yellow"), f" {message}"), soft_wrap=True)


def cancel_command(session: str, request: str) -> str:
    """The shell command that cancels this request."""
    words = ["orastream", "cancel", "--request", request]
    return shlex.join([*words, "--", session] if session.startswith("-") else [*words[:2], session, *words[2:]])


def report_command(session: str, request: str) -> str:
    """The shell command that shows the report of this request."""
    ids = [session, request]
    return shlex.join(["orastream", "report", *(["--"] if any(word.startswith("-") for word in ids) else []), *ids])


@contextlib.asynccontextmanager
async def connect(node: NodeAddress) -> AsyncIterator[Client]:
    """A client of the node; leaving the context closes its connection."""
    async with Broker(
        node.nats_url,
        name="orastream-cli",
        prefix=node.prefix,
        access=node.access,
        inbox_prefix=node.settings.nats_inbox_prefix,
        connect_timeout_s=2.0,
        origin=ORIGIN,
    ) as broker:
        yield Client(
            broker,
            fire_and_forget=node.settings.default_fire_and_forget,
            max_text_chars=node.settings.tts_max_text_chars,
        )


def table(*columns: str, title: TextType | None = None, caption: TextType | None = None) -> Table:
    """An empty table. Columns whose name begins with `>` are right-aligned."""
    made = Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        caption_style="dim",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in columns:
        name = column.removeprefix(">")
        made.add_column(name, justify="right" if name != column else "left", overflow="fold")
    return made


def print_report(to: Console, report: Report) -> None:
    """Print a report as a table with a line per value."""
    made = table("report", "")
    made.show_header = False
    for name, value in report_rows(report):
        made.add_row(name, value)
    to.print(made)


def report_rows(report: Report) -> list[tuple[str, Text]]:
    """The lines of a report's table."""
    rows: list[tuple[str, Text | str]] = [
        ("status", coloured(report.status)),
        ("session", report.session_id),
        ("request", words(report.request_id, (f" (sequence {report.request_seq})", "dim"))),
        ("transport", report.transport or "-"),
        ("chunks", f"{report.delivered_chunks} of {'?' if report.total_chunks is None else report.total_chunks}"),
        ("audio", f"{report.audio_seconds:.2f} s, {report.bytes:,} bytes{_sent(report)}"),
        ("first audio", milliseconds(report.first_audio_ms)),
        ("transfer", milliseconds(report.transfer_ms)),
        ("synthesis", "-" if report.rtf is None else f"{report.rtf:.3f} s per second of speech"),
        ("ran dry", f"{report.underruns} times, {milliseconds(report.underrun_ms)} in all"),
        ("reconnects", f"{report.reconnects}, {report.retransmitted} chunks repeated"),
    ]
    if report.error is not None:
        again = "it may be tried again" if report.error.retryable else "trying again does not help"
        rows.append(("error", words((report.error.code, "red"), f": {report.error.message} ", (f"({again})", "dim"))))
    return [(name, words(value)) for name, value in rows]


def _sent(report: Report) -> str:
    """What was sent besides the confirmed audio, if it is more."""
    return f"; {report.sent_seconds:.2f} s were sent" if report.sent_seconds > report.audio_seconds else ""


def report_line(report: Report) -> Text:
    """A report as one line."""
    total = "" if report.total_chunks is None else f"/{report.total_chunks}"
    parts: list[Text | str] = [
        words(coloured(report.status), f" {report.session_id}/{report.request_id}"),
        f"{report.delivered_chunks}{total} chunks, {report.audio_seconds:.1f} s{_sent(report)}",
    ]
    if report.first_audio_ms is not None:
        parts.append(f"first audio {milliseconds(report.first_audio_ms)}")
    if report.underruns:
        parts.append(f"ran dry {report.underruns} times, {milliseconds(report.underrun_ms)}")
    if report.reconnects:
        parts.append(f"{report.reconnects} reconnects")
    if report.error is not None:
        parts.append(words((report.error.code, "red"), f": {report.error.message}"))
    return Text(" · ").join(words(part) for part in parts)


def heard_lines(record: Heard) -> Text:
    """What was heard of a request, as some lines."""
    head = words((record.request_id, "bold"), f" ({_heard_how(record)})")
    parts = (("heard:    ", record.heard_text), ("not heard:", record.unheard_text))
    return Text("\n").join([head, *(words((f"  {name} ", "dim"), text) for name, text in parts if text is not None)])


def _heard_how(record: Heard) -> str:
    if not record.done:
        return "not certain: its record is not complete yet"
    if record.played_ms is None:
        return "unknown how much was heard"
    return f"{record.played_ms / 1000:.2f} s heard, {'reported' if record.heard_by == 'played' else 'estimated'}"


def coloured(status: Status) -> Text:
    """The status in its colour."""
    return Text(status, COLOURS[status])


def words(*parts: str | tuple[str, str] | Text) -> Text:
    """The joined parts, each plain or with a style. Markup in a part is not interpreted.

    Control characters are shown as escapes, except newline and tab.
    """
    made = Text()
    for part in parts:
        text, style = part if isinstance(part, tuple) else (part, None)
        made.append(visible(text) if isinstance(text, str) else text, style)
    return made


def visible(text: str) -> str:
    """The text with control characters as JSON escapes."""
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def json_text(value: Map | list[Map], *, indent: int | None = None) -> str:
    """JSON with readable Unicode, in which control characters are escaped."""
    return visible(json.dumps(value, ensure_ascii=False, indent=indent))


def milliseconds(value: float | None) -> str:
    """Milliseconds as text: `12.3 ms`, `1 234 ms`; `-` for None."""
    if value is None:
        return "-"
    return f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms".replace(",", " ")


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of the values do not exceed (nearest rank); None without values."""
    if not values:
        return None
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * round(share * 100) // 100))
    return ordered[int(rank) - 1]
