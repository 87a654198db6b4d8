"""Who may call the gateway: with keys those who have one, without keys all but pages of other sites."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from services.gateway.access.api_keys import ApiKeys
from services.gateway.access.policy import AccessPolicy, ApiCaller, Denied, origin_check

pytestmark = pytest.mark.unit

OURS = "127.0.0.1:8000"


def headers(*given: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.lower().encode(), value.encode("latin-1")) for name, value in given])


PEER = "192.0.2.1"


def test_policy_checks_only_the_key_when_keys_are_set() -> None:
    foreign = (("Host", "evil.com"), ("Origin", "https://evil.com"), ("Sec-Fetch-Site", "cross-site"))
    policy = AccessPolicy(ApiKeys(["one"]), origin_check())
    assert policy.asks
    assert policy.admit(headers(*foreign, ("X-API-Key", "one")), PEER) == ApiCaller("key-1", "key-1")
    denied = policy.admit(headers(("Host", OURS)), PEER)
    assert isinstance(denied, Denied) and (denied.status, denied.code) == (401, "unauthorized")


def test_policy_checks_the_site_when_no_keys_are_set() -> None:
    policy = AccessPolicy(ApiKeys([]), origin_check())
    assert not policy.asks
    assert policy.admit(headers(("Host", OURS)), PEER) == ApiCaller("anonymous", PEER)
    assert policy.admit(headers(("Host", OURS)), "2001:db8::1") == ApiCaller("anonymous", "2001:db8::/64")
    denied = policy.admit(headers(("Host", OURS), ("Origin", "https://evil.com")), PEER)
    assert isinstance(denied, Denied) and (denied.status, denied.code) == (403, "forbidden")
    assert "GATEWAY_HOSTS" in denied.message and "GATEWAY_API_KEYS" in denied.message, "says how to allow it"


def test_policy_takes_the_hosts_of_the_settings() -> None:
    policy = AccessPolicy(ApiKeys([]), origin_check(["tts.example"], "here.example"))
    for host in ("tts.example", "here.example:8000"):
        assert isinstance(policy.admit(headers(("Host", host)), PEER), ApiCaller)


def test_usage_is_counted_by_the_name_of_a_key_only() -> None:
    keyed = AccessPolicy(ApiKeys(["shop=0123456789"]), origin_check())
    caller = keyed.admit(headers(("X-API-Key", "0123456789")), PEER)
    assert isinstance(caller, ApiCaller) and caller.usage_name == "shop"
    anybody = AccessPolicy(ApiKeys([]), origin_check()).admit(headers(("Host", OURS)), PEER)
    assert isinstance(anybody, ApiCaller) and anybody.usage_name == ""
