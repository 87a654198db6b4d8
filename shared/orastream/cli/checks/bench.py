"""`orastream bench`: measures a running node over HTTP, fire and forget and sync, and compares the three modes."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from orastream.broker import shown
from orastream.cli import options, terminal
from orastream.cli.checks.measurement import MODES, Measurement, comparison, speak
from orastream.cli.checks.texts import TEXTS, SampleText
from orastream.cli.node.settings import Address, find_node
from orastream.client.async_client import Client
from orastream.contract.language import language_of

CAPTION = {
    "first audio": "from storing the request to writing its first chunk to OraServer",
    "transfer": "from there to the last confirmation",
    "RTF": "seconds of synthesis per second of speech",
    "ran dry": "utterances in which a real-time listener had no audio to play, and for how long",
}


def bench(  # noqa: PLR0913 - the options of a command
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=10_000, help="Utterances per mode.")] = 10,
    sessions: Annotated[int, typer.Option(min=1, max=256, help="Sessions per mode that speak at the same time.")] = 1,
    text: Annotated[
        str | None, typer.Option(help="The text to speak. Default: six Korean and English texts in turn.")
    ] = None,
    language: options.Language = None,
    wait: Annotated[float, typer.Option(min=1, help="Maximum seconds per utterance.")] = 60.0,
    nats: options.Nats = None,
    prefix: options.Prefix = None,
) -> None:
    """Measure a running node in its three modes, and compare them.

    The modes take turns. Each mode speaks in `--sessions` sessions at the same time, one utterance at a time in each.
    The first round of each mode is not counted. Exit code 1: an utterance was not delivered.
    """
    texts = TEXTS if text is None else (SampleText("given", language or language_of(text), text),)
    terminal.run(_bench(texts, count, sessions, wait, (nats, prefix)))


async def _bench(texts: tuple[SampleText, ...], count: int, sessions: int, wait_s: float, address: Address) -> int:
    out = terminal.console()
    node = find_node(*address)
    async with terminal.connect(node) as client:
        trials = await _trials(client, texts, count, sessions, wait_s)
    for number, mode in enumerate(MODES, 1):
        _print_check(out, number, mode.name, [trial for trial in trials if trial.mode is mode])
    out.print(comparison(trials, title=f"4. Comparison at {shown(node.nats_url)}", to=out, caption=CAPTION))
    return 0 if all(trial.delivered for trial in trials) else 1


async def _trials(
    client: Client, texts: tuple[SampleText, ...], count: int, sessions: int, wait_s: float
) -> list[Measurement]:
    """`count` measurements of each mode and session, with the modes in turn. The first round is left out."""
    run = uuid.uuid4().hex[:6]
    spoken = itertools.islice(itertools.cycle(texts), count)
    rounds = [texts[0], *spoken]
    trials: list[Measurement] = []
    err = terminal.console(stderr=True)
    for number, text in enumerate(track(rounds, "speaking", console=err, transient=True, disable=not err.is_terminal)):
        for mode in MODES:
            at_once = [
                speak(
                    client,
                    mode,
                    text,
                    session_id=f"bench-{run}-{mode.token}-{session}",
                    request_id=f"n{number}",
                    wait_s=wait_s,
                )
                for session in range(sessions)
            ]
            done = await asyncio.gather(*at_once)
            if number > 0:
                trials += done
    return trials


def _print_check(out: Console, number: int, name: str, trials: list[Measurement]) -> None:
    failed = [trial for trial in trials if not trial.delivered]
    verdict = (f"{len(failed)} of {len(trials)} not delivered", "red") if failed else ("ok", "green")
    out.print(terminal.words(f"{number}. {name}: ", verdict), soft_wrap=True)
    for outcome in sorted({trial.outcome for trial in failed}):
        out.print(terminal.words(f"   {outcome}"), soft_wrap=True)
