"""The checks pass a receiver that keeps the rules, and find each fault that is planted in it, in the right line."""

from __future__ import annotations

from typing import get_args

import pytest

from orastream.cli.checks.oraserver.command import ALL, examine
from orastream.cli.checks.oraserver.outcomes import Level
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.delivery.websocket import connection, liveness
from orastream.tls import ORASERVER, ClientTls, TlsFiles
from tests.support.receiver import Fault, ReceiverWithFault, receiving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

TOKEN = "secret"
CHECKS = [check for check in ALL if check.rule.name != "post-longest"]

FOUND: dict[Fault, dict[str, Level]] = {
    "early pongs": {"pongs": "risk"},
    "other payload": {"handshake": "broken"},
    "token not checked": {"token": "risk", "post-token": "risk"},
    "500 for a wrong token": {"token": "broken", "post-token": "broken"},
    "ids of the headers": {"ids": "broken"},
    "request ids as paths": {"ids": "broken", "post-ids": "broken"},
    "constant text": {"sentences": "broken"},
    "stores repeats": {"repeats": "broken", "break": "broken", "takeover": "broken"},
    "seven formats less one": {"formats": "broken", "post-formats": "broken"},
    "one phone": {"phones": "broken"},
    "waits for complete": {"cancel": "broken", "reset": "broken", "end-frames": "risk"},
    "32 KiB frames": {"frame": "broken", "largest-frame": "risk"},
    "64 KiB frames": {"largest-frame": "risk"},
    "forgets at a break": {"break": "broken", "late-complete": "broken", "takeover": "broken"},
    "older connection wins": {"takeover": "broken"},
    "forgets at complete": {"repeats": "broken", "late-complete": "broken"},
    "impatient": {"idle": "risk"},
    "409 for a repeat": {"post-repeat": "broken"},
    "1 MiB bodies": {"post-minute": "broken"},
    "answers early": {"post": "broken"},
    "takes half a body": {"post-reset": "broken"},
    "unknown keys": {"sample-rate": "risk"},
    "unknown frames": {"end-frames": "risk"},
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ping that is not answered is noticed soon."""
    for module in (liveness, connection):
        monkeypatch.setattr(module, "PONG_S", 3.0)


def under_test(receiver: ReceiverWithFault) -> ServerUnderTest:
    """The receiver, with its listing."""
    return ServerUnderTest(
        receiver.websocket_url,
        receiver.http_url,
        ClientTls(TlsFiles(ORASERVER)),
        token=TOKEN,
        received_url=f"{receiver.url}/received",
        idle_s=0.5,
    )


async def found(fault: Fault | None) -> dict[str, Level]:
    """The checks that find something."""
    async with receiving(fault, token=TOKEN) as receiver:
        results = await examine(under_test(receiver), CHECKS)
    assert len(results) == len(CHECKS)
    levels = {result.rule.name: result.outcome.level for result in results}
    assert levels.pop("restart") in ("unseen", "skipped")
    return {name: level for name, level in levels.items() if level not in ("ok", "skipped")}


def test_each_fault_has_its_line() -> None:
    assert set(FOUND) == set(get_args(Fault))


async def test_a_receiver_that_keeps_the_rules_passes() -> None:
    assert await found(None) == {}


@pytest.mark.parametrize("fault", FOUND)
async def test_a_planted_fault_is_found_in_the_right_line(fault: Fault) -> None:
    assert await found(fault) == FOUND[fault]
