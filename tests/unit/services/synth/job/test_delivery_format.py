"""Which format a request gets that names none, and which audio formats all OraServers take."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.audio import FORMATS, RATES_HZ, Format
from orastream.contract.bridge_record import BridgeRecord
from orastream.contract.messages import TRANSPORTS, SpeakRequest, Transport, parse_request
from services.synth.job.delivery_format import all_take, format_of
from services.synth.settings import DeliveryFormat

SETTINGS: tuple[DeliveryFormat, ...] = get_args(DeliveryFormat)

transports = st.sampled_from(TRANSPORTS)
settings = st.sampled_from(SETTINGS)
names = st.sampled_from(FORMATS)
records = st.lists(
    st.builds(BridgeRecord, st.sampled_from(["v1", "v2", "unknown"]), st.none() | st.frozensets(names)), max_size=4
)


def request(**fields: Any) -> SpeakRequest:
    return parse_request({"text": "a", "sessionId": "s", "phoneId": "p", **fields})


@pytest.mark.parametrize(
    ("setting", "transport", "fields", "deterministic", "expected"),
    [
        ("wav", "websocket", {}, True, "wav"),
        ("opus", "websocket", {}, True, "opus"),
        ("opus", "websocket", {}, False, "opus"),
        ("auto", "websocket", {}, True, None),
        ("auto", "websocket", {}, False, "wav"),
        ("opus", "http", {}, True, "wav"),
        ("auto", "http", {}, True, "wav"),
        ("opus", "none", {}, True, "wav"),
        ("auto", "none", {}, True, "wav"),
        ("opus", "websocket", {"sampleRate": 22_050}, True, "wav"),
        ("auto", "websocket", {"sampleRate": 22_050}, True, "wav"),
        ("opus", "websocket", {"sampleRate": 16_000}, True, "opus"),
        ("auto", "websocket", {"sampleRate": 16_000}, True, None),
        ("opus", "websocket", {"redeliverOf": "r"}, True, "wav"),
        ("auto", "websocket", {"redeliverOf": "r"}, True, "wav"),
        ("opus", "websocket", {"format": None}, True, "opus"),
        ("auto", "websocket", {"format": "wav"}, True, "wav"),
        ("wav", "http", {"format": "opus"}, False, "opus"),
    ],
)
def test_format_of(
    setting: DeliveryFormat, transport: Transport, fields: dict[str, Any], deterministic: bool, expected: Format | None
) -> None:
    assert format_of(request(**fields), transport, setting, deterministic=deterministic) == expected


@given(names, transports, settings, st.booleans())
def test_a_named_format_is_the_format(
    fmt: Format, transport: Transport, setting: DeliveryFormat, deterministic: bool
) -> None:
    assert format_of(request(format=fmt), transport, setting, deterministic=deterministic) == fmt


@given(st.none() | st.integers(8_000, 48_000) | st.sampled_from(RATES_HZ["opus"]), transports, settings, st.booleans())
def test_a_request_without_a_format_never_gets_one_that_cannot_have_its_rate(
    rate_hz: int | None, transport: Transport, setting: DeliveryFormat, deterministic: bool
) -> None:
    fmt = format_of(request(sampleRate=rate_hz), transport, setting, deterministic=deterministic)
    if fmt != "wav":
        assert rate_hz is None or rate_hz in RATES_HZ["opus"]
        assert transport == "websocket" and setting != "wav"
        assert (fmt is None) == (setting == "auto")


@given(records, names)
def test_all_take(bridges: list[BridgeRecord], fmt: Format) -> None:
    lists = [bridge for bridge in bridges if bridge.protocol == "v2" and fmt in (bridge.formats or ())]
    assert all_take(bridges, fmt) == (len(lists) == len(bridges) > 0)


@pytest.mark.parametrize(
    ("bridges", "expected"),
    [
        ([], False),
        ([BridgeRecord()], False),
        ([BridgeRecord("unknown", frozenset({"opus"}))], False),
        ([BridgeRecord("v2")], False),
        ([BridgeRecord("v2", frozenset({"wav"}))], False),
        ([BridgeRecord("v2", frozenset({"wav", "opus"}))], True),
        ([BridgeRecord("v2", frozenset({"opus"})), BridgeRecord("v2", frozenset({"opus", "wav"}))], True),
        ([BridgeRecord("v2", frozenset({"opus"})), BridgeRecord()], False),
    ],
)
def test_opus_needs_every_oraserver(bridges: list[BridgeRecord], expected: bool) -> None:
    assert all_take(bridges, "opus") is expected
