"""What a reference OraServer says that it received, against what was asked: every file read and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from orastream.cli.checks.measurement import Measurement
from orastream.cli.checks.recording import BadRecording, Recording, check_speech, read_wav

ANSWER_S = 10.0
SAME_S = 0.05
"""By how much the report and the file may differ in their length."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance as OraServer stored it; `problem` says what is wrong with it, None when nothing is."""

    trial: Measurement
    wav: bytes
    recording: Recording | None
    problem: str | None


async def fetch(oraserver_url: str) -> dict[str, Any]:
    """`GET /received` of a reference OraServer of this machine."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{oraserver_url}/received") as answer:
        answer.raise_for_status()
        listing: dict[str, Any] = await answer.json()
        return listing


def hear(trials: Sequence[Measurement], listing: dict[str, Any]) -> list[Heard]:
    """Each trial's recording, read from OraServer's data directory and checked."""
    stored = {(item["sessionId"], item["requestId"]): item for item in listing["utterances"]}
    data_dir = Path(listing["dataDir"])
    return [_hear(trial, stored.get((trial.session_id, trial.request_id)), data_dir) for trial in trials]


def _hear(trial: Measurement, item: dict[str, Any] | None, data_dir: Path) -> Heard:
    if not trial.delivered or trial.report is None:
        return Heard(trial, b"", None, trial.outcome)
    if item is None:
        return Heard(trial, b"", None, "delivered, says the report, but OraServer has nothing of it")
    wav = (data_dir / item["file"]).read_bytes()
    if item["violations"] or not item["complete"]:
        rules = ", ".join(violation["rule"] for violation in item["violations"])
        return Heard(trial, wav, None, f"OraServer complains: {rules or 'it is not complete'}")
    try:
        recording = read_wav(wav)
        check_speech(recording, trial.text.text, trial.text.language)
        if abs(recording.seconds - trial.report.audio_seconds) > SAME_S:
            raise BadRecording(f"{recording.seconds:.2f} s, the report says {trial.report.audio_seconds:.2f} s")
    except BadRecording as exc:
        return Heard(trial, wav, None, str(exc))
    return Heard(trial, wav, recording, None)


def differing(heard: Sequence[Heard]) -> list[str]:
    """Names of the texts whose recordings are not the same in every mode, byte by byte."""
    by_text: dict[str, set[bytes]] = {}
    for one in heard:
        by_text.setdefault(one.trial.text.name, set()).add(one.wav)
    return sorted(name for name, wavs in by_text.items() if len(wavs) > 1)
