"""The sums of `orastream usage`."""

from __future__ import annotations

import pytest

from orastream.client.usage import usage_of
from orastream.contract.messages import Report, Status

pytestmark = pytest.mark.unit


def report(request: str, caller: str | None, status: Status, characters: int | None, audio_s: float = 0.0) -> Report:
    return Report(
        request_id=request,
        session_id="s",
        request_seq=1,
        status=status,
        caller=caller,
        characters=characters,
        audio_seconds=audio_s,
    )


def test_each_request_counts_once_with_its_last_report() -> None:
    found = usage_of(
        [
            report("1", "SHOP", "delivering", 10, 0.5),
            report("2", None, "failed", None),
            report("1", "SHOP", "delivered", 10, 1.5),
            report("3", "SHOP", "cancelled", 5, 0.25),
        ]
    )
    assert [usage.to_map() for usage in found] == [
        {
            "caller": "SHOP",
            "requests": 2,
            "outcomes": {"delivered": 1, "cancelled": 1},
            "characters": 15,
            "audioSeconds": 1.75,
        },
        {"caller": "", "requests": 1, "outcomes": {"failed": 1}, "characters": 0, "audioSeconds": 0.0},
    ]
