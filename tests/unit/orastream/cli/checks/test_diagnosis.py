"""The findings of doctor: every problem has a fix."""

from __future__ import annotations

from typing import Any

import pytest

from orastream.cli.checks import diagnosis
from orastream.cli.checks.diagnosis import ClockSeen, Level, ServiceAnswer
from orastream.cli.checks.trial_writes import Trial
from orastream.contract.sentence_start import CHUNK_OVERHEAD_BYTES

pytestmark = pytest.mark.unit

WS, HTTP = "ws://ora/ws/tts", "http://ora/api/tts"


@pytest.mark.parametrize(
    ("status", "level", "fix"),
    [
        (101, "ok", ""),
        (200, "problem", "not WebSocket"),
        (302, "problem", "redirects"),
        (401, "problem", "ORASERVER_TOKEN"),
        (403, "problem", "ORASERVER_TOKEN"),
        (404, "problem", "ORASERVER_WEBSOCKET_URL"),
        (426, "problem", "logs"),
        (503, "problem", "an internal error"),
        (None, "problem", "start OraServer"),
    ],
)
def test_websocket_finding_has_a_level_and_a_fix(status: int | None, level: Level, fix: str) -> None:
    finding = diagnosis.judge_websocket(WS, ServiceAnswer(status, "Connection refused"))
    assert finding.level == level
    assert fix in finding.fix
    assert WS in finding.says


@pytest.mark.parametrize(
    ("status", "level", "fix"),
    [
        (200, "ok", ""),
        (204, "ok", ""),
        (405, "ok", ""),
        (400, "ok", ""),
        (401, "problem", "ORASERVER_TOKEN"),
        (501, "ok", ""),
        (426, "ok", ""),
        (404, "warning", "ORASERVER_HTTP_URL"),
        (500, "problem", "an internal error"),
        (None, "problem", "ORASERVER_HTTP_URL"),
    ],
)
def test_http_finding_has_a_level_and_a_fix(status: int | None, level: Level, fix: str) -> None:
    finding = diagnosis.judge_http(HTTP, ServiceAnswer(status))
    assert finding.level == level
    assert fix in finding.fix


def test_http_finding_does_not_say_that_a_path_is_missing_if_only_get_and_options_were_refused() -> None:
    finding = diagnosis.judge_http(HTTP, ServiceAnswer(404))
    assert "it takes only POST, or nothing is at that path" in finding.says
    assert "nothing is at that path" in diagnosis.judge_websocket(WS, ServiceAnswer(404)).fix  # a handshake is a GET


def test_websocket_finding_says_why_oraserver_is_unreachable() -> None:
    assert "Connection refused" in diagnosis.judge_websocket(WS, ServiceAnswer(None, "Connection refused")).says


@pytest.mark.parametrize(
    ("answer", "level", "fix"),
    [
        (None, "problem", "-js"),
        ({"error": {"description": "JetStream not enabled for account"}}, "problem", "account"),
        ({"streams": 5, "consumers": 3}, "ok", ""),
    ],
)
def test_jetstream_finding_has_a_level_and_a_fix(answer: dict[str, Any] | None, level: Level, fix: str) -> None:
    finding = diagnosis.judge_jetstream(answer)
    assert (finding.level, fix in finding.fix) == (level, True)


@pytest.mark.parametrize(
    ("refused", "fix"),
    [('publish to "$js.api.info"', "as the node's user"), ('subscription to "_inbox.x.*"', "NATS_INBOX_PREFIX")],
)
def test_jetstream_finding_names_the_permission_that_the_user_lacks(refused: str, fix: str) -> None:
    finding = diagnosis.judge_jetstream(None, refused)
    assert (finding.level, fix in finding.fix, "-js" in finding.fix) == ("problem", True, False)
    assert refused in finding.says
    assert diagnosis.judge_jetstream({"streams": 5}, refused).level == "ok"


def test_nats_finding_names_the_credentials_when_nats_refuses_the_client() -> None:
    assert "NATS_CREDS" in diagnosis.judge_no_nats("nats://x", "nats: 'Authorization Violation'").fix
    assert "NATS_URL" in diagnosis.judge_no_nats("nats://x", "connection refused").fix


@pytest.mark.parametrize(
    ("held", "most", "level"), [(10, 100, "ok"), (95, 100, "warning"), (95, -1, "ok"), (0, 100, "ok")]
)
def test_stream_finding_warns_when_the_stream_is_nearly_full(held: int, most: int, level: Level) -> None:
    answer = {"config": {"max_bytes": most}, "state": {"messages": 1, "bytes": held}}
    finding = diagnosis.judge_stream("TTS_AUDIO", answer)
    assert finding.level == level
    assert ("TTS_AUDIO_MAX_BYTES" in finding.fix) == (level == "warning")


def test_finding_about_a_stream_that_callers_fill_names_its_own_setting() -> None:
    full = {"config": {"max_bytes": 100}, "state": {"messages": 1, "bytes": 95}}
    finding = diagnosis.judge_stream("TTS_TEXTS", full)
    assert finding.level == "warning" and "TTS_TEXTS_MAX_BYTES" in finding.fix
    unlimited = {"config": {"max_bytes": -1}, "state": {"messages": 1, "bytes": 95}}
    finding = diagnosis.judge_stream("TTS_SESSIONS", unlimited)
    assert finding.level == "warning" and "TTS_SESSIONS_MAX_BYTES" in finding.fix
    assert diagnosis.judge_stream("KV_tts_owners", unlimited).level == "ok"


def test_stream_whose_oldest_messages_make_room_is_never_too_full() -> None:
    full = {"config": {"max_bytes": 100, "discard": "old"}, "state": {"messages": 1, "bytes": 99}}
    assert diagnosis.judge_stream("TTS_REPORTS", full).level == "ok"


def test_finding_says_to_start_the_node_when_a_stream_or_consumer_is_missing() -> None:
    gone = {"error": {"description": "stream not found"}}
    assert diagnosis.judge_stream("TTS_AUDIO", gone).fix == diagnosis.STARTED
    assert diagnosis.judge_consumer("synth", gone).fix == diagnosis.STARTED


@pytest.mark.parametrize(
    ("waiting", "working", "level", "fix"),
    [(1, 0, "ok", ""), (2, 9, "ok", ""), (0, 9, "warning", "start more"), (0, 0, "problem", "services.ws_bridge")],
)
def test_consumer_finding_is_ok_when_a_service_sends_pull_requests(
    waiting: int, working: int, level: Level, fix: str
) -> None:
    answer = {"num_waiting": waiting, "num_ack_pending": working, "num_pending": 3}
    finding = diagnosis.judge_consumer("ws_bridge", answer)
    assert (finding.level, fix in finding.fix) == (level, True)
    assert ("it may hang: look at its /readyz" in finding.fix) == (level != "ok")


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([], "no problem found"),
        (["ok"], "no problem found"),
        (["warning", "ok"], "no problem, 1 warning"),
        (["warning", "warning"], "no problem, 2 warnings"),
        (["problem"], "1 problem"),
        (["problem", "warning", "problem"], "2 problems, 1 warning"),
    ],
)
def test_summary_counts_warnings_too(levels: list[Level], said: str) -> None:
    findings = [diagnosis.Finding("x", level, "x") for level in levels]
    assert diagnosis.summary(findings) == (levels.count("problem"), said)


def test_oraserver_finding_says_where_the_address_comes_from() -> None:
    source = "from ORASERVER_WEBSOCKET_URL"
    assert f"{WS} ({source}) opens" in diagnosis.judge_websocket(WS, ServiceAnswer(101), source).says
    assert f"{HTTP} ({source}) is there" in diagnosis.judge_http(HTTP, ServiceAnswer(405), source).says


LARGEST = (1 << 20) - CHUNK_OVERHEAD_BYTES


@pytest.mark.parametrize(
    ("chunk", "chars", "level"),
    [
        (32_768, 5_000, "ok"),
        (700_000, 5_000, "ok"),
        (LARGEST - 20_000, 5_000, "ok"),
        (LARGEST - 19_999, 5_000, "problem"),
        (LARGEST - 20_000, 5_001, "problem"),
    ],
)
def test_chunk_size_finding_is_a_problem_when_a_chunk_exceeds_a_message(chunk: int, chars: int, level: Level) -> None:
    finding = diagnosis.judge_chunk_size(chunk, chars, 1 << 20)
    assert finding.level == level
    assert (f"at most {LARGEST - 4 * chars}," in finding.fix) == (level == "problem")


def test_chunk_size_finding_names_the_text_if_no_chunk_is_small_enough() -> None:
    assert "lower TTS_MAX_TEXT_CHARS" in diagnosis.judge_chunk_size(32_768, 300_000, 1 << 20).fix


@pytest.mark.parametrize(
    "url",
    [
        "nats://u:secret@h:4222",
        "nats://secret@h:4222",
        "u:secret@h",
        "nats://a:se@cret@h",
        "nats://h1,nats://u:secret@h2",
    ],
)
def test_no_finding_shows_a_password(url: str) -> None:
    findings = [
        diagnosis.judge_nats(url),
        diagnosis.judge_no_nats(url, "authorization violation"),
        diagnosis.judge_no_nats(url, ""),
        diagnosis.judge_websocket(url, ServiceAnswer(101)),
        diagnosis.judge_websocket(url, ServiceAnswer(101, instead_of_pong="leaves")),
        diagnosis.judge_http(url, ServiceAnswer(404)),
    ]
    assert all("cret" not in str(finding) and "h" in finding.says for finding in findings)


@pytest.mark.parametrize(
    ("name", "fix"),
    [("TTS_ENGIN", "did you mean TTS_ENGINE?"), ("tts_enginee", "TTS_ENGINE?"), ("TTS_ZEBRA", "correct its name")],
)
def test_unknown_setting_finding_suggests_the_right_name(name: str, fix: str) -> None:
    finding = diagnosis.judge_unknown(name)
    assert finding.level == "warning" and name in finding.says and fix in finding.fix


def test_websocket_finding_is_a_problem_when_oraserver_answers_no_ping() -> None:
    finding = diagnosis.judge_websocket(WS, ServiceAnswer(101, instead_of_pong="a ping was not answered for 10 s"))
    assert finding.level == "problem" and "a ping was not answered" in finding.says and "ping" in finding.fix


def test_stream_finding_is_a_problem_when_a_trial_write_fails() -> None:
    there = {"config": {"max_bytes": 100}, "state": {"bytes": 1, "messages": 1}}
    silent = diagnosis.judge_stream("TTS_AUDIO", there, Trial("no answer within 2 s", silent=True))
    assert (silent.level, "restart nats-server" in silent.fix) == ("problem", True)
    refused = diagnosis.judge_stream("TTS_AUDIO", there, Trial("insufficient resources (10023)"))
    assert (refused.level, "10023" in refused.says, "free the server's disk" in refused.fix) == ("problem", True, True)
    full = {"config": {"max_bytes": 100}, "state": {"bytes": 99, "messages": 1}}
    assert diagnosis.judge_stream("TTS_AUDIO", full, Trial("maximum bytes exceeded (10077)")).level == "warning"


def test_pull_finding_is_a_problem_when_the_trial_pull_gets_no_answer() -> None:
    assert diagnosis.judge_pull(Trial()).level == "ok"
    assert diagnosis.judge_pull(Trial("no answer", silent=True)).level == "problem"


@pytest.mark.parametrize(
    ("seen", "levels", "says"),
    [
        ([], [], ""),
        ([("a", 0.2, 0.001), ("b", -0.3, 0.001)], ["ok"], "agree"),
        ([("a", 61.0, 0.001)], ["warning"], "61.0 s ahead of that of NATS server a"),
        ([("a", -61.0, 0.001)], ["warning"], "61.0 s behind that of NATS server a"),
        ([("a", 1.4, 0.5)], ["ok"], "agree"),  # the answer came too slowly to tell
        ([("a", 9.0, 9.0), ("a", 0.0, 0.001)], ["ok"], "agree"),  # the faster answer counts
        ([("a", 0.5, 0.001), ("b", -0.9, 0.001)], ["problem"], "of NATS server b is 1.4 s ahead of that of a"),
        ([("a", 0.0, 0.001), ("b", -30.0, 0.001)], ["problem", "warning"], "is 30.0 s ahead"),
    ],
)
def test_clocks(seen: list[tuple[str, float, float]], levels: list[Level], says: str) -> None:
    findings = diagnosis.judge_clocks([ClockSeen(*clock) for clock in seen])
    assert [finding.level for finding in findings] == levels
    assert not findings or says in findings[0].says
    assert all("NTP" in finding.fix for finding in findings if finding.level != "ok")
