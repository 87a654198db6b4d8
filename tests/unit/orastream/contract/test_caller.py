"""Who sent a request: the account in its subject is proven, a header counts only without one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract import caller, codec
from orastream.contract.caller import OTHER, UNKNOWN, CallerNames
from orastream.contract.stored_requests import StoredRequest, read_stored
from orastream.jetstream.topology import StreamLimits, consumer_configs, stream_configs
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

accounts = st.from_regex(r"[A-Za-z0-9_]{1,32}", fullmatch=True)
BODY = {"text": "안녕", "sessionId": "s", "phoneId": "p"}


def stored(kind: str, stated: str | None = None, **fields: object) -> StoredRequest:
    data = codec.encode({**BODY, **fields}, "json")
    found = read_stored(NAMES, f"tts.session.s.{kind}", 7, 0.0, data, max_text_chars=100, stated_caller=stated)
    assert isinstance(found, StoredRequest)
    return found


@given(accounts, st.text() | st.none())
def test_account_in_the_subject_wins_over_any_header(account: str, stated: str | None) -> None:
    assert stored(f"request-{account}", stated).caller == account


@given(st.text())
def test_header_of_a_service_counts_if_it_is_a_name(stated: str) -> None:
    assert stored("request", stated).caller == (stated if caller.valid(stated) else UNKNOWN)


@given(st.text(alphabet="abc-.é \n", max_size=40))
def test_a_subject_without_a_valid_account_has_no_caller(rest: str) -> None:
    account = caller.account_in(f"request-{rest}")
    assert account is None or (account == rest and caller.check_account(account) == account)
    if account is None:
        assert caller.caller_of(f"request-{rest}", "forged") == UNKNOWN


def test_ingest_subject_is_stored_where_the_filter_finds_it() -> None:
    sessions = stream_configs(NAMES, StreamLimits(callers=("SHOP",)))[0]
    assert NAMES.ingest_subject("SHOP", "*") in sessions["subjects"]
    source, target = sessions["subject_transform"]["src"], sessions["subject_transform"]["dest"]
    assert (source, target) == ("tts.*.*", "tts.session.{{wildcard(2)}}.{{wildcard(1)}}")
    _, kind, session = NAMES.ingest_subject("SHOP", "s1").split(".")
    assert NAMES.stored_filter("SHOP").replace("*", session) == f"tts.session.{session}.{kind}"
    synth, *bridges = consumer_configs(NAMES, ("SHOP",))
    assert synth["filter_subjects"] == ["tts.session.*.request", NAMES.stored_filter("SHOP")]
    assert "filter_subject" not in synth
    assert {bridge["filter_subject"] for bridge in bridges} == {"tts.session.*.*"}
    assert consumer_configs(NAMES)[0]["filter_subject"] == "tts.session.*.request"


def test_report_has_the_caller_and_the_length_of_the_text() -> None:
    report = stored("request-SHOP").report("queued")
    assert (report.caller, report.characters) == ("SHOP", 2)
    assert stored("request").report("queued").caller is None
    assert stored("request", text="", textStream=True).report("queued").characters is None


@pytest.mark.parametrize(
    ("kind", "reply", "allowed"),
    [
        ("request", "_INBOX.x", True),
        ("request", "tts.reply.SHOP.x", True),
        ("request-SHOP", "tts.reply.SHOP.x", True),
        ("request-SHOP", "tts.reply.OTHER.x", False),
        ("request-SHOP", "_INBOX.x", False),
        ("request-SHOP", "tts.reply.SHOP", False),
    ],
)
def test_reply_to_of_an_account_lies_below_its_prefix(kind: str, reply: str, allowed: bool) -> None:
    found = stored(kind, replyTo=reply)
    assert (found.reply_to, found.problem is None) == ((reply, True) if allowed else (None, False))
    assert allowed or "tts.reply.SHOP." in str(found.problem)


@given(accounts, st.sampled_from(["tts.speak", "tts.report.get.s.r", "tts.audio.read.s.r"]))
def test_a_question_names_its_account_in_the_subject(account: str, subject: str) -> None:
    assert NAMES.asked_by(NAMES.asked_subject(account, subject)) == (account, subject)
    assert NAMES.asked_by(subject) == (UNKNOWN, subject)


@given(st.lists(st.integers(0, 40).map(str)), st.integers(0, 8))
def test_names_are_bounded_and_stay(names: list[str], limit: int) -> None:
    known = CallerNames(["shop"], limit)
    labels = {name: known.label(name) for name in names}
    assert all(label in (name, OTHER) for name, label in labels.items())
    assert len({label for label in labels.values() if label != OTHER}) == min(limit, len(set(names)))
    assert {name: known.label(name) for name in names} == labels
    assert (known.label("shop"), known.label(UNKNOWN)) == ("shop", UNKNOWN)


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a*", "a>", "가", "x" * 33, "a\n", "a-b"])
def test_account_that_no_subject_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="account"):
        caller.check_account(name)
