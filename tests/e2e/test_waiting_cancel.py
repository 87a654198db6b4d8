"""A cancel that waits for what was heard, with real bridges: its result is what the bridges have stored for it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from orastream.client.cancelling import CutSpeech, CutWatch
from orastream.contract.heard import Heard
from orastream.jetstream.api import JetStream
from orastream.jetstream.heard_store import HeardStore
from services.oraserver.faults import Faults
from services.oraserver.v2.terms import StreamTerms
from tests.e2e.test_oraserver_v2 import LONG, SHORT, Node, node
from tests.support.processes import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PLAYS = Faults(real_time=True)
TERMS = {"v2, played": StreamTerms(played=True), "v2": StreamTerms(), "v1": StreamTerms(protocol="v1")}
SENTENCE = LONG[: len(LONG) // 4]
"""About four seconds: after its final report most of it still plays."""
LONG_S = 30.0
SOON_S = 10.0


async def stored_for(js: JetStream, session: str, cancel_seq: int) -> tuple[Heard, ...]:
    """The records of the session that name the cancel, in the order of their requests."""
    found = [state.heard for state in await HeardStore(js).of_session(session)]
    return tuple(sorted((one for one in found if one.cancel_seq == cancel_seq), key=lambda one: one.request_seq))


async def cut(to: Node, session: str, request: str | None = None, timeout_s: float = SOON_S) -> CutSpeech:
    """Cancel and wait; fails if it takes `timeout_s`, because then it may not have waited for what is missing."""
    async with asyncio.timeout(timeout_s):
        return await CutWatch(to.client.reads, session, request, timeout_s=LONG_S).run()


@pytest.mark.parametrize("terms", TERMS)
async def test_the_result_is_what_the_bridges_store_for_the_cancel(js: JetStream, tmp_path: Path, terms: str) -> None:
    """At random moments: before the first audio, while it plays, when it is over; with others that wait."""
    rng = random.Random(5)
    async with node(js, tmp_path, terms=TERMS[terms], faults=PLAYS) as to:
        found: list[tuple[str, CutSpeech]] = []

        async def talk(session: str) -> None:
            for number in range(4):
                for part in range(rng.randint(1, 3)):
                    await to.client.say(SHORT, session_id=session, phone_id="p", request_id=f"r{number}.{part}")
                await asyncio.sleep(rng.uniform(0, 2.5))
                found.append((session, await cut(to, session)))

        await asyncio.gather(*(talk(f"s{number}") for number in range(6)))
        for session, speech in found:
            assert all(one.done and one.cancel_seq == speech.cancel_seq for one in speech.heard), speech
            assert speech.heard == await stored_for(js, session, speech.cancel_seq)
        assert sum(len(speech.heard) for _, speech in found) > 10


async def test_it_plays_and_two_wait(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, terms=TERMS["v2, played"], faults=PLAYS, tts_engine_rtf=0.5) as to:
        await to.begin("s", "r0", LONG)
        for request in ("r1", "r2"):
            await to.client.say(SHORT, session_id="s", phone_id="p", request_id=request)
        async with asyncio.timeout(SOON_S):
            heard = await to.client.cancel("s", wait=True, timeout_s=LONG_S)
        assert [one.request_id for one in heard] == ["r0", "r1", "r2"]
        assert [(one.played_ms, one.heard_text, one.unheard_text) for one in heard[1:]] == [(0, "", SHORT)] * 2
        assert (await cut(to, "s")).heard == ()


async def test_what_is_delivered_and_still_plays(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, terms=TERMS["v2, played"], faults=PLAYS) as to:
        assert (await to.say("s", "r", SENTENCE)).status == "delivered"
        (heard,) = (await cut(to, "s")).heard
        assert heard.unheard_text and (await to.got("s", "r")).state == "cancelled"
        assert heard == await to.client.heard("s", "r")


@pytest.mark.parametrize("terms", TERMS)
async def test_what_is_superseded_while_it_plays(js: JetStream, tmp_path: Path, terms: str) -> None:
    """All of it was delivered, and a part was played when the next request has ended it."""
    async with node(js, tmp_path, terms=TERMS[terms], faults=PLAYS) as to:
        assert (await to.say("s", "r", SENTENCE)).status == "delivered"
        new = await to.client.say(SHORT, session_id="s", phone_id="p", supersede=True)

        async def record() -> Heard | None:
            found = await to.client.heard("s", "r")
            return found if found is not None and found.done else None

        async def known() -> bool:
            return await record() is not None

        await until(known, "what was heard is known")
        heard = await record()
        assert heard is not None and heard.cancel_seq == new.request_seq and heard.unheard_text, heard


async def test_only_the_named_request(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, terms=TERMS["v2, played"], faults=PLAYS, tts_engine_rtf=0.5) as to:
        await to.begin("s", "r0", LONG)
        await to.client.say(SHORT, session_id="s", phone_id="p", request_id="r1")
        (heard,) = (await cut(to, "s", "r1")).heard
        assert (heard.request_id, heard.played_ms) == ("r1", 0)
        assert (await cut(to, "s", "never")).heard == ()


@pytest.mark.parametrize("transport", ["http", "none"])
async def test_a_file_has_no_time_that_was_heard(js: JetStream, tmp_path: Path, transport: str) -> None:
    async with node(js, tmp_path, tts_engine_rtf=0.9) as to:
        await to.client.say(LONG, session_id="s", phone_id="p", request_id="r", transport=transport)  # type: ignore[arg-type]

        async def claimed() -> bool:
            report = await to.client.report("s", "r")
            return report is not None and report.status != "queued"

        await until(claimed, "a synth has it")
        heard = (await cut(to, "s")).heard
        assert all(one.done and one.heard_by == "unknown" and one.cancel_seq is None for one in heard)
        assert (await to.final("s", "r")).status == "cancelled"
