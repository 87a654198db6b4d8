"""The names of a node: as they always were without TTS_PREFIX, and never shared by two prefixes."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract import subjects
from orastream.contract.names import BRIDGES, Names, check_prefix
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

TOKENS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)
FRONTS = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
PREFIXES = st.tuples(FRONTS, st.none() | st.integers(0, 9999)).map(
    lambda parts: parts[0] if parts[1] is None else f"{parts[0]}.{parts[1]}"
)
OF_FRONT = {"audio", "report", "reports", "heard", "progress", "reply_prefix"}
"""What a node behind a front shares with the others behind it."""


def every_name(names: Names) -> dict[str, str]:
    """Each name and filter of the node, by the attribute or method that gives it."""
    found = {name: value for name in Names.__slots__ if name[0] != "_" and "." in (value := getattr(names, name))}
    found |= {name: getattr(names, name) for name in Names.__slots__ if name.endswith(("_stream", "_bucket"))}
    found |= {"owner_keys": names.owner_keys, "heartbeat_keys": names.heartbeat_keys}
    for name, method in inspect.getmembers(names, inspect.ismethod):
        parameters = list(inspect.signature(method).parameters)
        if name[0] != "_" and parameters and not set(parameters) & {"subject", "key", "prefix"}:
            found[name] = method(*("*" for _ in parameters))
    return {name: value for name, value in found.items() if name != "prefix"}


def meet(first: str, second: str) -> bool:
    """Whether some subject matches both filters."""
    ones, others = first.split("."), second.split(".")
    for one, other in zip(ones, others, strict=False):
        if ">" in (one, other):
            return True
        if one != other and "*" not in (one, other):
            return False
    return len(ones) == len(others)


def test_a_node_without_prefix_has_the_names_it_always_had() -> None:
    assert every_name(Names()) == {
        "speak": "tts.speak",
        "voices": "tts.voices",
        "load": "tts.load",
        "reports_read_all": "tts.reports.read",
        "sessions_stream": "TTS_SESSIONS",
        "audio_stream": "TTS_AUDIO",
        "reports_stream": "TTS_REPORTS",
        "heard_stream": "TTS_HEARD",
        "texts_stream": "TTS_TEXTS",
        "owners_stream": "KV_tts_owners",
        "heartbeats_stream": "KV_tts_heartbeats",
        "phrases_bucket": "tts_phrases",
        "request": "tts.request.*",
        "cancel": "tts.cancel.*",
        "session_request": "tts.session.*.request",
        "session_cancel": "tts.session.*.cancel",
        "session_events": "tts.session.*.*",
        "text": "tts.text.*.*",
        "script": "tts.script.*.*",
        "put_audio": "tts.put.audio.*.*",
        "audio": "tts.audio.*.*",
        "put_report": "tts.put.report.*.*",
        "report": "tts.report.*.*",
        "reports": "tts.report.*.*",
        "report_get": "tts.report.get.*.*",
        "report_read": "tts.report.read.*.*",
        "reports_read": "tts.reports.read.*",
        "audio_read": "tts.audio.read.*.*",
        "put_heard": "tts.put.heard.*.*",
        "heard": "tts.heard.*.*",
        "heard_read": "tts.heard.read.*.*",
        "heards_read": "tts.heards.read.*",
        "progress": "tts.progress.*.*",
        "owner_key": "$KV.tts_owners.*.*",
        "owner_keys": "$KV.tts_owners.>",
        "heartbeat_key": "$KV.tts_heartbeats.*",
        "heartbeat_keys": "$KV.tts_heartbeats.>",
        "trial_key": "$KV.tts_heartbeats.trial.*",
        "peer": "tts.peer.*.*",
        "peers": "tts.peers.*",
        "ingest_subject": "tts.request-*.*",
        "relay_subject": "tts.relay.*.*.*",
        "stored_filter": "tts.session.*.request-*",
        "reply_prefix": "tts.reply.*.",
        "service": "tts-*",
    }


def test_the_names_of_another_prefix_and_of_a_node_behind_a_front() -> None:
    staging, node = Names("staging"), Names("tts.12")
    assert (staging.sessions_stream, staging.owners_stream) == ("STAGING_SESSIONS", "KV_staging_owners")
    assert (staging.request("s"), staging.report("s", "r")) == ("staging.request.s", "staging.report.s.r")
    assert (node.sessions_stream, node.owners_stream) == ("TTS_12_SESSIONS", "KV_tts_12_owners")
    assert (node.request("s"), node.session_cancel("s")) == ("tts.12.request.s", "tts.12.session.s.cancel")
    assert (node.put_report("s", "r"), node.report("s", "r")) == ("tts.12.put.report.s.r", "tts.report.s.r")
    assert (NAMES.with_front(NAMES.speak), node.with_front(node.speak)) == (
        ("tts.speak",),
        ("tts.12.speak", "tts.speak"),
    )
    assert (staging.service("read"), node.service("read")) == ("staging-read", "tts_12-read")
    assert (node.front, node.of_front) == ("tts", NAMES) and NAMES.of_front is NAMES


@pytest.mark.parametrize("prefix", ["tts", "a", "staging-2", "tts.0", "tts.9999", "a" * 31])
def test_a_valid_prefix(prefix: str) -> None:
    assert check_prefix(prefix) == prefix == Names(prefix).prefix


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "TTS",
        "_INBOX",
        "0",
        "-a",
        "a" * 32,
        "tts.",
        "tts.00",
        "tts.01",
        "tts.10000",
        "tts.x",
        "tts.0.1",
        "t*",
        "tts\n",
    ],
)
def test_an_invalid_prefix(prefix: str) -> None:
    with pytest.raises(ValueError, match="must be 1 to 31 of"):
        Names(prefix)


@given(PREFIXES, PREFIXES)
def test_two_prefixes_share_no_name_but_those_of_their_front(one: str, other: str) -> None:
    first, second = every_name(Names(one)), every_name(Names(other))
    if one == other:
        assert first == second
        return
    same_front = one.partition(".")[0] == other.partition(".")[0]
    for name, value in first.items():
        for other_name, other_value in second.items():
            shared = same_front and ({name, other_name} & OF_FRONT)
            assert shared or not meet(value, other_value), (value, other_value)


@given(PREFIXES, TOKENS, TOKENS)
def test_what_is_built_is_parsed(prefix: str, session_id: str, request_id: str) -> None:
    names, (session, req) = Names(prefix), subjects.tokens(session_id, request_id)
    assert names.session_of(names.session_request(session)) == session
    assert names.session_of(names.session_cancel(session)) == session
    assert names.session_of(names.request(session)) is None
    for kind in BRIDGES:
        assert names.owner_session(names.owner_key(kind, session)) == session
    assert names.owner_session(names.owner_key("other", session)) is None
    for subject in (names.speak, names.report_get(session, req), names.reports_read_all):
        assert names.asked_by(names.asked_subject("SHOP", subject)) == ("SHOP", subject)
        assert names.asked_by(subject) == ("", subject)
    assert names.question_of(names.audio(session, req)) == names.audio_read(session, req)
    assert names.question_of(names.report(session, req)) == names.report_read(session, req)
    assert names.question_of(names.reports(session)) == names.reports_read(session)
    assert names.question_of(names.reports("*")) == names.reports_read_all


@given(PREFIXES, PREFIXES)
def test_reports_go_to_inboxes_and_to_subjects_of_the_node_alone(prefix: str, other: str) -> None:
    names = Names(prefix)
    assert names.reply_allowed("_INBOX.a") and names.reply_allowed(f"{names.reply_prefix('SHOP')}x")
    theirs = f"{other}.reply.x"
    assert names.reply_allowed(theirs) == (other == names.front), "NATS passes on those of the front alone"
    assert not names.reply_allowed(names.request("s")) and not names.reply_allowed(f"{names.front}.reply.>")


def test_the_owner_of_other_keys() -> None:
    assert NAMES.owner_session("$KV.tts_owners.ws_bridge.s.t") is None
    assert NAMES.owner_session("$KV.staging_owners.ws_bridge.s") is None
