"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Nats = Annotated[
    str | None,
    typer.Option("--nats", help="NATS URL of the node. Default: NATS_URL, or the `orastream up` of this directory."),
]
Prefix = Annotated[
    str | None,
    typer.Option("--prefix", help="TTS_PREFIX of the node, or the name of a front door. Default: TTS_PREFIX, or tts."),
]
Language = Annotated[
    str | None, typer.Option(help="ko-KR, en-US or others. Default: Korean for a text with Hangul, else English.")
]
