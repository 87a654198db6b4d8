"""`orastream say`: speaks a text, with live progress."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from orastream.cli import options, terminal
from orastream.cli.commands.following import Following
from orastream.cli.commands.stdin_text import typed
from orastream.cli.node.settings import Address, find_node
from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.client.text_stream import TextStream
from orastream.contract import subjects
from orastream.contract.audio import with_true_sizes
from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.contract.codec import Map
from orastream.contract.errors import NodeUnavailable, WaitTimeout
from orastream.contract.language import language_of
from orastream.contract.messages import Report

MAX_IDLE_S = 60
"""`idleSeconds` of a text from stdin, as a user may pause while typing."""
SAVE_GRACE_S = 10.0
"""How long to wait for the rest of the audio after the final report."""

NOT_TWICE = "a request with this id was already sent; it is not spoken again"


class TransportName(StrEnum):
    """The transports of a request."""

    WEBSOCKET = "websocket"
    HTTP = "http"
    NONE = "none"


def _transport(name: str) -> TransportName:
    try:
        return TransportName(name)
    except ValueError:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(TransportName)}") from None


def say(
    text: Annotated[str, typer.Argument(help="The text to speak; - speaks stdin while it is read, as in llm … | …")],
    session: Annotated[str, typer.Option(help="Id of the session; its requests are spoken in order.")] = "cli",
    phone: Annotated[str, typer.Option(help="Id of the phone that plays it.")] = "cli",
    request: Annotated[str | None, typer.Option(help="Id; reused within an hour, it is not spoken again.")] = None,
    http: Annotated[bool, typer.Option("--http", help="Deliver by one HTTP POST; short for --transport http.")] = False,
    transport: Annotated[
        TransportName | None,
        typer.Option(
            parser=_transport,
            metavar=f"[{'|'.join(TransportName)}]",
            help="How to deliver it; none: not at all, see --save. Default: the node's default.",
        ),
    ] = None,
    sync: Annotated[
        bool | None, typer.Option("--sync/--forget", help="The mode of the request. Default: DEFAULT_FIRE_AND_FORGET.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the end; 0: only until it is accepted.")
    ] = 60.0,
    save: Annotated[Path | None, typer.Option(help="Also write the audio to this file.", dir_okay=False)] = None,
    format: Annotated[str | None, typer.Option(help="wav, pcm16, opus, flac, mulaw, alaw, mp3 or aac.")] = None,
    voice: Annotated[str | None, typer.Option(help="A voice of the engine.")] = None,
    language: options.Language = None,
    speed: Annotated[float | None, typer.Option(help="0.5 to 2.")] = None,
    ssml: Annotated[bool, typer.Option("--ssml", help="The text is SSML: <speak>…</speak>.")] = False,
    supersede: Annotated[
        bool, typer.Option("--supersede", help="Cancel all that the session asked before, in the same step.")
    ] = False,
    pronounce: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD=READING", help="How to say a word, such as SQL=시퀄; may be given several times."),
    ] = None,
    nats: options.Nats = None,
    prefix: options.Prefix = None,
) -> None:
    """Speak a text to a phone, and follow it until it is delivered.

    Exit code 0: delivered (with --wait 0: stored durably). 1: any other outcome; stderr says what to do.
    """
    if http and transport not in (None, TransportName.HTTP):
        terminal.fail("--http and --transport contradict each other; use one")
    if save is not None and (trouble := why_not_written(save)):
        terminal.fail(f"--save: cannot write {save} ({trouble})")
    fields: Map = {
        "text": text,
        "sessionId": session,
        "phoneId": phone,
        "requestId": request or uuid.uuid4().hex[:12],
        "transport": "http" if http else transport and transport.value,
        "fire_and_forget": None if sync is None else not sync,
        "format": format,
        "voice": voice,
        "language": language,
        "speed": speed,
        "ssml": ssml or None,
        "supersede": supersede or None,
        "pronunciations": pronunciations_of(pronounce or []) or None,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    terminal.run(_say(given, (nats, prefix), wait, save, comes=text == "-"))


def pronunciations_of(options: Sequence[str]) -> dict[str, str]:
    """The words and readings of `--pronounce` options. The request's checks judge the words themselves.

    Raises typer.BadParameter for an option without `=`, and for a word that is given twice.
    """
    found: dict[str, str] = {}
    for option in options:
        word, equals, reading = option.partition("=")
        if not equals:
            raise typer.BadParameter(f"--pronounce: {option!r} has no =; write WORD=READING, such as SQL=시퀄")
        if word in found:
            raise typer.BadParameter(f"--pronounce: {word!r} is given twice; keep one")
        found[word] = reading
    return found


def why_not_written(path: Path) -> str | None:
    """Why a file cannot be written there, as far as can be checked without writing; None when it seems possible."""
    if not os.path.exists(path):  # Path.exists() raises PermissionError in a folder that this user may not search
        if not os.path.isdir(path.parent):
            return f"there is no folder {path.parent}"
        path = path.parent
    return None if os.access(path, os.W_OK) else f"{path} is not writable"


async def _say(fields: Map, address: Address, wait_s: float, save: Path | None, *, comes: bool) -> int:
    out, err = terminal.console(), terminal.console(stderr=True)
    session, request = str(fields["sessionId"]), str(fields["requestId"])
    node = find_node(*address)
    async with terminal.connect(node) as client, Following(client, session, request) as reports:
        if comes:
            acceptance = await _stream_stdin(client, fields, node.settings.tts_max_text_chars)
        else:
            acceptance, _ = await client.submit({"language": language_of(str(fields["text"])), **fields})
        acceptance = await _of_first(client, acceptance)
        if wait_s == 0 and save is None:
            _print_acceptance(out, acceptance)
            return 0
        if acceptance.duplicate:
            err.print(NOT_TWICE, soft_wrap=True)
        saving = asyncio.create_task(_audio(client, acceptance)) if save is not None else None
        try:
            report = await _final(reports, acceptance, wait_s, err)
            terminal.print_report(out, report)
            if saving is not None and save is not None:
                await _save(saving, save, report, err)
        except asyncio.CancelledError:
            again = terminal.cancel_command(session, request)
            err.print(
                terminal.words(f"not waiting any longer; it is still spoken, unless you run: {again}"), soft_wrap=True
            )
            raise
        finally:
            if saving is not None:
                saving.cancel()
                await asyncio.gather(saving, return_exceptions=True)
        return 0 if report.status == "delivered" else 1


async def _of_first(client: Client, acceptance: Acceptance) -> Acceptance:
    """The acceptance of the request that was sent before with this id, if it has a report: that one is spoken.

    Another process of this command has sent it, so the message ids differ and the stream has stored both.
    """
    tokens = subjects.tokens(acceptance.session_id, acceptance.request_id)
    with contextlib.suppress(NodeUnavailable):  # the request is stored, and this only decides what is printed
        first = await client.reads.report(*tokens, patience_s=1.0)
        if first is not None and first.request_seq != acceptance.request_seq:
            return replace(acceptance, request_seq=first.request_seq, duplicate=True)
    return acceptance


async def _stream_stdin(client: Client, fields: Map, max_text_chars: int) -> Acceptance:
    """Speak stdin as a streamed text, until its end. Without `--language` its first piece decides the language."""
    async with contextlib.aclosing(typed()) as pieces:
        beginning = await anext(pieces, "")
        given = {"language": language_of(beginning), "idleSeconds": MAX_IDLE_S, **fields, "text": beginning}
        async with TextStream(client, given, max_text_chars) as stream:
            async for piece in pieces:
                await stream.write(piece)
    return stream.acceptance


def _print_acceptance(out: Console, acceptance: Acceptance) -> None:
    before = f"; {NOT_TWICE}" if acceptance.duplicate else ""
    which = f" {acceptance.session_id}/{acceptance.request_id} (sequence {acceptance.request_seq}{before})"
    out.print(terminal.words(("accepted", "green"), which), soft_wrap=True)


async def _final(reports: Following, acceptance: Acceptance, wait_s: float, err: Console) -> Report:
    """Show progress until the final report, and return that. Raises WaitTimeout after `wait_s` seconds."""
    warned = False
    try:
        async with asyncio.timeout(wait_s or None):
            with _progress(err) as show:
                async for report in reports:
                    show.report(report)
                    if report.request_seq != acceptance.request_seq and not warned:
                        err.print(NOT_TWICE, soft_wrap=True)
                        warned = True
                    if report.final:
                        return report
    except TimeoutError:
        pass
    raise WaitTimeout(acceptance.session_id, acceptance.request_id, wait_s)


class _Lines:
    """Progress without a terminal: a line per report on stderr."""

    def __init__(self, err: Console) -> None:
        self._err = err

    def report(self, report: Report) -> None:
        self._err.print(terminal.report_line(report), soft_wrap=True)


class _Bar:
    """Progress on a terminal: a bar, whose length is unknown until synthesis has ended."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task("[dim]queued[/]", total=None, audio="")

    def report(self, report: Report) -> None:
        self._progress.update(
            self._task,
            description=terminal.coloured(report.status).markup,
            total=report.total_chunks,
            completed=report.delivered_chunks,
            audio=f"{report.delivered_chunks} chunks, {report.audio_seconds:.1f} s",
        )


@contextlib.contextmanager
def _progress(err: Console) -> Iterator[_Lines | _Bar]:
    if not err.is_terminal:
        yield _Lines(err)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[audio]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        yield _Bar(progress)


async def _audio(client: Client, acceptance: Acceptance) -> bytes:
    """The complete audio file, read from the request's audio messages."""
    audio, format = bytearray(), "wav"
    async for message in client.audio(acceptance.session_id, acceptance.request_id, acceptance.request_seq):
        if isinstance(message, AudioChunk):
            audio += message.audio
        elif isinstance(message, AudioStart):
            format = message.format
    return bytes(with_true_sizes(audio) if format == "wav" and audio else audio)


async def _save(audio: asyncio.Task[bytes], path: Path, report: Report, err: Console) -> None:
    try:
        data = await asyncio.wait_for(audio, SAVE_GRACE_S if report.status == "delivered" else 1.0)
    except TimeoutError:
        terminal.fail(f"{path} is not written: no complete audio of this request is stored (any more)")
    if not data:
        err.print(terminal.words(f"{path} is not written: the text has nothing to say"), soft_wrap=True)
        return
    try:
        await asyncio.to_thread(path.write_bytes, data)
    except OSError as exc:
        terminal.fail(f"--save: cannot write {path} ({exc.strerror})")
    err.print(terminal.words(f"{len(data):,} bytes written to {path}"), soft_wrap=True)
