"""When a request with `supersede` counts as a cancel: valid, and no other copy of its id can be claimed before it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract import codec
from orastream.contract.messages import FINAL, Report, ReportError, Status
from orastream.contract.stored_requests import RequestOutline, StoredRequest, outline_of, read_message, read_stored
from orastream.contract.superseding import Supersedes, as_cancel, supersedes
from orastream.jetstream.api import Stored
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

SEQUENCE = 42
STATUSES: list[Status] = ["synthesizing", "delivering", *sorted(FINAL)]


def request(payload: bytes | None = None, **fields: Any) -> StoredRequest:
    body = {"text": "a", "sessionId": "s", "phoneId": "p", "requestId": "r", "supersede": True, **fields}
    data = json.dumps(body).encode() if payload is None else payload
    stored = read_stored(NAMES, NAMES.session_request("s"), SEQUENCE, 5.0, data, max_text_chars=100)
    assert isinstance(stored, StoredRequest)
    return stored


REPORTS = st.builds(
    lambda status, seq, code: (
        request()
        .report(status, error=ReportError.of(code, "why") if code and status == "failed" else None)
        .with_(request_seq=seq)
    ),
    st.sampled_from(STATUSES),
    st.sampled_from([SEQUENCE - 1, SEQUENCE, SEQUENCE + 1]),
    st.sampled_from([None, "internal", "invalid_request"]),
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "supersede": st.sampled_from([True, True, True, False, None, "yes"]),
        "engine": st.sampled_from(["espeak", "ESPEAK", "another"]),
        "speed": st.sampled_from([1, 9]),
        "redeliverOf": st.just("r0"),
    },
)


LATE = ("engine", "redeliverOf")
"""With these it may count only when it is claimed: synth may refuse it as invalid."""


@given(FIELDS, st.none() | REPORTS, st.booleans(), st.sampled_from([None, "espeak"]))
def test_only_a_valid_request_that_no_other_copy_can_precede_counts(
    fields: dict[str, Any], report: Report | None, first: bool, engine: str | None
) -> None:
    stored = request(**fields)
    found = supersedes(stored, report, first=first, engine=engine)
    if stored.request is None or fields.get("supersede", True) is not True:
        assert found is Supersedes.NO
    elif report is not None:
        refused = (
            report.error is not None and report.error.code == "invalid_request" and not fields.keys().isdisjoint(LATE)
        )
        assert (found is Supersedes.YES) == (report.request_seq == SEQUENCE and not refused)
        assert found is not Supersedes.UNKNOWN, "the first report decides"
    elif found is Supersedes.YES:
        named = fields.get("engine")
        assert first and "redeliverOf" not in fields and (named is None or named.lower() == engine)
    elif found is Supersedes.NO:
        assert (fields["engine"], engine) == ("another", "espeak")


@given(FIELDS, REPORTS)
def test_one_that_counts_at_once_counts_with_each_report_of_its_own(fields: dict[str, Any], report: Report) -> None:
    """Also if it fails for its voice: bridges and synths have ended what was asked before it."""
    stored = request(**fields)
    if supersedes(stored, None, first=True) is Supersedes.YES:
        own = report.with_(request_seq=SEQUENCE)
        assert supersedes(stored, own, first=True) is Supersedes.YES


def test_a_request_without_a_report_counts_at_once() -> None:
    assert supersedes(request(), None, first=True) is Supersedes.YES
    assert supersedes(request(textStream=True, text=None), None, first=True) is Supersedes.YES
    assert supersedes(request(engine="espeak"), None, first=True) is Supersedes.UNKNOWN
    assert supersedes(request(engine="espeak"), None, first=True, engine="eSpeak") is Supersedes.YES
    assert supersedes(request(), None, first=False) is Supersedes.UNKNOWN, "the other copy will perhaps be claimed"


@given(st.integers(1, 99))
def test_as_a_cancel_it_covers_what_was_stored_before_it(sequence: int) -> None:
    stored = request()
    cancel = as_cancel(stored)
    assert (cancel.sequence, cancel.session, cancel.stored_at_s) == (SEQUENCE, "s", 5.0)
    assert cancel.covers(sequence, "any") == (sequence < SEQUENCE)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize("value", [True, False, None, 1, "true"])
def test_outline_and_request_agree_in_both_encodings(encoding: codec.Encoding, value: object) -> None:
    body = {"text": "a", "sessionId": "s", "phoneId": "p", "supersede": value}
    message = Stored(NAMES.session_request("s"), SEQUENCE, "2026-01-01T00:00:00Z", codec.encode(body, encoding))
    stored = read_message(message, NAMES, max_text_chars=100)
    assert isinstance(stored, StoredRequest)
    if stored.request is not None:
        assert outline_of(message).supersedes is stored.request.supersede is (value is True)
    else:
        assert str(stored.problem) == "supersede: has the wrong type: must be true or false"
        assert outline_of(message) == RequestOutline()
