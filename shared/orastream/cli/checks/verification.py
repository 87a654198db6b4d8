"""Compares what a reference OraServer received with what was requested, and checks every audio file."""

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
"""How many seconds the lengths in the report and of the file may differ."""


@dataclass(frozen=True, slots=True)
class CheckedRecording:
    """One utterance as OraServer stored it. `problem` says what is wrong with it, or None."""

    trial: Measurement
    wav: bytes
    recording: Recording | None
    problem: str | None


async def fetch(oraserver_url: str) -> dict[str, Any]:
    """`GET /received` of a reference OraServer. Raises aiohttp.ClientError and TimeoutError."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{oraserver_url}/received") as answer:
        answer.raise_for_status()
        listing: dict[str, Any] = await answer.json()
        return listing


def check_recordings(trials: Sequence[Measurement], listing: dict[str, Any]) -> list[CheckedRecording]:
    """Read the recording of each trial from OraServer's data directory (on this machine), and check it."""
    stored = {(item["sessionId"], item["requestId"]): item for item in listing["utterances"]}
    data_dir = Path(listing["dataDir"])
    return [_check(trial, stored.get((trial.session_id, trial.request_id)), data_dir) for trial in trials]


def _check(trial: Measurement, item: dict[str, Any] | None, data_dir: Path) -> CheckedRecording:
    if not trial.delivered or trial.report is None:
        return CheckedRecording(trial, b"", None, trial.outcome)
    if item is None:
        return CheckedRecording(trial, b"", None, "the report says delivered, but OraServer has nothing of it")
    wav = (data_dir / item["file"]).read_bytes()
    if item["violations"] or not item["complete"]:
        rules = ", ".join(violation["rule"] for violation in item["violations"])
        return CheckedRecording(trial, wav, None, f"OraServer reports: {rules or 'it is not complete'}")
    try:
        recording = read_wav(wav)
        check_speech(recording, trial.text.text, trial.text.language)
        if abs(recording.seconds - trial.report.audio_seconds) > SAME_S:
            raise BadRecording(f"{recording.seconds:.2f} s, the report says {trial.report.audio_seconds:.2f} s")
    except BadRecording as exc:
        return CheckedRecording(trial, wav, None, str(exc))
    return CheckedRecording(trial, wav, recording, None)


def differing(checked: Sequence[CheckedRecording]) -> list[str]:
    """Names of the texts whose recordings are not byte-identical in all modes."""
    by_text: dict[str, set[bytes]] = {}
    for one in checked:
        by_text.setdefault(one.trial.text.name, set()).add(one.wav)
    return sorted(name for name, wavs in by_text.items() if len(wavs) > 1)
