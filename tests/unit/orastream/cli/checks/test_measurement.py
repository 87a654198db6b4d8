"""Results of measurements: percentiles, summaries, and the check of recordings."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orastream.cli.checks import verification
from orastream.cli.checks.measurement import FORGET, HTTP, SYNC, Measurement, comparison, summarise
from orastream.cli.checks.texts import TEN_SECONDS, TEXTS, SampleText
from orastream.cli.terminal import milliseconds, percentile, report_line
from orastream.contract.language import language_of
from orastream.contract.messages import Report, ReportError
from tests.unit.orastream.cli.checks.test_recording import tone, wav

pytestmark = pytest.mark.unit

GREETING = SampleText("ko", "ko-KR", "안녕하세요, 반갑습니다")


def a_report(**fields: Any) -> Report:
    given = {"request_id": "r", "session_id": "s", "request_seq": 1, "status": "delivered", "audio_seconds": 2.0}
    return Report(**(given | fields))


def a_trial(report: Report | None, *, problem: str | None = None, returned_ms: float = 1.0) -> Measurement:
    return Measurement(SYNC, GREETING, "s", "r", returned_ms, report, problem)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([3.0], 0.5, 3.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        (list(map(float, range(1, 101))), 0.95, 95.0),
        ([1.0, 2.0], 0.95, 2.0),
    ],
)
def test_percentile_is_one_of_the_measured_values(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == expected


def test_summary_counts_only_times_of_delivered_utterances() -> None:
    trials = [
        a_trial(a_report(first_audio_ms=10.0, transfer_ms=100.0, delivered_chunks=4, rtf=0.1), returned_ms=5.0),
        a_trial(
            a_report(
                first_audio_ms=30.0,
                transfer_ms=300.0,
                delivered_chunks=6,
                reconnects=1,
                rtf=0.3,
                underruns=2,
                underrun_ms=250.0,
            ),
            returned_ms=7.0,
        ),
        a_trial(a_report(status="failed", first_audio_ms=9999.0, reconnects=2), returned_ms=9999.0),
        a_trial(None, problem="no answer"),
    ]
    summary = summarise(trials)
    assert (summary.count, summary.delivered, summary.chunks, summary.reconnects) == (4, 2, 10, 3)
    assert (summary.first_audio_p50_ms, summary.first_audio_p95_ms) == (10.0, 30.0)
    assert (summary.rtf_p50, summary.underruns, summary.underrun_p95_ms) == (0.1, 1, 250.0)
    assert (summary.transfer_p50_ms, summary.returned_p50_ms) == (100.0, 5.0)


def test_summary_has_no_times_when_nothing_was_delivered() -> None:
    summary = summarise([a_trial(None)])
    assert (summary.first_audio_p50_ms, summary.returned_p50_ms) == (None, None)


def test_comparison_has_a_row_for_each_tried_mode() -> None:
    assert comparison([a_trial(a_report())], title="t", to=Console(width=160)).row_count == 1
    both = [
        a_trial(a_report()),
        Measurement(HTTP, GREETING, "s", "r", 1.0, None),
        Measurement(FORGET, GREETING, "s", "r", 1, None),
    ]
    assert comparison(both, title="t", to=Console(width=160)).row_count == 3


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("width", [80, 99, 100, 120, 160])
def test_comparison_cuts_no_word_on_a_narrow_terminal(width: int, slow: bool) -> None:
    ms = 12_345.0 if slow else 34.0
    fields = {"rtf": 1.234, "underruns": 3, "underrun_ms": 250.0, "delivered_chunks": 12_345}
    trials = [
        Measurement(mode, GREETING, "s", "r", ms, a_report(first_audio_ms=ms, transfer_ms=ms, **fields))
        for mode in (HTTP, FORGET, SYNC)
        for _ in range(60)
    ]
    to = Console(file=io.StringIO(), width=width, color_system=None)
    to.print(comparison(trials, title="t", to=to, caption={"RTF": "of RTF", "transfer": "of transfer"}))
    assert isinstance(to.file, io.StringIO)
    header, *rows = [line for line in to.file.getvalue().splitlines() if line.startswith((" mode ", " HTTP ", " W"))]
    assert [row[1:].split("  ")[0] for row in rows] in (
        [mode.name for mode in (HTTP, FORGET, SYNC)],
        [mode.short for mode in (HTTP, FORGET, SYNC)],
    )
    for row in rows:
        assert "100 % of 60" in row and row.count(f"{ms:.0f} / {ms:.0f}") == 3
        assert len(re.split("  +", row.strip())) == len(re.split("  +", header.strip()))
    assert all(name in header for name in ("mode", "delivered", "first audio", "transfer", "caller waits"))
    assert "of transfer" in to.file.getvalue() and ("of RTF" in to.file.getvalue()) == ("RTF" in header)
    if not slow:
        assert "reconnects" in header and ("RTF" in header) == (width >= 120)


def test_outcome_contains_the_error_message() -> None:
    error = ReportError.of("oraserver_unreachable", "nobody is there")
    assert "nobody is there" in a_trial(a_report(status="failed", error=error)).outcome
    assert a_trial(None, problem="no NATS").outcome == "no NATS"


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (1.26, "1.3 ms"), (99.94, "99.9 ms"), (1234.5, "1 234 ms")])
def test_milliseconds_are_shown_with_their_unit(value: float | None, text: str) -> None:
    assert milliseconds(value) == text


def test_report_line_shows_markup_in_ids_as_text() -> None:
    assert "[bold]" in report_line(a_report(session_id="[bold]")).plain


@pytest.mark.parametrize(("text", "language"), [("Hello", "en-US"), ("안녕 world", "ko-KR"), ("3.14", "en-US")])
def test_language_is_chosen_by_the_script_of_the_text(text: str, language: str) -> None:
    assert language_of(text) == language


def test_texts_are_in_both_languages_and_one_is_long() -> None:
    assert {text.language for text in TEXTS} == {"ko-KR", "en-US"}
    assert len(TEXTS) >= 5
    assert max(len(text.text) for text in TEXTS) > 500
    assert len({text.name for text in TEXTS}) == len(TEXTS)
    assert TEN_SECONDS in TEXTS


def a_listing(folder: Path, audio: bytes, **fields: Any) -> dict[str, Any]:
    (folder / "1-r.wav").write_bytes(audio)
    item = {"sessionId": "s", "requestId": "r", "file": "1-r.wav", "complete": True, "violations": []} | fields
    return {"utterances": [item], "dataDir": str(folder), "violations": 0}


def test_check_accepts_a_good_recording(tmp_path: Path) -> None:
    [checked] = verification.check_recordings([a_trial(a_report())], a_listing(tmp_path, wav(tone(2))))
    assert checked.problem is None
    assert checked.recording is not None
    assert hashlib.sha256(checked.wav).digest() == hashlib.sha256(wav(tone(2))).digest()


@pytest.mark.parametrize(
    ("fields", "audio", "says"),
    [
        ({"requestId": "another"}, wav(tone(2)), "nothing of it"),
        ({"complete": False}, wav(tone(2)), "not complete"),
        ({"violations": [{"rule": "gap"}]}, wav(tone(2)), "gap"),
        ({}, wav(tone(2.5)), "the report says 2.00 s"),
        ({}, wav(tone(2, peak=10)), "silent"),
        ({}, wav(tone(2))[:-10], "header"),
    ],
)
def test_check_reports_the_problem_of_a_bad_recording(
    tmp_path: Path, fields: dict[str, Any], audio: bytes, says: str
) -> None:
    [checked] = verification.check_recordings([a_trial(a_report())], a_listing(tmp_path, audio, **fields))
    assert checked.problem is not None
    assert says in checked.problem


def test_check_looks_for_no_recording_when_nothing_was_delivered(tmp_path: Path) -> None:
    [checked] = verification.check_recordings([a_trial(None, problem="timeout")], a_listing(tmp_path, wav(tone(2))))
    assert checked.problem == "timeout"


def test_check_reports_texts_whose_audio_differs_between_modes(tmp_path: Path) -> None:
    one = verification.check_recordings([a_trial(a_report())], a_listing(tmp_path, wav(tone(2))))
    other = verification.check_recordings([a_trial(a_report())], a_listing(tmp_path, wav(tone(2, peak=7_000))))
    assert verification.differing([*one, *one]) == []
    assert verification.differing([*one, *other]) == ["ko"]
