"""Who may call the gateway: with keys those who have one, without keys all but pages of other sites."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from services.gateway.access.api_keys import ApiKeys
from services.gateway.access.policy import AccessPolicy, origin_check

pytestmark = pytest.mark.unit

OURS = "127.0.0.1:8000"


def headers(*given: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.lower().encode(), value.encode("latin-1")) for name, value in given])


def test_policy_checks_only_the_key_when_keys_are_set() -> None:
    foreign = (("Host", "evil.com"), ("Origin", "https://evil.com"), ("Sec-Fetch-Site", "cross-site"))
    policy = AccessPolicy(ApiKeys(["one"]), origin_check())
    assert policy.asks and policy.refusal(headers(*foreign, ("X-API-Key", "one"))) is None
    denied = policy.refusal(headers(("Host", OURS)))
    assert denied is not None and (denied.status, denied.code) == (401, "unauthorized")


def test_policy_checks_the_site_when_no_keys_are_set() -> None:
    policy = AccessPolicy(ApiKeys([]), origin_check())
    assert not policy.asks and policy.refusal(headers(("Host", OURS))) is None
    denied = policy.refusal(headers(("Host", OURS), ("Origin", "https://evil.com")))
    assert denied is not None and (denied.status, denied.code) == (403, "forbidden")
    assert "GATEWAY_HOSTS" in denied.message and "GATEWAY_API_KEYS" in denied.message, "says how to allow it"


def test_policy_takes_the_hosts_of_the_settings() -> None:
    policy = AccessPolicy(ApiKeys([]), origin_check(["tts.example"], "here.example"))
    for host in ("tts.example", "here.example:8000"):
        assert policy.refusal(headers(("Host", host))) is None
