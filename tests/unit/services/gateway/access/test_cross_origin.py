"""Pages of the hosts in GATEWAY_HOSTS may read answers, and no others, whatever else a request says."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from services.gateway.access.cross_origin import (
    EXPOSED_HEADERS,
    CrossOrigin,
    answer_headers,
    is_preflight,
    preflight_headers,
)

pytestmark = pytest.mark.unit

PAGE = "https://app.example:8443"


def headers(*given: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.lower().encode(), value.encode("latin-1")) for name, value in given])


@pytest.mark.parametrize("keys", [False, True])
def test_pages_of_named_hosts_may_read_on_any_port(keys: bool) -> None:
    pages = CrossOrigin(["App.Example:443", "::1"], keys=keys)
    for origin in (PAGE, "http://app.example", "http://app.example.", "http://[::1]:3000"):
        assert pages.allowed(headers(("Origin", origin))) == origin


@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize(
    "given",
    [
        (),
        (("Origin", "null"),),
        (("Origin", ""),),
        (("Origin", "*"),),
        (("Origin", "app.example"),),
        (("Origin", "https://evil.example"),),
        (("Origin", "https://app.example.evil.example"),),
        (("Origin", "https://evil-app.example"),),
        (("Origin", "https://app.example@evil.example"),),
        (("Origin", "https://evil.example/app.example"),),
        (("Origin", "https://app.example\\.evil.example"),),
        (("Origin", "chrome-extension://app.example"),),
        (("Origin", PAGE), ("Origin", "https://evil.example")),
        (("Origin", PAGE), ("Origin", PAGE)),
        (("Origin", f"{PAGE}, https://evil.example"),),
        (("Origin", "https://evil.example"), ("Host", "app.example"), ("X-Forwarded-Host", "evil.example")),
        (("Origin", "https://evil.example"), ("Host", "evil.example"), ("Sec-Fetch-Site", "same-origin")),
        (("X-Forwarded-Host", "app.example"), ("Referer", PAGE)),
    ],
)
def test_no_other_page_may_read(keys: bool, given: tuple[tuple[str, str], ...]) -> None:
    assert CrossOrigin(["app.example"], keys=keys).allowed(headers(*given)) is None


def test_all_hosts_are_named_only_with_keys() -> None:
    any_page = headers(("Origin", "https://anything.example"))
    assert CrossOrigin(["*"], keys=True).allowed(any_page) == "https://anything.example"
    assert CrossOrigin(["*"], keys=False).allowed(any_page) is None
    assert CrossOrigin(["*", "app.example"], keys=False).allowed(headers(("Origin", PAGE))) == PAGE
    assert CrossOrigin(["*"], keys=True).allowed(headers(("Origin", "null"))) is None
    assert CrossOrigin([], keys=True).allowed(any_page) is None


def test_preflight_is_an_options_request_of_a_page() -> None:
    page, asks = ("Origin", PAGE), ("Access-Control-Request-Method", "POST")
    assert is_preflight("OPTIONS", headers(page, asks))
    for method, given in (("POST", (page, asks)), ("OPTIONS", (page,)), ("OPTIONS", (asks,)), ("OPTIONS", ())):
        assert not is_preflight(method, headers(*given))


def test_preflight_allows_what_the_api_reads_and_never_a_forwarded_host() -> None:
    asked = "authorization,x-forwarded-host,cookie,x-stainless-os, X-Stainless-Retry-Count,user-agent,x-stainless-\x00"
    given = headers(("Origin", PAGE), ("Access-Control-Request-Headers", asked))
    for path, sdk in (("/api/audio/s/r", set()), ("/v1/audio/speech", {"x-stainless-os", "x-stainless-retry-count"})):
        answered = preflight_headers(path, given, PAGE)
        assert answered["Access-Control-Allow-Origin"] == PAGE
        assert answered["Access-Control-Allow-Methods"] == "GET, HEAD, POST"
        assert "Access-Control-Allow-Credentials" not in answered
        assert "Origin" in answered["Vary"]
        allowed = {name.lower() for name in answered["Access-Control-Allow-Headers"].split(", ")}
        assert {"authorization", "x-api-key", "content-type", "range", "last-event-id", "traceparent"} <= allowed
        assert not allowed & {"x-forwarded-host", "host", "cookie", "x-stainless-\x00", "*"}
        assert {name for name in allowed if name.startswith("x-stainless")} == sdk
        assert ("user-agent" in allowed) is bool(sdk)
    many = headers(("Access-Control-Request-Headers", ",".join(["x-stainless-os"] * 10_000)))
    assert len(preflight_headers("/v1/x", many, PAGE)["Access-Control-Allow-Headers"]) < 1000


def test_answers_vary_by_origin_and_name_only_the_page_that_may_read() -> None:
    assert answer_headers(None) == {"Vary": "Origin"}
    answered = answer_headers(PAGE)
    assert (answered["Access-Control-Allow-Origin"], answered["Vary"]) == (PAGE, "Origin")
    assert answered["Access-Control-Expose-Headers"].split(", ") == list(EXPOSED_HEADERS)
    assert "Access-Control-Allow-Credentials" not in answered
