"""The lines of `orastream watch` about what was heard."""

from __future__ import annotations

import asyncio
import contextlib
import time

from rich.console import Console
from rich.text import Text

from orastream.base.backoff import Backoff
from orastream.cli import terminal
from orastream.client import heard_watch
from orastream.client.async_client import Client
from orastream.contract.errors import NodeUnavailable, OrastreamError
from orastream.contract.heard import Heard

MAX_CHARS = 60
"""Of what was heard the line has so many characters from its end, of what was not so many from its beginning."""
NOT_SHOWN = "what was heard is not shown"
NO_RIGHT = "this user may not read it, or no gateway answers for it"

HOW = {
    "played": "as OraServer reported",
    "sent": "estimated from what was sent",
    "unknown": "not known what was heard",
}


async def show_heard(client: Client, session: str | None, *, history: bool, as_json: bool, out: Console) -> None:
    """Print each record that is done, until it is cancelled. If they cannot be read, print why on stderr and return.

    While NATS or the gateway is away it tries again. Raises nothing.
    """
    backoff = Backoff(0.1, 1.0)
    while True:
        try:
            if not await heard_watch.readable(client.reads, session):
                _print_note(NO_RIGHT)
                return
            records = heard_watch.records(client.reads, session, history=history)
            async with contextlib.aclosing(records):
                async for state in records:
                    if state.heard.done:
                        _print(state.heard, state.stored_at_s, as_json=as_json, out=out)
        except NodeUnavailable:  # NATS or the gateway is away
            await asyncio.sleep(backoff.next_s())
        except OrastreamError as exc:
            _print_note(str(exc))
            return


def heard_line(heard: Heard) -> Text:
    """A record as one line. Texts are abbreviated where they are far from the place up to which the text was heard."""
    parts: list[Text | str] = [terminal.words(("heard", "magenta"), f" {heard.session_id}/{heard.request_id}")]
    if heard.played_ms is not None:
        parts.append(f"{heard.played_ms / 1000:.1f} s")
    if heard.heard_text is not None:
        parts.append(f"heard “{_end(heard.heard_text)}”" if heard.heard_text else "heard nothing")
    if heard.unheard_text:
        parts.append(terminal.words((f"not heard “{_begin(heard.unheard_text)}”", "dim")))
    parts.append(HOW[heard.heard_by])
    if heard.cancel_seq is not None:
        parts.append(f"cut by {heard.cancel_seq}")
    return Text(" · ").join(terminal.words(part) for part in parts)


def _print_note(reason: str) -> None:
    terminal.console(stderr=True).print(terminal.words((f"{NOT_SHOWN}: {reason}", "dim")), soft_wrap=True)


def _print(heard: Heard, stored_at_s: float, *, as_json: bool, out: Console) -> None:
    if as_json:
        print(terminal.json_text(heard.to_map()), flush=True)
        return
    when = (time.strftime("%H:%M:%S ", time.localtime(stored_at_s)), "dim")
    out.print(terminal.words(when, heard_line(heard)), soft_wrap=True)


def _end(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_CHARS else f"…{text[-MAX_CHARS:]}"


def _begin(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"
