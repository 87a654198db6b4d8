"""Decides the format of a request that names none, by the setting DELIVERY_FORMAT. Pure."""

from __future__ import annotations

from collections.abc import Collection

from orastream.contract.audio import RATES_HZ, Format
from orastream.contract.bridge_record import BridgeRecord
from orastream.contract.messages import SpeakRequest, Transport
from services.synth.settings import DeliveryFormat


def format_of(
    request: SpeakRequest, transport: Transport, setting: DeliveryFormat, *, deterministic: bool
) -> Format | None:
    """Returns the format of the first attempt at a request. None: opus if `all_take(records, "opus")`, else wav.

    `deterministic` says whether the engine can make the same bytes again. Without that, a synth cannot continue the
    Opus file of another one, so `auto` does not risk it.
    """
    if request.stated_format is not None:
        return request.stated_format
    if setting == "wav" or transport != "websocket" or request.redeliver_of is not None:
        return "wav"
    if request.sample_rate is not None and request.sample_rate not in RATES_HZ["opus"]:
        return "wav"  # the request was valid before the setting, so it must not fail now
    if setting == "opus":
        return "opus"
    return None if deterministic else "wav"


def all_take(bridges: Collection[BridgeRecord], fmt: Format) -> bool:
    """Whether each living ws_bridge has an OraServer that lists the format over protocol v2. False if none lives.

    `bridges` are the records of all living ws_bridges: any of them may deliver the next request.
    """
    return bool(bridges) and all(
        bridge.protocol == "v2" and bridge.formats is not None and fmt in bridge.formats for bridge in bridges
    )
