"""A Client over an open Broker refuses the parameters of a connection; one that is not open says so at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from orastream import BlockingClient, Client, SettingsError
from orastream.broker import Broker

pytestmark = pytest.mark.unit

URL = "nats://127.0.0.1:1"
IDS = {"session_id": "s", "phone_id": "p"}


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"creds": Path("user.creds")}, "creds"),
        ({"nkey_seed": Path("user.nk"), "ca": Path("ca.pem")}, "nkey_seed, ca"),
        ({"cert": Path("a.pem"), "key": Path("a.key")}, "cert, key"),
        ({"tls_handshake_first": True}, "tls_handshake_first"),
        ({"inbox_prefix": "_INBOX_shop"}, "inbox_prefix"),
        ({"name": "shop"}, "name"),
        ({"connect_timeout_s": None}, "connect_timeout_s"),
        ({"name": "shop", "creds": Path("user.creds"), "transport": "http"}, "creds, name"),
    ],
)
async def test_a_parameter_without_effect_is_refused(parameters: dict[str, Any], names: str) -> None:
    with pytest.raises(ValueError, match=f"^{names}: no effect with a Broker"):
        Client(Broker(URL, name="own"), **parameters)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.say("안녕", **IDS),
        lambda c: c.wait("s", "r"),
        lambda c: c.cancel("s"),
        lambda c: c.report("s", "r"),
        lambda c: anext(c.reports("s")),
        lambda c: c.voices(),
        lambda c: anext(c.audio("s", "r", 1)),
        lambda c: c.utterance(**IDS).__aenter__(),
    ],
)
async def test_a_client_that_is_not_open_says_so_at_once(call: Callable[[Client], Awaitable[object]]) -> None:
    async with asyncio.timeout(1):
        with pytest.raises(RuntimeError, match=r"^the client is not open: use `async with Client\(…\) as client`"):
            await call(Client(URL))


async def test_a_text_stream_that_was_not_entered_says_so() -> None:
    u = Client(URL).utterance(**IDS)
    for call in (lambda: u.write("안녕"), u.report, lambda: u.wait(1)):
        with pytest.raises(RuntimeError, match="^enter it first: async with client.utterance"):
            await call()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("limit_s", [-1, float("nan"), float("inf")])
async def test_a_connect_timeout_that_is_none_is_refused(limit_s: float) -> None:
    with pytest.raises(ValueError, match="^connect_timeout_s is .*: it must be a number of seconds, 0 or more"):
        Client(URL, connect_timeout_s=limit_s)


async def test_a_client_over_a_broker_that_is_not_open_says_so_at_once() -> None:
    async with asyncio.timeout(1):
        with pytest.raises(RuntimeError, match=r"^the client is not open: use `async with Broker\(…\) as broker`"):
            await Client(Broker(URL, name="own")).say("안녕", **IDS)


@pytest.mark.parametrize("url", ["http://127.0.0.1:4222", "nats:/127.0.0.1"])
async def test_a_client_refuses_what_is_no_address_of_nats(url: str) -> None:
    message = f"^url: '{url}' is no NATS address; it begins with nats://, tls://, ws:// or wss://$"
    with pytest.raises(SettingsError, match=message):
        async with asyncio.timeout(1), Client(url, connect_timeout_s=None):
            pass
    with BlockingClient(url) as blocking, pytest.raises(SettingsError, match=message):
        await asyncio.to_thread(lambda: blocking.say("안녕", **IDS))


@pytest.mark.parametrize("url", [None, b"nats://secret@a", ["nats://a"]])
def test_what_is_no_str_is_no_address(url: Any) -> None:
    """As `os.environ.get` returns None for a variable that is not set."""
    for make in (Client, BlockingClient):
        with pytest.raises(TypeError, match="^url: must be an address.* not (None|bytes|list)"):
            make(url)


async def test_parameters_of_requests_are_not() -> None:
    broker = Broker(URL, name="own")
    client = Client(broker, fire_and_forget=False, transport="http", max_text_chars=10)
    assert client.broker is broker and client.max_text_chars == 10


async def test_the_prefix_is_that_of_the_broker_unless_it_is_given() -> None:
    broker = Broker(URL, name="own", prefix="tts.0")
    assert (Client(broker).names.prefix, Client(broker, prefix="tts").names.prefix) == ("tts.0", "tts")
    assert Client(URL, prefix="staging").names.request("s") == "staging.request.s"
    assert Client(URL).names.request("s") == "tts.request.s"
    with pytest.raises(ValueError, match="must be 1 to 31 of"):
        Client(URL, prefix="TTS")


def test_django_settings_have_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_PREFIX", "staging")
    assert BlockingClient.from_django()._options["prefix"] == "staging"
    for name, value in (("TTS_PREFIX", "a b"), ("NATS_INBOX_PREFIX", "staging.x")):
        monkeypatch.setenv(name, value)
        with pytest.raises(SettingsError, match=f"^{name}: must be"):
            BlockingClient.from_django()
        monkeypatch.setenv("TTS_PREFIX", "staging")
