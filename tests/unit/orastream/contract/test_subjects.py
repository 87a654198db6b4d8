"""Tokens are one to one and bounded; a reply subject cannot be a subject of the node."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract import subjects
from orastream.contract.errors import InvalidRequest
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}|~[A-Za-z0-9_-]{2,342}")


def usable(value: str) -> bool:
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return False
    return 1 <= size <= 256 and not re.search(r"[\x00-\x1f\x7f-\x9f]", value)


IDS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,140}", fullmatch=True),
    st.text(min_size=1, max_size=90),
    st.sampled_from(
        ["~", "~YQ", "a.b", "*", ">", "안녕", "a b", "seq-5", "a" * 128, "a" * 129, "-", "_", "..", "😀" * 64]
    ),
).filter(usable)


@settings(max_examples=40)
@given(IDS)
def test_token_is_bounded_and_can_be_converted_back(value: str) -> None:
    tok = subjects.token(value)
    assert TOKEN.fullmatch(tok)
    assert len(tok) <= 343
    assert subjects.untoken(tok) == value
    assert (tok == value) == bool(re.fullmatch(r"[A-Za-z0-9_-]{1,128}", value))


@settings(max_examples=40)
@given(IDS, IDS)
def test_different_ids_have_different_tokens(one: str, other: str) -> None:
    assert (subjects.token(one) == subjects.token(other)) == (one == other)


@settings(max_examples=60)
@given(st.one_of(st.text(max_size=60), st.from_regex(r"~[A-Za-z0-9_=+/-]{0,20}", fullmatch=True)))
def test_untoken_returns_a_value_only_for_tokens(tok: str) -> None:
    value = subjects.untoken(tok)
    if value is not None:
        assert subjects.token(value) == tok


def test_untoken_refuses_strings_that_no_id_maps_to() -> None:
    for tok in [
        "",
        "~",
        "~YQ",
        "~YQ==",
        "~Y-B",
        "~_w",
        "~AAAA",
        "a" * 129,
        "a.b",
        "안",
        "~안",
        "~!!!!",
        "~" + "YWFh" * 86,
        "a\n",
    ]:
        assert subjects.untoken(tok) is None


def test_longest_id_has_the_longest_token() -> None:
    assert len(subjects.token("é" * 128)) == 343
    assert len(subjects.token("a" * 256)) == 343
    assert len(subjects.token("a" * 128)) == 128


def test_check_id_refuses_unusable_ids_and_names_the_field() -> None:
    for value in ["", "a" * 257, "é" * 129, "😀" * 65, "a\nb", "a\x00", "\x7f", "\x85", "\ud800", "a\udfff", "\t"]:
        with pytest.raises(InvalidRequest) as caught:
            subjects.check_id(value, "phoneId")
        assert caught.value.field == "phoneId"
        with pytest.raises(InvalidRequest):
            subjects.token(value)


def test_check_request_id_refuses_ids_reserved_for_the_node() -> None:
    for value in ["seq-0", "seq-1", "seq-18446744073709551615"]:
        with pytest.raises(InvalidRequest) as caught:
            subjects.check_request_id(value)
        assert caught.value.field == "requestId"


def test_check_request_id_accepts_ids_similar_to_reserved_ids() -> None:
    for value in ["seq-", "seq-x", "seq-1x", "seq1", "Seq-1", "aseq-1", "seq--1", " seq-1"]:
        assert subjects.check_request_id(value) == value


def test_sequence_id_is_reserved_for_the_node() -> None:
    for sequence in (0, 1, 2**63):
        own = subjects.sequence_id(sequence)
        assert own == f"seq-{sequence}" == subjects.token(own)
        with pytest.raises(InvalidRequest):
            subjects.check_request_id(own)


def test_reply_allowed_accepts_inboxes_and_the_reply_subject() -> None:
    for subject in [
        "_INBOX.a",
        "_INBOX.a.b.c",
        "tts.reply.x",
        "tts.reply.x.y",
        "_INBOX.AbC-_~1",
        "_INBOX." + "a" * 505,
        "_INBOX.$x",
    ]:
        assert NAMES.reply_allowed(subject), subject


def test_reply_allowed_refuses_all_other_subjects() -> None:
    for subject in [
        "",
        ".",
        "_INBOX",
        "_INBOX.",
        "_INBOX..a",
        "_INBOX.*",
        "_INBOX.>",
        "_INBOX.a*",
        "_INBOX.a>b",
        "_INBOXa.b",
        "_inbox.a",
        " _INBOX.a",
        "_INBOX.a ",
        "_INBOX.a b",
        "_INBOX.a\tb",
        "_INBOX.a\r\nPUB x 0\r\n",
        "_INBOX.a\x00",
        "_INBOX.안녕",
        "_INBOX.\ud800",
        "_INBOX.a\xa0",
        "_INBOX.a\u2028",
        "_INBOX." + "a" * 506,
        "tts.reply",
        "tts.reply.",
        "tts.reply.*",
        "tts.reply.>",
        "tts.replyx.y",
        "tts.request.s1",
        "tts.report.s.r",
        "tts.put.report.s.r",
        "tts.cancel.s",
        "tts",
        "$JS.API.STREAM.DELETE.TTS_AUDIO",
        "$SYS.x",
        "x.tts.reply.y",
    ]:
        assert not NAMES.reply_allowed(subject), subject


@settings(max_examples=60)
@given(st.text(max_size=30), st.sampled_from(["", "_INBOX.", "tts.reply.", "tts.", "$JS."]))
def test_allowed_reply_subject_is_literal_ascii_under_its_roots(tail: str, root: str) -> None:
    subject = root + tail
    if NAMES.reply_allowed(subject):
        assert re.fullmatch(r"(_INBOX|tts\.reply)(\.[!-)+-\-/-=?-~]+)+", subject)


def test_subjects_are_those_of_the_contract() -> None:
    assert NAMES.request("s") == "tts.request.s"
    assert NAMES.cancel("s") == "tts.cancel.s"
    assert NAMES.session_request("s") == "tts.session.s.request"
    assert NAMES.session_cancel("s") == "tts.session.s.cancel"
    assert NAMES.session_events("s") == "tts.session.s.*"
    assert NAMES.put_audio("s", "r") == "tts.put.audio.s.r"
    assert NAMES.audio("s", "r") == "tts.audio.s.r"
    assert NAMES.put_report("s", "r") == "tts.put.report.s.r"
    assert NAMES.report("s", "r") == "tts.report.s.r"
    assert NAMES.reports("s") == "tts.report.s.*"
    assert NAMES.speak == "tts.speak"


def test_session_of_refuses_a_token_longer_than_that_of_the_longest_id() -> None:
    longest = subjects.token("가" * 85 + "a")
    assert len(longest) == subjects.MAX_TOKEN_CHARS
    assert NAMES.session_of(NAMES.session_request(longest)) == longest
    assert NAMES.session_of(NAMES.session_request(longest + "a")) is None


@pytest.mark.parametrize("token", ["s", "~7IS47IWYIDE", "세션", "a$b", '"', "\\", "a" * 343])
def test_session_of_returns_a_session_that_can_get_a_report(token: str) -> None:
    """Also if no id has that token: a request under it gets a report with the error."""
    assert NAMES.session_of(NAMES.session_cancel(token)) == token


@pytest.mark.parametrize(
    "token",
    [b"\xe9", b"\x0b", b"\x0c", b"\x85", b"\xa0", b"\0", b"\r", b"\x7f", "\x85".encode(), "\xa0".encode()]
    + ["\u2028".encode(), "\ufffd".encode(), b"\xed\xa0\x80", b"*", b">", b"a*", b"a>b", b""],
)
def test_session_of_returns_none_for_a_session_that_cannot_get_a_report(token: bytes) -> None:
    assert NAMES.session_of(subjects.decoded(b"tts.session." + token + b".request")) is None


@pytest.mark.parametrize("subject", ["", "tts.session.s", "_INBOX.x", "s"])
def test_session_of_returns_none_for_a_subject_without_a_session(subject: str) -> None:
    assert NAMES.session_of(subject) is None


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_decoded_subjects_are_equal_only_for_equal_bytes(one: bytes, other: bytes) -> None:
    assert (subjects.decoded(one) == subjects.decoded(other)) == (one == other)
    assert not subjects.legible(subjects.decoded(one)) or subjects.decoded(one).encode() == one


@pytest.mark.parametrize("prefix", ["_INBOX", "_INBOX_node", "_INBOX.shop", "a-b.C_9", "a" * 128])
def test_check_inbox_prefix_accepts_literal_subject_tokens(prefix: str) -> None:
    assert NAMES.check_inbox_prefix(prefix) == prefix


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        ".",
        "_INBOX.",
        ".a",
        "a..b",
        "*",
        "_INBOX.>",
        "a b",
        "$JS",
        "tts",
        "tts.audio",
        "a\r\nPUB",
        "안녕",
        "a" * 129,
    ],
)
def test_check_inbox_prefix_refuses_other_prefixes(prefix: str) -> None:
    with pytest.raises(ValueError, match="literal subject tokens"):
        NAMES.check_inbox_prefix(prefix)


@pytest.mark.parametrize(
    ("session", "request_id", "named"), [("", "r", "sessionId"), ("s", "", "requestId"), ("s", "a\nb", "requestId")]
)
def test_tokens_names_the_unusable_id(session: str, request_id: str, named: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{named}: must ") as caught:
        subjects.tokens(session, request_id)
    assert caught.value.field == named
    assert subjects.tokens("s", "r.1") == ("s", "~ci4x")
