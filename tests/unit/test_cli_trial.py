"""Figures of trials: percentiles, summaries, and what counts as heard."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from orastream.cli import received
from orastream.cli.options import language_of
from orastream.cli.terminal import milliseconds, percentile, report_line
from orastream.cli.texts import TEN_SECONDS, TEXTS, Text
from orastream.cli.trial import FORGET, HTTP, SYNC, Trial, comparison, summarise
from orastream.messages import Report, ReportError
from tests.unit.test_cli_recording import tone, wav

pytestmark = pytest.mark.unit

GREETING = Text("ko", "ko-KR", "안녕하세요, 반갑습니다")


def a_report(**fields: Any) -> Report:
    given = {"request_id": "r", "session_id": "s", "request_seq": 1, "status": "delivered", "audio_seconds": 2.0}
    return Report(**(given | fields))


def a_trial(report: Report | None, *, problem: str | None = None, returned_ms: float = 1.0) -> Trial:
    return Trial(SYNC, GREETING, "s", "r", returned_ms, report, problem)


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
def test_percentile_is_a_value_that_was_measured(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == expected


def test_a_summary_takes_times_of_what_was_delivered() -> None:
    trials = [
        a_trial(a_report(first_audio_ms=10.0, transfer_ms=100.0, delivered_chunks=4), returned_ms=5.0),
        a_trial(a_report(first_audio_ms=30.0, transfer_ms=300.0, delivered_chunks=6, reconnects=1), returned_ms=7.0),
        a_trial(a_report(status="failed", first_audio_ms=9999.0, reconnects=2), returned_ms=9999.0),
        a_trial(None, problem="no answer"),
    ]
    summary = summarise(trials)
    assert (summary.count, summary.delivered, summary.chunks, summary.reconnects) == (4, 2, 10, 3)
    assert (summary.first_audio_p50_ms, summary.first_audio_p95_ms) == (10.0, 30.0)
    assert (summary.transfer_p50_ms, summary.returned_p50_ms) == (100.0, 5.0)


def test_nothing_delivered_has_no_times() -> None:
    summary = summarise([a_trial(None)])
    assert (summary.first_audio_p50_ms, summary.returned_p50_ms) == (None, None)


def test_the_comparison_has_a_line_for_each_mode_that_was_tried() -> None:
    assert comparison([a_trial(a_report())], title="t").row_count == 1
    both = [a_trial(a_report()), Trial(HTTP, GREETING, "s", "r", 1.0, None), Trial(FORGET, GREETING, "s", "r", 1, None)]
    assert comparison(both, title="t").row_count == 3


def test_an_outcome_says_why() -> None:
    error = ReportError.of("oraserver_unreachable", "nobody is there")
    assert "nobody is there" in a_trial(a_report(status="failed", error=error)).outcome
    assert a_trial(None, problem="no NATS").outcome == "no NATS"


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (1.26, "1.3 ms"), (99.94, "99.9 ms"), (1234.5, "1 234 ms")])
def test_milliseconds(value: float | None, text: str) -> None:
    assert milliseconds(value) == text


def test_ids_of_others_are_no_markup() -> None:
    assert "\\[bold]" in report_line(a_report(session_id="[bold]"))


@pytest.mark.parametrize(("text", "language"), [("Hello", "en-US"), ("안녕 world", "ko-KR"), ("3.14", "en-US")])
def test_language_by_script(text: str, language: str) -> None:
    assert language_of(text) == language


def test_the_texts_are_of_both_languages_and_one_is_long() -> None:
    assert {text.language for text in TEXTS} == {"ko-KR", "en-US"}
    assert len(TEXTS) >= 5
    assert max(len(text.text) for text in TEXTS) > 500
    assert len({text.name for text in TEXTS}) == len(TEXTS)
    assert TEN_SECONDS in TEXTS


def a_listing(folder: Path, audio: bytes, **fields: Any) -> dict[str, Any]:
    (folder / "1-r.wav").write_bytes(audio)
    item = {"sessionId": "s", "requestId": "r", "file": "1-r.wav", "complete": True, "violations": []} | fields
    return {"utterances": [item], "dataDir": str(folder), "violations": 0}


def test_a_good_recording_is_heard(tmp_path: Path) -> None:
    [heard] = received.hear([a_trial(a_report())], a_listing(tmp_path, wav(tone(2))))
    assert heard.problem is None
    assert heard.recording is not None
    assert hashlib.sha256(heard.wav).digest() == hashlib.sha256(wav(tone(2))).digest()


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
def test_a_bad_recording_is_told(tmp_path: Path, fields: dict[str, Any], audio: bytes, says: str) -> None:
    [heard] = received.hear([a_trial(a_report())], a_listing(tmp_path, audio, **fields))
    assert heard.problem is not None
    assert says in heard.problem


def test_what_was_not_delivered_is_not_looked_for(tmp_path: Path) -> None:
    [heard] = received.hear([a_trial(None, problem="timeout")], a_listing(tmp_path, wav(tone(2))))
    assert heard.problem == "timeout"


def test_modes_must_agree(tmp_path: Path) -> None:
    one = received.hear([a_trial(a_report())], a_listing(tmp_path, wav(tone(2))))
    other = received.hear([a_trial(a_report())], a_listing(tmp_path, wav(tone(2, peak=7_000))))
    assert received.differing([*one, *one]) == []
    assert received.differing([*one, *other]) == ["ko"]
