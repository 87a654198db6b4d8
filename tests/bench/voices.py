"""Voices under load: the embedded engine and a torch model of full size, 1, 4 and 16 sessions, on a whole node.

The model is the sample of the engine vits: random weights, 36 M parameters, the cost of an MMS model. All sessions
request the same sentence at the same time, without a cache. Then one process decodes six seconds of speech in pieces
and as a whole.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orastream.contract.messages import Report
from tests.bench.measure import number, percentile, table
from tests.support.scenes import running_node, scene_on
from tests.support.services import REPOSITORY, Stack
from tests.support.torch_engines import TORCH_PYTHON

TEXT, LANGUAGE = "Hello, how can I help you today?", "en-US"
ROUNDS = {1: 3, 4: 2, 16: 1}
"""Number of measurements by number of simultaneous sessions."""
SLOTS = 4
FIRST_AUDIO_GOAL = 0.25
BUDGET_S = 400.0
"""No load begins later than this many seconds."""
WAIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """The result for one number of simultaneous sessions."""

    engine: str
    sessions: int
    reports: list[Report]
    seconds: float

    @property
    def row(self) -> list[str]:
        first = [report.first_audio_ms for report in self.reports if report.first_audio_ms is not None]
        rtf = [report.rtf for report in self.reports if report.rtf is not None]
        dry = sum(report.underruns > 0 for report in self.reports)
        spoken_s = sum(report.audio_seconds for report in self.reports)
        return [
            f"{self.engine}, {self.sessions} session{'s' if self.sessions > 1 else ''}",
            *(number(percentile(first, percent)) for percent in (50, 95)),
            *(number(percentile(rtf, percent), 2) for percent in (50, 95)),
            f"{dry} of {len(self.reports)}",
            number(spoken_s / self.seconds, 1),
        ]


HEADERS = ["voices", "first audio p50, ms", "p95", "RTF p50", "p95", "ran dry", "speech s per s"]


def measure(quick: bool, tell: Callable[[str], None]) -> tuple[str, bool]:
    """Returns both tables, and whether the goal was missed. Blocks about five minutes. `tell` gets progress lines."""
    if not TORCH_PYTHON.exists():
        return "voices: there is no .venv-torch; run `make torch`", True
    began = time.monotonic()
    rounds = {sessions: 1 for sessions in (1, 4)} if quick else ROUNDS
    with tempfile.TemporaryDirectory(prefix="orastream-voices-") as folder:
        models = Path(folder) / "models"
        tell("a random model of 36 M parameters is being made")
        sample = [TORCH_PYTHON, "-m", "services.synth.engines.vits.sample", "--full", models]
        subprocess.run(sample, cwd=REPOSITORY, check=True, timeout=WAIT_S)
        vits = {"TTS_ENGINE": "vits", "ENGINE_PYTHON": TORCH_PYTHON, "TTS_MODEL_DIR": models}
        tell("decoder in pieces and in one go")
        pieces, missed = _pieces(models, 1 if quick else 3)
        loads: list[Load] = []
        for engine, settings in (
            ("espeak", {}),
            ("vits", vits),
            ("vits, batching", {**vits, "TTS_BATCH": "on"}),
        ):
            if time.monotonic() - began > BUDGET_S:
                tell(f"{engine}: left out, for want of time")
                continue
            loads += _loads(engine, rounds, began + BUDGET_S, tell, **settings)
    caption = (
        f"all sessions say the same sentence at once; SYNTH_SLOTS={SLOTS}, so more wait for their turn; "
        "ran dry: utterances in which a real-time listener did"
    )
    return "\n".join([table(HEADERS, [load.row for load in loads]), caption, "", pieces]), missed


def _loads(
    engine: str, rounds: dict[int, int], until: float, tell: Callable[[str], None], **settings: object
) -> list[Load]:
    async def run(stack: Stack) -> list[Load]:
        loads = []
        async with scene_on(stack, "voices") as scene:

            async def say(name: str) -> Report:
                report = await scene.client.say(
                    TEXT,
                    session_id=scene.id(name.partition(" ")[0]),
                    phone_id="p",
                    request_id=scene.id(name.replace(" ", "-")),
                    language=LANGUAGE,
                    fire_and_forget=False,
                    wait_s=WAIT_S,
                    ttlSeconds=600,
                )
                assert isinstance(report, Report) and report.status == "delivered", report
                return report

            await asyncio.gather(*(say(f"s{session} warm") for session in range(SLOTS)))
            for sessions, times in rounds.items():
                if time.monotonic() > until:
                    tell(f"{engine}, {sessions} sessions: left out, for want of time")
                    continue
                tell(f"{engine}, {sessions} session(s), {times} round(s)")
                began = time.monotonic()
                reports: list[Report] = []
                for round_number in range(times):
                    names = [f"s{session} {sessions}-{round_number}" for session in range(sessions)]
                    reports += await asyncio.gather(*map(say, names))
                loads.append(Load(engine, sessions, reports, time.monotonic() - began))
        return loads

    with _node(TTS_PHRASE_CACHE="off", SYNTH_SLOTS=SLOTS, SYNTH_STALL_SECONDS=WAIT_S, **settings) as stack:
        return asyncio.run(run(stack))


@contextmanager
def _node(**settings: object) -> Iterator[Stack]:
    with (
        tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder,
        running_node(Path(folder), {}, replicas=1, **settings) as stack,
    ):
        yield stack


def _pieces(models: Path, rounds: int) -> tuple[str, bool]:
    command = [TORCH_PYTHON, "-m", "tests.bench.vits_pieces", models / "sample-eng", str(rounds)]
    run = subprocess.run(
        command, cwd=REPOSITORY, check=True, timeout=WAIT_S, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    measured: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    missed = measured["ratio"] > FIRST_AUDIO_GOAL
    headers = [f"decoder, {measured['seconds']:.1f} s of speech, ms", "first audio", "all", "RTF"]
    rows = [
        [
            name,
            number(measured[first] * 1000),
            number(measured[whole] * 1000),
            number(measured[whole] / measured["seconds"], 2),
        ]
        for name, first, whole in (("in pieces", "first_s", "pieces_s"), ("in one go", "whole_s", "whole_s"))
    ]
    verdict = f"first audio, pieces to one go: {measured['ratio']:.2f} (goal {FIRST_AUDIO_GOAL})"
    return f"{table(headers, rows)}\n{verdict}: {'MISSED' if missed else 'goal met'}", missed
