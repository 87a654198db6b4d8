"""`orastream voices`: lists the voices of the node."""

from __future__ import annotations

from typing import Annotated

import typer

from orastream.cli import options, terminal
from orastream.cli.node.settings import find_node

NOBODY = "no synth is running: start one with `orastream up` or `python -m services.synth`"


def voices(
    language: Annotated[
        str | None, typer.Option(help="Only voices of this language (ko), or language and region (en-US).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, as in the gateway's answer.")] = False,
    nats: options.Nats = None,
    prefix: options.Prefix = None,
) -> None:
    """List the voices of the running synths, with their engines. Exit code 1: there is none."""

    async def command() -> int:
        async with terminal.connect(find_node(nats, prefix)) as client:
            available = await client.voices()
        found = [voice for voice in available if language is None or speaks(voice.language, language)]
        if as_json:
            print(terminal.json_text([voice.to_map() for voice in found], indent=1))
        elif not available:
            terminal.fail(NOBODY)
        elif not found:
            languages = ", ".join(sorted({voice.language for voice in available}))
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
    """Whether `language` is the wanted one, or a more specific one (`en-US` for `en`)."""
    has, wants = language.lower().split("-"), wanted.lower().split("-")
    return has[: len(wants)] == wants
