"""`orastream demo`: starts a node, speaks Korean and English in all three modes, and checks every recording."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from orastream.cli import terminal
from orastream.cli.checks import verification
from orastream.cli.checks.measurement import HTTP, MODES, SYNC, Measurement, Mode, comparison, speak, summarise
from orastream.cli.checks.texts import TEN_SECONDS, TEXTS, SampleText
from orastream.cli.checks.verification import CheckedRecording
from orastream.cli.node import stack
from orastream.cli.node.ports import Ports
from orastream.cli.node.settings import CliSettings, NodeAddress
from orastream.cli.node.stack import Options, Stack
from orastream.cli.node.supervisor import PartKeeper, State, Supervisor
from orastream.client.async_client import Client
from orastream.contract.names import DEFAULT_PREFIX
from orastream.service.settings import KNOWN

SLOWED_RTF = "0.1"
"""The real-time factor of a neural voice on a small GPU: ten seconds of speech take one second."""
SLOWED_ROUNDS = 3
MAX_RATIO = 0.25
"""The goal for the slowed engine: first audio over WebSocket takes at most this part of the time over HTTP."""
WAIT_S = 30.0
LEAD_S = "600"
"""Nobody listens: else protocol v2 would send long texts only as fast as they are played."""
OURS = ("TTS_", "WEBSOCKET_", "ORASERVER_", "DEFAULT_", "NATS_", "SYNTH_", "GATEWAY_", "CHUNK_", "ENGINE_")


def demo(
    out: Annotated[Path, typer.Option(help="Directory for the recordings.", file_okay=False)] = Path("demo-out"),
    engine: Annotated[str, typer.Option(help="The engine to use.")] = "espeak",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting for the engine; repeatable."),
    ] = None,
) -> None:
    """Demonstrate a node: speak six Korean and English texts in all three modes, and print the measurements.

    It starts its own node on free ports, and stops it at the end. It checks OraServer's recordings (header, length, not
    silent, the same in every mode) and saves them as WAV files. Then it slows the engine to a real-time factor of 0.1,
    and compares first audio over WebSocket and HTTP for ten seconds of speech. Exit code 1: a check failed.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        terminal.fail(f"--out: cannot make {out} ({exc.strerror})")
    terminal.run(_demo(out, engine, _given(settings or [])))


def _given(settings: Sequence[str]) -> dict[str, str]:
    """Parse settings of the form `NAME=VALUE`. Exits with an error for any other form."""
    given = dict(setting.partition("=")[::2] for setting in settings)
    for name, value in given.items():
        if name.upper() not in KNOWN or not value:
            terminal.fail(f"--set: {name!r} is not a setting of the node, or has no value; example: TTS_VOICE=ko")
    return {name.upper(): value for name, value in given.items()}


async def _demo(out_dir: Path, engine: str, settings: Mapping[str, str]) -> int:
    began = time.monotonic()
    out = terminal.console()
    stack.check_installed()
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="orastream-demo-") as directory, _sigterm_cancels():
        node = _plan(Path(directory), {"DELIVERY_LEAD_SECONDS": LEAD_S, **settings, "TTS_ENGINE": engine})
        out.print(
            terminal.words(f"starting a node with engine {engine}: {', '.join(part.name for part in node.parts)}")
        )
        try:
            problems += await _perform(node, out, out_dir, engine, settings.get("TTS_PREFIX", DEFAULT_PREFIX))
        finally:
            with contextlib.suppress(FileNotFoundError):  # no process was started, so there are no logs
                shutil.copytree(node.logs, out_dir / "logs", dirs_exist_ok=True)
    for problem in problems:
        out.print(terminal.words(("problem:", "red"), f" {problem}"), soft_wrap=True)
    verdict = ("a check failed", "red") if problems else ("all delivered and verified", "bold green")
    tail = f" in {time.monotonic() - began:.0f} s; recordings and logs are in {out_dir}/"
    out.print(terminal.words(verdict, tail), soft_wrap=True)
    return 1 if problems else 0


def _plan(directory: Path, settings: Mapping[str, str]) -> Stack:
    """A node on free ports with these settings, and with defaults for all others: the environment is ignored."""
    env = {name: value for name, value in os.environ.items() if not name.upper().startswith(OURS)}
    options = Options(directory, 0, 0, 0, env=env | dict(settings))
    return stack.plan(options, Ports(), disk_bytes=stack.room(directory))


async def _perform(node: Stack, out: Console, out_dir: Path, engine: str, prefix: str) -> list[str]:
    """Run the demonstration; returns the problems found."""
    deaths: list[str] = []

    def on_change(keeper: PartKeeper, sentence: str) -> None:
        if keeper.state is State.WAITING:
            deaths.append(sentence)

    assert node.oraserver_url is not None
    address = NodeAddress(node.nats_url, None, "", "", CliSettings(_env_file=None), prefix=prefix)
    async with Supervisor(node.parts, node.logs, on_change) as supervisor:
        await supervisor.ready()
        async with terminal.connect(address) as client:
            plain = await _speak_all(client, TEXTS, MODES, "as it is")
            supervisor.keeper("synth").start_again({"TTS_ENGINE_RTF": SLOWED_RTF})
            await supervisor.ready()
            slowed = await _speak_all(client, (TEN_SECONDS,) * SLOWED_ROUNDS, (HTTP, SYNC), "slowed")
        listing = await verification.fetch(node.oraserver_url)
        checked = verification.check_recordings(plain, listing)
        checked_slowed = verification.check_recordings(slowed, listing)
    _leave(out, checked, out_dir)
    breaches = listing["violations"]
    return [
        *_bad(checked),
        *_bad(checked_slowed),
        *(f"{name}: not the same audio in every mode" for name in verification.differing(checked)),
        *([f"OraServer counts {breaches} breaches of its protocol"] if breaches else []),
        *_compare(out, plain, slowed, checked_slowed, engine),
        *deaths,
    ]


async def _speak_all(
    client: Client, texts: Sequence[SampleText], modes: Sequence[Mode], name: str
) -> list[Measurement]:
    """Speak each text in each mode, one after the other. The first utterance of each session is not counted.

    It opens the session's connection and warms up the engine, which later requests need not wait for.
    """
    err = terminal.console(stderr=True)
    token = name.replace(" ", "-")
    trials = []
    rounds = track(
        [TEXTS[0], *texts], f"speaking, engine {name}", console=err, transient=True, disable=not err.is_terminal
    )
    for number, text in enumerate(rounds):
        for mode in modes:
            session, request = f"demo-{token}-{mode.token}", f"{number:02}-{text.name}"
            trial = await speak(client, mode, text, session_id=session, request_id=request, wait_s=WAIT_S)
            if number > 0:
                trials.append(trial)
    return trials


def _leave(out: Console, checked: Sequence[CheckedRecording], out_dir: Path) -> None:
    """Write the recordings to files, and print a table with a line per text."""
    files = f"NN-text-{{{','.join(mode.token for mode in MODES)}}}.wav"
    made = terminal.table(
        "text", ">characters", ">seconds", ">peak", "recordings", title="What OraServer heard", caption=files
    )
    for text in dict.fromkeys(one.trial.text for one in checked):
        same = [one for one in checked if one.trial.text is text]
        for one in same:
            (out_dir / f"{one.trial.request_id}-{one.trial.mode.token}.wav").write_bytes(one.wav)
        good = [one.recording for one in same if one.recording is not None]
        verdict = f"[green]{len(good)} checked[/]" if len(good) == len(same) else f"[red]{len(same) - len(good)} bad[/]"
        seconds, peak = (f"{good[0].seconds:.2f}", f"{good[0].peak}") if good else ("-", "-")
        pattern = f"{same[0].trial.request_id.partition('-')[0]}-*.wav"
        made.add_row(text.name, str(len(text.text)), seconds, peak, f"{verdict} {pattern}")
    _print(out, made)


def _print(out: Console, made: Table) -> None:
    """Print a table and an empty line."""
    out.print(made)
    out.print()


def _bad(checked: Sequence[CheckedRecording]) -> list[str]:
    return [
        f"{one.trial.text.name}, {one.trial.mode.name}: {one.problem}" for one in checked if one.problem is not None
    ]


def _compare(
    out: Console,
    plain: Sequence[Measurement],
    slowed: Sequence[Measurement],
    checked_slowed: Sequence[CheckedRecording],
    engine: str,
) -> list[str]:
    """Print both comparisons; returns a problem if the goal is missed."""
    _print(out, comparison(plain, title=f"Engine {engine} as it is, {len(TEXTS)} texts", to=out))
    lengths = [one.recording.seconds for one in checked_slowed if one.recording is not None]
    seconds = lengths[0] if lengths else 0.0
    title = f"Engine {engine} slowed to a real-time factor of {SLOWED_RTF} (TTS_ENGINE_RTF), {seconds:.1f} s of speech"
    _print(out, comparison(slowed, title=title, to=out))
    websocket, http = (
        summarise([trial for trial in slowed if trial.mode is mode]).first_audio_p50_ms for mode in (SYNC, HTTP)
    )
    if websocket is None or not http:
        return ["first audio could not be compared"]
    ratio = websocket / http
    out.print(f"first audio, WebSocket to HTTP, slowed engine: [bold]{ratio:.2f}[/] (goal: at most {MAX_RATIO})\n")
    return [f"first audio over WebSocket took {ratio:.2f} of HTTP's"] if ratio > MAX_RATIO else []


@contextlib.contextmanager
def _sigterm_cancels() -> Iterator[None]:
    """Make SIGTERM cancel the task, as Ctrl-C does, so that the node is drained and the directory removed."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
