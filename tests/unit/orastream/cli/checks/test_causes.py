"""Doctor names each cause once, with all that it affects."""

from __future__ import annotations

import pytest

from orastream.cli.checks import diagnosis
from orastream.cli.checks.causes import joined, judge_oraserver, judge_services, needs_its_stream
from orastream.cli.checks.diagnosis import Finding, ServiceAnswer
from orastream.cli.checks.trial_writes import Trial

pytestmark = pytest.mark.unit

GONE = {"error": {"err_code": 10059, "description": "stream not found"}}
LOST = {"error": {"err_code": 10014, "description": "consumer not found"}}
SERVICES = ("http_bridge", "synth", "ws_bridge")
URLS = ("ws://ora:8080/ws/tts", "http://ora:8080/api/tts")


def test_missing_streams_are_one_finding_that_names_all() -> None:
    ok = Finding("JetStream", "ok", "0 streams")
    streams = [diagnosis.judge_stream(name, GONE) for name in ("TTS_SESSIONS", "TTS_AUDIO")]
    full = Finding("stream TTS_TEXTS", "problem", "1 messages; it stores nothing: x", "free it")
    consumers = [diagnosis.judge_consumer(name, LOST) for name in SERVICES]
    first, one, other, last = joined([ok, streams[0], full, streams[1], *consumers])
    assert (first, other) == (ok, full)
    assert (one.subject, one.says, one.level) == ("streams", "stream not found: TTS_SESSIONS, TTS_AUDIO", "problem")
    assert (last.subject, last.says) == ("consumers", "consumer not found: http_bridge, synth, ws_bridge")
    assert one.fix == last.fix == diagnosis.STARTED


def test_one_cause_of_streams_and_consumers_is_one_finding() -> None:
    silent = {"error": {"description": "JetStream did not answer"}}
    (one,) = joined([diagnosis.judge_stream("TTS_AUDIO", silent), diagnosis.judge_consumer("synth", silent)])
    assert (one.subject, one.says) == ("node", "JetStream did not answer: stream TTS_AUDIO, consumer synth")


@pytest.mark.parametrize("silent", [True, False])
def test_a_full_disk_is_one_finding_although_each_stream_holds_something_else(silent: bool) -> None:
    streams = [
        diagnosis.judge_stream(
            name,
            {"config": {"max_bytes": 100}, "state": {"messages": number, "bytes": number}},
            Trial(f"{name.lower()}: no room", silent=silent),
        )
        for number, name in enumerate(("TTS_SESSIONS", "TTS_AUDIO", "TTS_TEXTS"))
    ]
    (one,) = joined(streams)
    assert one.subject == "streams" and "stores nothing: TTS_SESSIONS, TTS_AUDIO, TTS_TEXTS; TTS_SESSIONS: " in one.says
    assert "tts_sessions: no room" in one.says and one.fix == streams[0].fix
    assert joined(streams[:1]) == streams[:1]


def test_findings_that_are_ok_or_differ_stay_as_they_are() -> None:
    same = [
        Finding("a", "ok", "x"),
        Finding("b", "ok", "x"),
        Finding("c", "warning", "x", "y"),
        Finding("d", "problem", "x", "y"),
    ]
    assert joined(same) == same
    assert joined([]) == []


def test_a_consumer_without_its_stream_is_no_cause_of_its_own() -> None:
    assert needs_its_stream(GONE)
    assert not needs_its_stream(LOST) and not needs_its_stream({"num_waiting": 1}) and not needs_its_stream({})


def test_services_are_one_finding_only_if_none_runs() -> None:
    idle, busy = {"num_waiting": 0, "num_ack_pending": 0}, {"num_waiting": 1}
    none = [diagnosis.judge_consumer(name, idle) for name in SERVICES]
    (one,) = judge_services(none)
    assert (one.subject, one.level, one.fix) == ("services", "problem", diagnosis.STARTED)
    assert all(name in one.says for name in SERVICES)
    some = [*none[:2], diagnosis.judge_consumer("ws_bridge", busy)]
    assert judge_services(some) == some
    assert judge_services([]) == []


@pytest.mark.parametrize(
    ("urls", "statuses", "tls", "count"),
    [
        (URLS, (None, None), False, 1),
        (("wss://ora/ws", "https://ora/api"), (None, None), False, 1),
        (("ws://ora/ws", "https://ora/api"), (None, None), False, 2),
        (("ws://ora:8080/ws", "http://other:8080/api"), (None, None), False, 2),
        (URLS, (None, 404), False, 2),
        (URLS, (None, None), True, 2),
        (("ws://[x/", "http://[x/"), (None, None), False, 2),
        (("ws:///ws", "http:///api"), (None, None), False, 2),
    ],
)
def test_oraserver_that_is_away_is_one_finding(
    urls: tuple[str, str], statuses: tuple[int | None, int | None], tls: bool, count: int
) -> None:
    answers = tuple(ServiceAnswer(status, "Connection refused", tls=tls) for status in statuses)
    findings = [diagnosis.judge_websocket(urls[0], answers[0]), diagnosis.judge_http(urls[1], answers[1])]
    made = judge_oraserver(findings, urls, answers)
    assert len(made) == count
    if count == 1:
        assert all(url in made[0].says for url in urls) and "Connection refused" in made[0].says
        assert "ORASERVER_WEBSOCKET_URL and ORASERVER_HTTP_URL" in made[0].fix
    else:
        assert made == findings
