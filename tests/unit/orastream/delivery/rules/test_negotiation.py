"""Which protocol a bridge offers to OraServer, and what it remembers (docs/reference/oraserver-v2.md)."""

from __future__ import annotations

import pytest

from orastream.delivery.rules.negotiation import REMEMBERED_S, V1, V2, Negotiation, ProtocolSetting

pytestmark = pytest.mark.unit


def test_the_first_connection_offers_both_and_v1_first() -> None:
    assert Negotiation("auto").offer(0.0) == (V1, V2)


def test_a_server_that_has_selected_v2_is_offered_v2_alone() -> None:
    negotiation = Negotiation("auto")
    negotiation.answered(V2, 0.0)
    assert negotiation.speaks_v2 and negotiation.offer(1e9) == (V2,)


@pytest.mark.parametrize("selected", [None, V1, "chat"])
def test_any_other_answer_is_v1_for_ten_minutes(selected: str | None) -> None:
    negotiation = Negotiation("auto")
    negotiation.answered(selected, 0.0)
    assert negotiation.speaks_v1(REMEMBERED_S - 1) and negotiation.offer(REMEMBERED_S - 1) == ()
    assert not negotiation.speaks_v1(REMEMBERED_S) and negotiation.offer(REMEMBERED_S) == (V1, V2)


def test_a_server_that_does_not_select_v2_any_more_speaks_v1() -> None:
    negotiation = Negotiation("auto")
    negotiation.answered(V2, 0.0)
    negotiation.answered(None, 1.0)
    assert not negotiation.speaks_v2 and negotiation.speaks_v1(1.0)


def test_after_a_failed_connection_v1_is_not_remembered() -> None:
    negotiation = Negotiation("auto")
    negotiation.answered(None, 0.0)
    negotiation.failed()
    assert negotiation.offer(1.0) == (V1, V2)


@pytest.mark.parametrize(
    ("status", "again"),
    [(400, True), (404, True), (426, True), (401, False), (403, False), (429, False), (500, False), (None, False)],
)
def test_an_offer_that_is_refused_is_left_out_once(status: int | None, again: bool) -> None:
    assert Negotiation("auto").refused(status) is again


def test_what_worked_without_an_offer_is_v1() -> None:
    negotiation = Negotiation("auto")
    negotiation.spoke_v1(0.0)
    assert negotiation.speaks_v1(1.0) and negotiation.offer(1.0) == ()


@pytest.mark.parametrize(("setting", "offer"), [("v1", ()), ("v2", (V2,))])
def test_a_fixed_protocol_does_not_change(setting: ProtocolSetting, offer: tuple[str, ...]) -> None:
    negotiation = Negotiation(setting)
    for selected in (None, V1, V2) if setting == "v2" else (None, V1):
        negotiation.answered(selected, 0.0)
        assert negotiation.offer(1.0) == offer and not negotiation.refused(400)
    negotiation.failed()
    assert negotiation.offer(2.0) == offer
