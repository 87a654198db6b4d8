"""Requests of pages of other sites are refused, and those of all other callers accepted, by their headers."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.service.origin_check import OriginCheck, host_of, hosts_in, of_a_browser, origin_host, private

pytestmark = pytest.mark.unit

OURS = "127.0.0.1:8000"


class Given:
    """The headers of a request."""

    def __init__(self, given: tuple[tuple[str, str], ...]) -> None:
        self._given = given

    def getlist(self, key: str) -> list[str]:
        return [value for name, value in self._given if name.lower() == key]


def headers(*given: tuple[str, str]) -> Given:
    return Given(given)


def served(origins: OriginCheck, *given: tuple[str, str]) -> bool:
    refusal = origins.refusal(headers(*given))
    assert refusal is None or refusal.endswith("; name its host"), "says how to allow it"
    return refusal is None


# ---- Host


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.0.0.1:8000",
            "127.8.9.1:1",
            "0.0.0.0:8000",
            "192.168.1.7:8000",
            "10.42.0.9:8000",
            "8.8.8.8",
            "127.0.0.1.",
        ),
        *("[::1]", "[::1]:8000", "[fd00::7]:8000", "[2001:db8::1]"),
        *("localhost", "localhost:3000", "LocalHost:8000", "localhost.", "tts.localhost:8000"),
        *(
            "gateway",
            "gateway:8000",
            "orastream-gateway-1:8000",
            "my_gateway:8000",
        ),  # compose, Kubernetes in a namespace
        *("gateway.orastream.svc", "gateway.orastream.svc.cluster.local:8000"),
        *("host.docker.internal:8000", "ip-10-0-0-1.ec2.internal", "box.local", "box.lan", "nas.home.arpa", "tts.test"),
    ],
)
def test_check_accepts_hosts_that_no_foreign_page_can_have(host: str) -> None:
    assert served(OriginCheck(), ("Host", host))


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "a.b.c.com", "EVIL.COM.", "evil.com.:8000", "127.0.0.1.nip.io:8000"),
        *("localhost.evil.com", "local.com", "internal.co:80", "arpa.home", "home.arpa.com", "evil.svc.com"),
        *("gateway.orastream:8000", "1.2.3", "256.1.1.1", "1.2.3.4.5"),
        *("", " ", ":8000", ".", "..", ".local", "a..local", "evil.com@localhost", "localhost/evil.com", "a b.local"),
        *("localhost,evil.com", "[::1].evil.com", "[evil.com]", "::1", "localhost:port", "http://localhost"),
        *("\xe9vil.com", "localhost:123456"),
    ],
)
def test_check_refuses_hosts_that_a_foreign_page_may_have(host: str) -> None:
    assert not served(OriginCheck(), ("Host", host))
    assert served(OriginCheck(["*"]), ("Host", host))


def test_check_examines_every_host_header_and_accepts_a_request_without_one() -> None:
    assert served(OriginCheck())
    assert served(OriginCheck(), ("Host", OURS), ("Host", "localhost"))
    assert not served(OriginCheck(), ("Host", OURS), ("Host", "evil.com"))


@pytest.mark.parametrize("known", ["tts.example.com", "TTS.Example.com", " tts.example.com:443 ", "tts.example.com."])
def test_check_accepts_exactly_the_hosts_that_the_setting_names(known: str) -> None:
    origins = OriginCheck([known])
    assert served(origins, ("Host", "tts.example.com"))
    assert served(origins, ("Host", "tts.example.com:8443"))
    assert not served(origins, ("Host", "www.tts.example.com"))
    assert not served(origins, ("Host", "example.com"))
    assert served(origins, ("Host", OURS)), "a host that is accepted without the setting was refused"


def test_check_accepts_the_host_that_the_gateway_is_bound_to() -> None:
    assert served(OriginCheck(bound="tts.example.com"), ("Host", "tts.example.com:8000"))
    assert not served(OriginCheck(bound="0.0.0.0"), ("Host", "tts.example.com:8000"))
    assert not served(OriginCheck(bound="::"), ("Host", "tts.example.com:8000"))


@given(st.text(max_size=40))
def test_host_of_accepts_any_text(text: str) -> None:
    host = host_of(text)
    assert host is None or host == host_of(host) or ":" in host
    if host is not None and "." in host.strip("."):
        assert not private(host + ".com")
    origin_host(text)


# ---- Origin and Sec-Fetch-Site


@pytest.mark.parametrize(
    ("host", "origin", "forwarded", "allowed"),
    [
        (OURS, "http://127.0.0.1:8000", None, True),
        (OURS, "http://127.0.0.1:3000", None, True),  # a page on another port of the same machine
        (OURS, "http://localhost:8000", None, False),  # this Host may only be called by pages of the same name
        ("localhost:8000", "http://localhost:8000", None, True),
        ("[::1]:8000", "http://[::1]:8000", None, True),
        (OURS, "https://evil.example", None, False),
        (OURS, "http://127.0.0.1.evil.example:8000", None, False),
        (OURS, "http://192.168.1.7", None, False),
        (OURS, "null", None, False),
        (OURS, "", None, False),
        (OURS, "127.0.0.1:8000", None, False),
        (OURS, "file://", None, False),
        (OURS, "chrome-extension://abcdef", None, False),
        # Behind a proxy that changes Host, X-Forwarded-Host or Sec-Fetch-Site (below) shows the page's own site.
        ("gateway:8000", "https://tts.example.com", "tts.example.com", True),
        ("gateway:8000", "https://tts.example.com:8443", "tts.example.com:8443, inner.local", True),
        ("gateway:8000", "https://evil.example", "tts.example.com", False),
        ("gateway:8000", "https://tts.example.com", None, False),
        ("gateway:8000", "null", "", False),
    ],
)
def test_check_judges_pages_by_their_origin(host: str, origin: str, forwarded: str | None, allowed: bool) -> None:
    proxy = [] if forwarded is None else [("X-Forwarded-Host", forwarded)]
    given = [("Host", host), ("Origin", origin), *proxy]
    assert served(OriginCheck(), *given) is allowed
    assert served(OriginCheck(), *given, ("Sec-Fetch-Site", "same-site")) is allowed
    assert not served(OriginCheck(), *given, ("Sec-Fetch-Site", "cross-site")), (
        "Sec-Fetch-Site did not override the origin"
    )
    assert served(OriginCheck(), *given, ("Sec-Fetch-Site", "same-origin")), (
        "Sec-Fetch-Site did not override the origin"
    )


@pytest.mark.parametrize(
    ("site", "allowed"),
    [
        ("same-origin", True),
        ("none", True),
        ("same-site", True),
        ("cross-site", False),
        ("Cross-Site ", False),
        ("", True),
    ],
)
def test_check_judges_pages_without_an_origin_by_sec_fetch_site(site: str, allowed: bool) -> None:
    """Browsers send no Origin with a GET for an image, a script or a frame."""
    assert served(OriginCheck(), ("Host", OURS), ("Sec-Fetch-Site", site)) is allowed


def test_check_accepts_pages_of_the_hosts_that_the_setting_names() -> None:
    origins = OriginCheck(["app.example.com"])
    page = [("Origin", "https://app.example.com"), ("Sec-Fetch-Site", "cross-site")]
    assert served(origins, ("Host", OURS), *page)
    assert not served(origins, ("Host", "evil.example"), *page)
    assert not served(origins, ("Host", OURS), ("Sec-Fetch-Site", "cross-site")), (
        "accepted a page of another site that sends no Origin"
    )
    assert not served(origins, ("Host", OURS), *page, ("Origin", "https://evil.example"))


@pytest.mark.parametrize(
    ("origin", "site"),
    list(itertools.product(["http://evil.com:8000", "null", None], ["same-origin", "none", "same-site", None])),
)
def test_check_refuses_a_page_that_uses_dns_rebinding(origin: str | None, site: str | None) -> None:
    given = [("Host", "evil.com:8000"), ("X-Forwarded-Host", "localhost"), ("X-Forwarded-For", "127.0.0.1")]
    given += [("Origin", origin)] if origin else []
    given += [("Sec-Fetch-Site", site)] if site else []
    assert not served(OriginCheck(), *given)


def test_refusal_has_a_bounded_length() -> None:
    refusal = OriginCheck().refusal(headers(("Host", "a." * 5_000 + "com")))
    assert refusal is not None and len(refusal) < 300


def test_refusal_names_the_server_and_the_remedy() -> None:
    check = OriginCheck(server="this OraServer", remedy="set ORASERVER_HOSTS")
    refusal = check.refusal(headers(("Host", OURS), ("Origin", "https://evil.com")))
    assert refusal == "a page of 'https://evil.com' may not use this OraServer; set ORASERVER_HOSTS"


@pytest.mark.parametrize(
    ("value", "hosts"),
    [(None, ()), (" ", ()), ("*", ("*",)), (" a.example ,b:1,,[::1]", ("a.example", "b:1", "[::1]"))],
)
def test_hosts_of_a_setting_are_separated_by_commas(value: str | None, hosts: tuple[str, ...]) -> None:
    assert hosts_in(value) == hosts


@pytest.mark.parametrize("value", ["https://a.example", "a.example, b c", "a.example/path"])
def test_hosts_of_a_setting_are_checked(value: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        hosts_in(value)


def test_browsers_show_themselves_in_posts_and_upgrades() -> None:
    assert of_a_browser(headers(("Host", OURS), ("Origin", "null")))
    assert of_a_browser(headers(("Sec-Fetch-Site", "same-origin")))
    assert not of_a_browser(headers(("Host", "evil.com"), ("User-Agent", "Mozilla/5.0")))
