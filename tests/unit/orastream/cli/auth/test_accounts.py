"""What each account may reach."""

from __future__ import annotations

import pytest

from orastream.cli.auth.accounts import MAX_CONNECTIONS, AccountPlan, CallerAccount, account_plans, caller_accounts

pytestmark = pytest.mark.unit

SHOP, HALL = CallerAccount("SHOP"), CallerAccount("HALL", ("lobby", "stage"))


def plans() -> dict[str, AccountPlan]:
    return {plan.name: plan for plan in account_plans((SHOP, HALL))}


def locals_of(plan: AccountPlan, kind: str) -> set[str]:
    return {one.local for one in plan.imports if one.kind == kind}


def test_accounts_that_may_request() -> None:
    assert caller_accounts((SHOP, HALL)) == ("CALLERS", "SHOP", "HALL")
    assert list(plans()) == ["CALLERS", "OBSERVERS", "SHOP", "HALL"]


@pytest.mark.parametrize("account", ["CALLERS", "SHOP", "HALL"])
def test_requests_of_an_account_arrive_under_a_subject_that_names_it(account: str) -> None:
    requests = [one for one in plans()[account].imports if one.local.startswith("tts.request.")]
    assert requests
    in_node = "tts.request-CALLERS." if account == "CALLERS" else f"tts.relay.{account}.request."
    for one in requests:
        assert (one.subject, one.export) == (one.local.replace("tts.request.", in_node), f"{in_node}*")


def test_cancels_of_callers_that_are_not_trusted_pass_the_relay() -> None:
    for account in ("SHOP", "HALL"):
        cancels = [one for one in plans()[account].imports if one.local.startswith("tts.cancel.")]
        assert cancels and all(one.export == f"tts.relay.{account}.cancel.*" for one in cancels)


def test_questions_arrive_under_a_subject_that_names_the_account() -> None:
    for plan in plans().values():
        for one in plan.imports:
            asks = one.local.startswith(("tts.speak", "tts.report.", "tts.reports.", "tts.audio."))
            if one.kind == "service" and asks:
                assert one.subject == one.local.replace("tts.", f"tts.of.{plan.name}.", 1)
                assert one.export.startswith(f"tts.of.{plan.name}.")


def test_accounts_that_are_not_trusted_have_few_connections() -> None:
    assert {name: plan.max_connections for name, plan in plans().items()} == {
        **{"CALLERS": None, "OBSERVERS": MAX_CONNECTIONS},
        **{"SHOP": MAX_CONNECTIONS, "HALL": MAX_CONNECTIONS},
    }


def test_observer_reads_and_never_writes_or_hears() -> None:
    observer = plans()["OBSERVERS"]
    every = {one.local for one in observer.imports}
    assert not {one for one in every if one.startswith(("tts.request", "tts.text", "tts.cancel", "tts.speak"))}
    assert not {one for one in every if "audio" in one}
    assert {"tts.report.*.*", "tts.load"} <= locals_of(observer, "stream")


def test_caller_with_any_session_gets_only_what_it_asks_for_by_both_ids() -> None:
    shop = plans()["SHOP"]
    assert locals_of(shop, "stream") == {"tts.load", "tts.reply.SHOP.>"}
    reads = {one for one in locals_of(shop, "service") if one.startswith(("tts.report.", "tts.audio."))}
    assert reads == {"tts.report.get.*.*", "tts.report.read.*.*", "tts.audio.read.*.*"}


def test_caller_with_sessions_reaches_these_alone() -> None:
    hall = plans()["HALL"]
    without_session = {"tts.voices", "tts.load", "tts.reply.HALL.>"}
    for one in hall.imports:
        assert one.local in without_session or one.local.split(".")[-2 if one.local.endswith("*") else -1] in (
            "lobby",
            "stage",
        )
    assert "tts.speak" not in {one.local for one in hall.imports}
    assert {"tts.report.lobby.*", "tts.report.stage.*"} <= locals_of(hall, "stream")


def test_nobody_outside_the_node_reaches_jetstream_or_another_account() -> None:
    for plan in plans().values():
        for one in plan.imports:
            assert not one.subject.startswith(("$JS", "$KV", "$O", "tts.put", "tts.session", "tts.script", "tts.peer"))
            others = {"CALLERS", "SHOP", "HALL", "OBSERVERS"} - {plan.name}
            assert not [other for other in others if other in one.subject]
        assert not set(plan.subscribe) & {">", "tts.>", "tts.request.*"}
