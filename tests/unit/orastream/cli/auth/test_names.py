"""Which names may become accounts, sessions and hosts of the configuration."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.cli.auth import names
from orastream.contract import subjects
from orastream.contract.errors import SettingsError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("caller", "account"), [("shop", "SHOP"), ("Kiosk_2", "KIOSK_2"), ("a" * 32, "A" * 32)])
def test_account_is_the_name_in_upper_case(caller: str, account: str) -> None:
    assert names.account_name(caller) == account
    assert names.role_of(account) == caller.lower()


@pytest.mark.parametrize("caller", ["", "1a", "_a", "a-b", "a.b", "a b", "ä", "a" * 33, "a}", "$SYS", "a\n"])
def test_name_that_could_be_no_account_is_an_error_that_says_what_is_allowed(caller: str) -> None:
    with pytest.raises(SettingsError, match="--caller: .*A-Z a-z 0-9 _"):
        names.account_name(caller)


@pytest.mark.parametrize("caller", ["node", "Callers", "observers", "sys", "synth", "llm", "operator", "server"])
def test_names_of_the_node_are_refused(caller: str) -> None:
    with pytest.raises(SettingsError, match="choose another"):
        names.account_name(caller)


def test_sessions_are_ids_whose_tokens_are_kept_in_order_without_repeats() -> None:
    assert names.split_sessions("lobby, stage ,lobby,방 1") == ("lobby", "stage", subjects.token("방 1"))


@pytest.mark.parametrize("option", ["", ",", "a\x00", "x" * 257])
def test_sessions_that_cannot_be_used_are_an_error(option: str) -> None:
    with pytest.raises(SettingsError, match="--sessions"):
        names.split_sessions(option)


def test_too_many_sessions_are_an_error() -> None:
    with pytest.raises(SettingsError, match="1 to 256"):
        names.split_sessions(",".join(f"s{n}" for n in range(257)))


@given(st.text(max_size=40))
def test_each_token_of_a_session_is_literal(session_id: str) -> None:
    try:
        (token,) = names.session_tokens([session_id])
    except SettingsError:
        return
    assert re.fullmatch(r"~?[A-Za-z0-9_-]+", token)
    assert subjects.untoken(token) == session_id


@pytest.mark.parametrize("host", ["nats", "nats.example.com", "10.0.0.5", "::1", "a-b.c", "x1"])
def test_hosts(host: str) -> None:
    assert names.check_host(host) == host


@pytest.mark.parametrize("host", ["", "a b", "tls://a", "a:4222", "a\nNATS_URL=x", "-a", "a..b", "*.x", "fe80::1%eth0"])
def test_invalid_hosts_are_errors(host: str) -> None:
    with pytest.raises(SettingsError, match="--host"):
        names.check_host(host)


def test_an_ipv6_address_has_brackets_in_a_url() -> None:
    assert (names.in_url("::1"), names.in_url("nats")) == ("[::1]", "nats")
