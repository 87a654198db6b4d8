"""Which checks a run has, by its addresses, `--protocol` and `--only`."""

from __future__ import annotations

import pytest

from orastream.cli.checks.oraserver.check import Check
from orastream.cli.checks.oraserver.choice import (
    ALL,
    PLAIN,
    POST,
    STREAMS,
    WEBSOCKET,
    CheckedProtocol,
    WrongChoice,
    chosen,
    first_of,
    without_streams,
)

pytestmark = pytest.mark.unit


def test_the_protocol_chooses_the_checks_over_websocket() -> None:
    expected: dict[CheckedProtocol, tuple[Check, ...]] = {"auto": ALL, "v1": PLAIN, "v2": (*STREAMS, *POST)}
    for protocol, checks in expected.items():
        assert chosen(None, websocket=True, http=True, protocol=protocol) == checks


def test_an_address_that_is_not_given_is_not_checked() -> None:
    assert chosen(None, websocket=True, http=False) == WEBSOCKET
    assert chosen(None, websocket=False, http=True, protocol="auto") == POST


@pytest.mark.parametrize(
    ("only", "websocket", "http", "protocol", "says", "option"),
    [
        ([], False, False, "auto", "give the address", None),
        (["pong"], True, True, "auto", "there is no check 'pong'", "--only"),
        (["post"], True, False, "auto", "need the other address", "--only"),
        (["v2-acks"], True, True, "v1", "another --protocol", "--only"),
        (["pongs"], True, True, "v2", "another --protocol", "--only"),
    ],
)
def test_a_wrong_choice_is_named(
    only: list[str], websocket: bool, http: bool, protocol: CheckedProtocol, says: str, option: str | None
) -> None:
    with pytest.raises(WrongChoice, match=says) as caught:
        chosen(only, websocket=websocket, http=http, protocol=protocol)
    assert caught.value.option == option


def test_without_v2_only_what_was_named_is_left_of_it() -> None:
    assert without_streams(ALL, None) == PLAIN
    named = chosen(["v2-acks", "pongs"], websocket=True, http=True, protocol="auto")
    assert without_streams(named, ["v2-acks", "pongs"]) == named


def test_the_first_check_of_a_protocol_says_whether_it_is_there() -> None:
    assert {first_of(check).rule.name for check in ALL} == {"v2-handshake", "handshake", "post"}
