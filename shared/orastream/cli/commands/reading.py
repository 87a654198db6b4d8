"""`orastream reading`: prints how synth would read a text, without a node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from orastream.cli import options, terminal
from orastream.cli.commands.say import pronunciations_of
from orastream.cli.node import stack
from orastream.cli.node.settings import environment
from orastream.contract.errors import SettingsError
from orastream.contract.language import language_of


def reading(
    text: Annotated[str, typer.Argument(help="The text to read; - reads stdin to its end.")],
    lexicon: Annotated[
        Path | None, typer.Option(help="A lexicon, which is checked first. Default: TTS_LEXICON.", dir_okay=False)
    ] = None,
    pronounce: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD=READING", help="How to say a word, as in a request; may be given several times."),
    ] = None,
    language: options.Language = None,
    engine: Annotated[str | None, typer.Option(help="As TTS_ENGINE; it is not started. Default: TTS_ENGINE.")] = None,
    ssml: Annotated[bool, typer.Option("--ssml", help="The text is SSML: <speak>…</speak>.")] = False,
) -> None:
    """Print what the engine would get for a text: a line for each sentence. It needs no node.

    Exit code 1: the lexicon or the text is wrong; stderr says where.
    """
    try:
        stack.check_installed()
    except SettingsError as exc:
        terminal.fail(str(exc))
    if text == "-":
        text = sys.stdin.buffer.read().decode(errors="replace")
    asked = {
        "text": text,
        "lexicon": None if lexicon is None else str(lexicon),
        "engine": engine,
        "ssml": ssml,
        "language": language or language_of(text),
        "pronunciations": pronunciations_of(pronounce or []),
    }
    # The library may not import a service, so the rules run in a process of their own.
    command = [sys.executable, "-P", "-m", "services.synth.lexicon"]  # -P: as in `node/stack.py`
    ended = subprocess.run(command, input=json.dumps(asked), text=True, env=environment(), check=False)  # noqa: S603
    raise typer.Exit(ended.returncode)
