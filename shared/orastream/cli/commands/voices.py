"""`orastream voices`: what the node can speak."""

from __future__ import annotations

from typing import Annotated

import typer

from orastream.cli import options, terminal
from orastream.cli.node.settings import find_node

NOBODY = "no synth is running: start one by `orastream up`, or `python -m services.synth`"


def voices(
    language: Annotated[
        str | None, typer.Option(help="Only voices of this language (ko), or language and region (en-US).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As the gateway answers it.")] = False,
    nats: options.Nats = None,
) -> None:
    """List the voices that the node's synths can speak, with their engines. Exit code 1: there is none."""

    async def command() -> int:
        async with terminal.connect(find_node(nats)) as client:
            there = await client.voices()
        found = [voice for voice in there if language is None or speaks(voice.language, language)]
        if as_json:
            print(terminal.json_text([voice.to_map() for voice in found], indent=1))
        elif not there:
            terminal.fail(NOBODY)
        elif not found:
            languages = ", ".join(sorted({voice.language for voice in there}))
            terminal.fail(f"no voice speaks {language}; there are: {languages}")
        else:
            made = terminal.table("voice", "language", ">rate", "engine", "version")
            for voice in found:
                rate = f"{voice.sample_rate_hz:,} Hz".replace(",", " ")
                words = (voice.name, voice.language, rate, voice.engine, voice.version)
                made.add_row(*map(terminal.words, words))
            terminal.console().print(made)
        return 0 if found else 1

    terminal.run(command())


def speaks(language: str, wanted: str) -> bool:
    """Whether a voice's language is the one wanted, or a narrower one (`en-US` for `en`)."""
    has, wants = language.lower().split("-"), wanted.lower().split("-")
    return has[: len(wants)] == wants
