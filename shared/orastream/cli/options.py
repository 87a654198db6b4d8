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
