"""Messages about a NATS server: no password in them, and what to do for each problem."""

from __future__ import annotations

import pytest

from orastream.broker import address
from orastream.contract.errors import SettingsError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
        ("nats://user:secret@host:4222", "nats://host:4222"),
        ("nats://secret@host", "nats://host"),
        ("user:secret@host:4222", "host:4222"),
        ("nats://user:sec/ret@sec@host", "nats://host"),
        ("nats://user:sec,ret@host", "nats://host"),
        ("tls://u:secret@a:1, nats://u:secret@b:2,nats://c", "tls://a:1, nats://b:2,nats://c"),
        ("a:1,b:2", "a:1,b:2"),
    ],
)
def test_shown_url_has_no_user_and_no_password(url: str, shown: str) -> None:
    assert address.shown(url) == shown


@pytest.mark.parametrize("problem", ["nats: 'Authorization Violation'", "nats: 'User Authentication Revoked'"])
def test_message_names_the_settings_for_credentials_when_nats_refuses_the_client(problem: str) -> None:
    message = address.unconnected("nats://host", problem)
    assert "refuses this client" in message and "NATS_CREDS" in message and "user:password in NATS_URL" in message
    assert "no NATS server answers" not in message


@pytest.mark.parametrize(
    ("url", "secure"),
    [
        ("nats://a", False),
        ("a:1,b:2", False),
        ("ws://a:1", False),
        ("nats://user:tls@a", False),
        ("tls://a", True),
        ("TLS://a", True),
        ("wss://a:1", True),
        ("nats://a, tls://b", True),
    ],
)
def test_secure_is_true_when_one_url_is_tls(url: str, secure: bool) -> None:
    assert address.secure(url) == secure


def test_servers_splits_a_list_of_urls() -> None:
    assert address.servers("TLS://User:Pass@A:1, nats://b") == ["tls://User:Pass@A:1", "nats://b"]


@pytest.mark.parametrize(
    ("problem", "todo"),
    [
        (address.NO_TLS, "configure TLS in nats-server"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate", "SSL_CERT_FILE"),
    ],
)
def test_message_explains_missing_tls(problem: str, todo: str) -> None:
    message = address.unconnected("tls://host", problem)
    assert address.explains(problem) and todo in message and "NATS_" in message
    assert "no NATS server answers" not in message


@pytest.mark.parametrize(
    "problem", ["no answer", address.NO_TLS, "Hostname mismatch", "nats: 'Authorization Violation'"]
)
def test_message_of_a_client_names_its_arguments_and_no_setting(problem: str) -> None:
    message = address.unconnected("tls://host", problem, address.ARGUMENTS)
    assert "the address" in message and "NATS_" not in message
    assert problem != "no answer" or message.endswith("start it, or correct the address")


@pytest.mark.parametrize(
    "url",
    [
        "nats://127.0.0.1:4222",
        "NATS://u:p@host",
        "tls://a, nats://b",
        "ws://a:80",
        "wss://a",
        "host:4222",
        "host",
        "user:secret@host",
        "user:secret@host:4222",
        "[::1]:4222",
        "nats://nats.tts.svc.cluster.local.:4222",
        "a:1,b:2",
    ],
)
def test_check_accepts_an_address_that_a_client_can_use(url: str) -> None:
    address.check(url, "NATS_URL")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:4222", "https://u:secret@host", "nats:/127.0.0.1", "", "a b", "nats://a,http://b"],
)
def test_check_refuses_what_is_no_address_and_shows_no_password(url: str) -> None:
    begins = "is no NATS address; it begins with nats://, tls://, ws:// or wss://"
    with pytest.raises(SettingsError, match=f"^NATS_URL: '{address.shown(url)}' {begins}") as caught:
        address.check(url, "NATS_URL")
    assert "secret" not in str(caught.value)


def test_message_names_the_server_that_does_not_answer() -> None:
    assert "no NATS server answers at nats://host (no answer)" in address.unconnected("nats://host", "no answer")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("nats://", "it has no host"),
        ("nats://:4222", "it has no host"),
        ("nats://a,tls://user:secret@", "it has no host"),
        ("nats://a:99999", "its host or its port is not valid"),
        ("a:nats", "its host or its port is not valid"),
        ("nats://[::1", "its host or its port is not valid"),
        ("nats://user:sec#ret@host", "its host or its port is not valid"),
        ("nats://a..b", "its host or its port is not valid"),
        (f"nats://{'a' * 64}", "its host or its port is not valid"),
        ("nats://a:0", "its port is 0"),
        ("nats://a b:4222", "it has white space"),
        ("nats://a:4222/path", "it goes on after host:port"),
        ("nats://a?tls=1", "it goes on after host:port"),
    ],
)
def test_check_says_what_is_wrong_in_an_address_and_shows_no_password(url: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=f"is no NATS address: {problem}.*; write nats://") as caught:
        address.check(url, "NATS_URL")
    assert "sec" not in str(caught.value) and str(caught.value).startswith("NATS_URL: ")


@pytest.mark.parametrize("url", ["nats://a:4222/", "ws://a:80/nats", "wss://a/nats?x=1"])
def test_check_accepts_a_path_where_it_means_something(url: str) -> None:
    address.check(url, "NATS_URL")


REFUSED = "[Errno 111] Connect call failed ('127.0.0.1', 1)"
UNKNOWN = "[Errno -2] Name or service not known"


def test_the_message_distinguishes_an_unknown_host_from_a_server_that_is_not_there() -> None:
    assert address.unconnected("nats://nowhere", UNKNOWN) == (
        f"the host of nats://nowhere is not known here ({UNKNOWN}); "
        "correct NATS_URL, or the name service of this machine"
    )
    assert address.unconnected("nats://a,nats://b", UNKNOWN).startswith("a host in nats://a,nats://b is not known here")
    assert address.unconnected("nats://a", REFUSED) == (
        "no NATS server answers at nats://a (connection refused); start it or set NATS_URL"
    )


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        ("[Errno 113] Connect call failed ('10.0.0.1', 4222)", "no route to host"),
        (f"Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0), {REFUSED}", "connection refused"),
        (f"[Errno 101] Network is unreachable, {REFUSED}", "network is unreachable and connection refused"),
        ("[Errno 111] Connection refused", "connection refused"),
        ("Cannot connect to host a:80 [Connect call failed ('10.0.0.1', 80)]",) * 2,
    ],
)
def test_the_message_says_why_a_server_was_not_reached(problem: str, reason: str) -> None:
    """A firewall that rejects is no server that is not started."""
    assert f"no NATS server answers at nats://a ({reason}); " in address.unconnected("nats://a", problem)


@pytest.mark.parametrize(
    ("problems", "chosen"),
    [
        ([], address.NO_ANSWER),
        (["nats: empty response from server"], address.NO_ANSWER),
        ([REFUSED], REFUSED),
        ([REFUSED, UNKNOWN, REFUSED], UNKNOWN),
        ([UNKNOWN, "nats: 'Authorization Violation'", REFUSED], "nats: 'Authorization Violation'"),
        (
            [REFUSED, "Cannot connect to host a:80 [getaddrinfo failed]"],
            "Cannot connect to host a:80 [getaddrinfo failed]",
        ),
    ],
)
def test_of_several_problems_the_one_that_says_most_is_chosen(problems: list[str], chosen: str) -> None:
    assert address.chosen(problems) == chosen
