"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Nats = Annotated[
    str | None,
    typer.Option("--nats", help="NATS of the node. Else NATS_URL, or the `orastream up` of this directory."),
]
Language = Annotated[
    str | None, typer.Option(help="As in ko-KR, en-US. Else by the text: Korean if it holds Hangul, English if not.")
]


def language_of(text: str) -> str:
    """Korean for a text with Hangul, English for any other: what a person at a terminal most likely means."""
    return "ko-KR" if any("\uac00" <= ch <= "\ud7a3" or "\u1100" <= ch <= "\u11ff" for ch in text) else "en-US"
