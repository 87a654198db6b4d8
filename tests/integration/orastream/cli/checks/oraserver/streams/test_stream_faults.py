"""The checks of v2 pass a receiver that keeps the rules, and find each planted fault, in the right line."""

from __future__ import annotations

import asyncio
from typing import get_args

import pytest

from orastream.cli.checks.oraserver.check import Check
from orastream.cli.checks.oraserver.choice import STREAMS
from orastream.cli.checks.oraserver.command import examine
from orastream.cli.checks.oraserver.outcomes import Level, Result
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.cli.checks.oraserver.streams import frame_client
from orastream.tls import ORASERVER, ClientTls, TlsFiles
from tests.support.stream_receiver import StreamFault, StreamReceiver, stream_receiving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

TOKEN = "secret"
SLOW = "v2-ack-idle"
"""It waits for several seconds: it runs only where it is to find something, and with the receiver that is right."""
AT_ONCE = 8
"""More checks at once delay the acks of the receiver, which is in the same process, on a slow machine."""
READ = (
    *("v2-acks", "v2-ack-bytes", "v2-ack-end", "v2-ack-idle", "v2-gap", "v2-missing", "v2-damage", "v2-order"),
    *("v2-resume", "v2-supersede", "v2-cancel", "v2-cancelled", "v2-unknown", "v2-end-twice", "v2-failed"),
)
"""The checks that wait until the server has read what was sent."""
ENDINGS = (
    *("v2-text-frame", "v2-bad-frame", "v2-unknown-stream", "v2-beyond-limit", "v2-beyond-size", "v2-other-size"),
)
STORED = (
    *("v2-opened", "v2-ack-end", "v2-gap", "v2-missing", "v2-damage", "v2-duplicates", "v2-limit", "v2-stalled"),
    *("v2-sessions", "v2-connections", "v2-order", "v2-resume", "v2-delivered", "v2-supersede", "v2-cancel"),
    *("v2-cancelled", "v2-ids", "v2-formats", "v2-text", "v2-frame", "v2-unknown", "v2-end-twice", "v2-failed"),
)
"""The checks that look at what is stored."""


def broken(*names: str) -> dict[str, Level]:
    return dict.fromkeys(names, "broken")


FOUND: dict[StreamFault, dict[str, Level]] = {
    "selects the first": broken("v2-handshake"),
    "hello after that of the bridge": broken("v2-handshake"),
    "v2 without being selected": broken("v2-offers"),
    "v2 alone": {"v2-offers": "risk"},
    "token of v1 alone": {"v2-token": "risk"},
    "hello without formats": broken("v2-hello"),
    "second hello": broken("v2-hello"),
    "opened only if fresh": broken("v2-opened", "v2-resume", "v2-delivered", "v2-fence", "v2-supersede"),
    "acks every 2 s": broken("v2-acks"),
    "does not count hello": broken(*READ, *ENDINGS),
    "acks by time alone": {"v2-ack-bytes": "risk"},
    "no size": broken("v2-ack-end", "v2-delivered", "v2-failed"),
    "no idle acks": broken("v2-ack-idle"),
    "upto over a gap": broken("v2-gap", "v2-missing", "v2-resume", "v2-supersede"),
    "stays at a gap": broken("v2-acks", "v2-gap"),
    "ranges of what did not come": broken("v2-missing"),
    "every range": broken("v2-missing"),
    "stores what is damaged": broken("v2-damage"),
    "later bytes win": broken("v2-duplicates"),
    "limit falls": broken("v2-limit"),
    "limit never rises": broken("v2-limit"),
    "one full stream stops all": broken("v2-stalled"),
    "ten streams": broken("v2-sessions"),
    "numbers of all connections": broken("v2-connections", "v2-supersede"),
    "waits for the lower one": broken("v2-order"),
    "calls cut ones complete": broken("v2-order"),
    "forgets at a break": broken("v2-resume"),
    "resumes at what it saw": broken("v2-resume"),
    "forgets what is whole": broken("v2-delivered"),
    "no fence": broken("v2-fence"),
    "late frames count": broken("v2-supersede"),
    "cleared without names": broken("v2-cancel"),
    "cleared of known sessions alone": broken("v2-cancel-unknown"),
    "cleared if something ends": broken("v2-cancel-unknown", "v2-cancel-delivered", "v2-cancelled"),
    "forgets cancels": broken("v2-cancelled"),
    "ASCII ids": broken("v2-ids"),
    "formats less one": broken("v2-formats"),
    "words end": broken("v2-text"),
    "each text is a sentence": broken("v2-text"),
    "the last words alone": broken("v2-text"),
    "words come twice": broken("v2-text"),
    "words of another begin": broken("v2-text"),
    "16 KiB frames": broken("v2-frame"),
    "unknown types": broken("v2-unknown"),
    "unknown keys": broken("v2-unknown"),
    "one end": broken("v2-end-twice"),
    "failed counts as complete": broken("v2-failed"),
    "ignores text frames": broken("v2-text-frame"),
    "ignores bad frames": broken("v2-bad-frame"),
    "ignores unknown streams": broken("v2-unknown-stream"),
    "no limit": broken("v2-beyond-limit"),
    "no size limit": broken("v2-beyond-size"),
    "another size": broken("v2-other-size"),
    "closes without error": dict.fromkeys(ENDINGS, "risk"),
    "stores nothing": broken(*STORED),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that does not come is noticed soon."""
    monkeypatch.setattr(frame_client, "ANSWER_S", 4.0)
    monkeypatch.setattr(frame_client, "HELLO_S", 2.0)


def under_test(receiver: StreamReceiver, *, listed: bool = True) -> ServerUnderTest:
    tls = ClientTls(TlsFiles(ORASERVER))
    return ServerUnderTest(
        receiver.websocket_url, None, tls, token=TOKEN, received_url=f"{receiver.url}/received" if listed else None
    )


async def results_of(receiver: StreamReceiver, *, idle: bool, listed: bool = True) -> list[Result]:
    """What the checks find, if the receiver can be used at all: several at once, for most of them wait."""
    server = under_test(receiver, listed=listed)
    first, *others = STREAMS
    results = [await first.run(server)]
    if results[0].outcome.level == "ok":
        chosen = [check for check in others if idle or check.rule.name != SLOW]
        if receiver.fault == "numbers of all connections":  # it would mix up the checks
            return results + await examine(server, chosen)
        places = asyncio.Semaphore(AT_ONCE)

        async def run(check: Check) -> Result:
            async with places:
                return await check.run(server)

        results += await asyncio.gather(*map(run, chosen))
    return results


def found(results: list[Result]) -> dict[str, Level]:
    levels = {result.rule.name: result.outcome.level for result in results}
    return {name: level for name, level in levels.items() if level not in ("ok", "unseen", "skipped")}


def test_each_fault_has_its_line_and_each_check_a_fault() -> None:
    assert set(FOUND) == set(get_args(StreamFault))
    names = {check.rule.name for check in STREAMS} - {"v2-restart"}  # its faults are in test_stream_restarts.py
    assert {name for expected in FOUND.values() for name in expected} == names


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("crc", [False, True])
async def test_a_receiver_that_keeps_the_rules_passes(in_order: bool, crc: bool) -> None:
    """Also one that drops what leaves a gap, which is allowed."""
    async with stream_receiving(token=TOKEN, in_order=in_order, crc=crc) as receiver:
        results = await results_of(receiver, idle=True)
    assert len(results) == len(STREAMS) and found(results) == {}, results
    levels = {result.rule.name: result.outcome.level for result in results}
    assert levels["v2-damage"] == ("ok" if crc else "skipped")
    assert levels["v2-restart"] == "unseen"


async def test_without_a_listing_what_is_taken_is_not_called_right() -> None:
    async with stream_receiving("stores nothing", token=TOKEN) as receiver:
        results = await results_of(receiver, idle=False, listed=False)
    assert found(results) == dict.fromkeys(STORED, "accepted")


async def test_acks_with_too_low_a_count_of_frames_are_named() -> None:
    async with stream_receiving("does not count hello", token=TOKEN) as receiver:
        results = await results_of(receiver, idle=False)
    happened = {result.rule.name: result.outcome.happened for result in results}
    assert "the highest `seen` is 2, and 3 frames were sent on this connection" in happened["v2-acks"], happened


async def test_without_v2_all_other_checks_are_skipped() -> None:
    async with stream_receiving("selects the first", token=TOKEN) as receiver:
        first, *others = await examine(under_test(receiver), STREAMS)
    assert first.outcome.level == "broken" and "has not selected orastream.v2" in first.outcome.happened
    assert {each.outcome.level for each in others} == {"skipped"}


@pytest.mark.parametrize("fault", FOUND)
async def test_a_planted_fault_is_found_in_the_right_line(fault: StreamFault) -> None:
    async with stream_receiving(fault, token=TOKEN) as receiver:
        results = await results_of(receiver, idle=SLOW in FOUND[fault])
    assert found(results) == FOUND[fault], results
