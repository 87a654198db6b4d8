"""Which requests `orastream redeliver SESSION` delivers again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.client.redelivery import UNDELIVERED, undelivered
from orastream.contract.errors import Code
from orastream.contract.messages import Report, ReportError, Status

pytestmark = pytest.mark.unit


def report(request: str, status: Status, code: Code | None = None, *, of: str | None = None) -> Report:
    error = ReportError.of(code, "") if code else None
    return Report(request_id=request, session_id="s", request_seq=1, status=status, error=error, redeliver_of=of)


FAILED = report("a", "failed", "oraserver_unreachable")


@pytest.mark.parametrize(
    ("reports", "wanted"),
    [
        ([], []),
        ([FAILED], ["a"]),
        ([report("a", "failed", "oraserver_refused"), report("b", "failed", "engine_error")], ["a"]),
        ([report("a", "delivered"), report("b", "cancelled"), report("c", "expired", "expired")], []),
        ([FAILED, report("b", "synthesizing", of="a")], []),
        ([FAILED, report("b", "delivered", of="a")], []),
        ([FAILED, report("b", "cancelled", of="a")], []),
        ([FAILED, report("b", "failed", "oraserver_unreachable", of="a")], ["b"]),
        ([FAILED, report("b", "expired", "expired", of="a")], ["a"]),
        ([FAILED, report("b", "failed", "internal", of="a")], ["a"]),
    ],
)
def test_failed_deliveries_are_delivered_again_once(reports: list[Report], wanted: list[str]) -> None:
    assert [one.request_id for one in undelivered(reports)] == wanted


@given(st.lists(st.sampled_from(["delivered", "unreachable", "expired", "speaking"]), min_size=1, max_size=6))
def test_of_a_chain_at_most_one_is_delivered_again_and_none_after_a_success(outcomes: list[str]) -> None:
    """Each delivery after the first one is of the request that the command would have chosen then."""
    reports: list[Report] = []
    for number, outcome in enumerate(outcomes):
        before = undelivered(reports)
        if number and not before:
            break
        of = before[0].request_id if before else None
        status: Status = "synthesizing" if outcome == "speaking" else "failed" if outcome == "unreachable" else outcome  # type: ignore[assignment]
        code: Code | None = {"unreachable": UNDELIVERED[0], "expired": "expired"}.get(outcome)  # type: ignore[assignment]
        reports.append(report(f"r{number}", status, code, of=of))
    left = undelivered(reports)
    assert len(left) <= 1
    succeeded = any(one.status in ("delivered", "synthesizing") for one in reports)
    failed_first = reports[0].error is not None and reports[0].error.code in UNDELIVERED
    assert bool(left) == (failed_first and not succeeded)
