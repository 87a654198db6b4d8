"""A Client over an open Broker refuses the parameters of a connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orastream import Client
from orastream.broker import Broker

pytestmark = pytest.mark.unit

URL = "nats://127.0.0.1:4222"


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"creds": Path("user.creds")}, "creds"),
        ({"inbox_prefix": "_INBOX_shop"}, "inbox_prefix"),
        ({"name": "shop"}, "name"),
        ({"connect_timeout_s": None}, "connect_timeout_s"),
        ({"name": "shop", "creds": Path("user.creds"), "transport": "http"}, "creds, name"),
    ],
)
async def test_a_parameter_without_effect_is_refused(parameters: dict[str, Any], names: str) -> None:
    with pytest.raises(ValueError, match=f"^{names}: no effect with a Broker"):
        Client(Broker(URL, name="own"), **parameters)


async def test_parameters_of_requests_are_not() -> None:
    broker = Broker(URL, name="own")
    client = Client(broker, fire_and_forget=False, transport="http", max_text_chars=10)
    assert client.broker is broker and client.max_text_chars == 10
