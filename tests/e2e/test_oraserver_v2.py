"""The node delivers over protocol v2 to the reference OraServer, which checks every rule of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosedError

from orastream.client.async_client import Client
from orastream.contract.audio import PcmSpec, seconds_of
from orastream.contract.audio_messages import AudioChunk
from orastream.contract.errors import UtteranceEnded
from orastream.contract.messages import Report
from orastream.contract.oraserver.from_bridge import CancelUtterances, unpack_from_bridge
from orastream.contract.oraserver.from_server import StreamAck
from orastream.jetstream.api import JetStream
from services.oraserver.app import OraServer, serve
from services.oraserver.faults import Faults
from services.oraserver.listing import Listing, ReceivedStream
from services.oraserver.v2.terms import StreamTerms
from tests.support.inprocess import running_node
from tests.support.processes import free_port, until
from tests.support.scenes import reference
from tests.support.small_oraserver import Arrived, SmallOraServer
from tests.support.speech import sha256

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

LONG = "이 문장은 끝까지 들으면 몇 초가 걸리는 긴 문장입니다. " * 4
SHORT = "네, 알겠습니다."
WAIT_S = 60.0


@dataclass
class Node:
    """A node in this process, with one reference OraServer."""

    client: Client
    oraserver: OraServer

    async def say(self, session: str, request: str, text: str = SHORT, **options: Any) -> Report:
        """Speak the text, and return the final report."""
        options = {"fire_and_forget": False, "wait_s": WAIT_S, **options}
        report = await self.client.say(
            text, session_id=session, phone_id=f"phone of {session}", request_id=request, **options
        )
        assert isinstance(report, Report)
        return report

    async def begin(self, session: str, request: str, text: str = LONG) -> None:
        """Have the text spoken, and return when OraServer has some of its audio."""
        await self.client.say(text, session_id=session, phone_id="p", request_id=request, fire_and_forget=True)

        async def begun() -> bool:
            return any(one.request_id == request and one.bytes for one in (await self.listing(session)).utterances)

        await until(begun, f"{request} has begun", timeout_s=WAIT_S)

    async def final(self, session: str, request: str) -> Report:
        return await self.client.wait(session, request, WAIT_S)

    async def listing(self, session: str | None = None) -> Listing:
        """What OraServer has received. Asserts that no rule was broken."""
        listing = await self.oraserver.received(session)
        assert listing.violations == 0, [one for one in listing.utterances if one.violations] or listing
        return listing

    async def got(self, session: str, request: str) -> ReceivedStream:
        """What it has of the request."""
        (found,) = (one for one in (await self.listing(session)).utterances if one.request_id == request)
        assert isinstance(found, ReceivedStream)
        return found


@asynccontextmanager
async def node(
    js: JetStream, folder: Path, *, terms: StreamTerms | None = None, faults: Faults | None = None, **settings: Any
) -> AsyncIterator[Node]:
    async with serve(OraServer(folder / "oraserver", terms=terms, faults=faults)) as oraserver:
        async with running_node(js.broker.url, oraserver.url, oraserver_protocol="auto", **settings):
            yield Node(Client(js.broker), oraserver)


async def test_many_sessions_share_four_connections(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path) as to:
        reports = await asyncio.gather(*(to.say(f"s{i}", f"r{i}") for i in range(20)))
        assert {report.status for report in reports} == {"delivered"}
        expected = sha256(await reference(SHORT))
        listing = await to.listing()
        assert listing.connections.total <= 4
        assert [one.sha256 for one in listing.utterances] == [expected] * 20
        assert all(isinstance(one, ReceivedStream) and one.complete and one.opens == 1 for one in listing.utterances)


async def test_the_utterances_of_a_session_and_their_sentences_come_in_order(js: JetStream, tmp_path: Path) -> None:
    text = "안녕하세요. 반갑습니다! 오늘은 어떤 도움이 필요하세요?"
    async with node(js, tmp_path) as to:
        await asyncio.gather(*(to.say("s", f"r{i}", text) for i in range(5)))
        utterances = (await to.listing("s")).utterances
        assert [one.request_id for one in utterances] == [f"r{i}" for i in range(5)]
        for one in utterances:
            assert isinstance(one, ReceivedStream)
            assert [text[s.from_ : s.to] for s in one.sentences] == one.texts
            assert one.texts == ["안녕하세요.", "반갑습니다!", "오늘은 어떤 도움이 필요하세요?"]
            assert one.sentences[0].ms < one.sentences[1].ms < one.sentences[2].ms


async def spoken_words(client: Client, session: str, report: Report) -> list[tuple[int, ...]]:
    """The words of a request's audio as a reader of NATS gets them: sentence, first, length, begin, end."""
    audio = client.audio(session, report.request_id, report.request_seq)
    chunks = [message async for message in audio if isinstance(message, AudioChunk)]
    return [(w.sentence, w.first, w.end - w.first, w.begin_ms, w.end_ms) for chunk in chunks for w in chunk.words]


@pytest.mark.parametrize(
    "faults", [None, Faults(close_connection=0.05, lose_acks=0.3, seed=5)], ids=["whole", "breaks"]
)
@pytest.mark.parametrize("audio_format", ["wav", "opus"])
async def test_the_words_of_each_sentence_come_once_and_in_order(
    js: JetStream, tmp_path: Path, faults: Faults | None, audio_format: str
) -> None:
    text = "네. 2025년 3월 15일에는 회원 1,204명이 서울역에 모였습니다. 전화는 02-123-4567입니다. Thank you! " * 2
    async with node(js, tmp_path, faults=faults, websocket_max_retries=50) as to:
        reports = await asyncio.gather(*(to.say(f"s{i}", f"r{i}", text, format=audio_format) for i in range(4)))
        assert {report.status for report in reports} == {"delivered"}
        assert (sum(report.reconnects for report in reports) > 0) == (faults is not None)
        for i, report in enumerate(reports):
            got = await to.got(f"s{i}", f"r{i}")
            words = [(s.n, *word) for s in got.sentences for word in s.words or ()]
            assert words == await spoken_words(to.client, f"s{i}", report)
        places = [(first, first + length) for _, first, length, _, _ in words]
        said = [text[first:end] for first, end in places]
        assert "2025년" in said and "15일에는" in said and said[-1].endswith("you"), said
        assert all(s.words for s in got.sentences) and len(got.sentences) == 8
        covered = {at for place in places for at in range(*place)}
        assert {at for at, letter in enumerate(text) if letter.isalnum()} <= covered


async def test_a_cancel_drops_what_is_not_played_and_the_next_utterance_follows(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, tts_engine_rtf=0.5) as to:
        await to.begin("s", "cut")
        await to.client.cancel("s")
        report = await to.final("s", "cut")
        assert report.status == "cancelled"
        assert (await to.say("s", "next")).status == "delivered"
        cut = await to.got("s", "cut")
        seconds = seconds_of("wav", PcmSpec(22_050), cut.bytes)
        assert seconds is not None and report.sent_seconds >= round(seconds, 3) > 0
        assert cut.state == "cancelled" and not cut.complete
        assert (await to.got("s", "next")).complete and (await to.listing("s")).connections.total == 1


async def test_a_cancel_reaches_what_is_delivered_and_plays_also_from_a_new_bridge(
    js: JetStream, tmp_path: Path
) -> None:
    async with serve(OraServer(tmp_path / "oraserver", faults=Faults(real_time=True))) as oraserver:
        async with running_node(js.broker.url, oraserver.url, oraserver_protocol="auto"):
            to = Node(Client(js.broker), oraserver)
            assert (await to.say("s", "played", LONG)).status == "delivered"
        async with running_node(js.broker.url, oraserver.url, ("ws_bridge", "http_bridge"), oraserver_protocol="auto"):
            await to.client.cancel("s")

            async def dropped() -> bool:
                return (await to.got("s", "played")).state == "cancelled"

            await until(dropped, "the utterance is dropped", timeout_s=WAIT_S)
            assert (await to.final("s", "played")).status == "delivered"

            async def applied() -> bool:
                return not await js.read(js.names.sessions_stream, js.names.session_cancel("s"), 0)

            await until(applied, "the cancel is deleted when OraServer has answered", timeout_s=WAIT_S)


async def test_supersede_is_a_cancel_over_the_connection(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, tts_engine_rtf=0.5) as to:
        await to.begin("s", "old")
        assert (await to.say("s", "new", supersede=True)).status == "delivered"
        assert (await to.final("s", "old")).status == "cancelled"
        assert (await to.got("s", "old")).state == "cancelled" and (await to.got("s", "new")).complete


async def test_breaks_at_any_moment_lose_and_repeat_nothing(js: JetStream, tmp_path: Path) -> None:
    """Of 100 frames three end their connection, which carries several utterances. A third of the acks is lost."""
    faults = Faults(close_connection=0.03, lose_acks=0.3, seed=7)
    async with node(js, tmp_path, faults=faults, websocket_max_retries=50) as to:
        reports = await asyncio.gather(*(to.say(f"s{i}", f"r{i}", LONG) for i in range(8)))
        assert {report.status for report in reports} == {"delivered"}
        assert sum(report.reconnects for report in reports) > 0
        expected = sha256(await reference(LONG))
        for i in range(8):
            got = await to.got(f"s{i}", f"r{i}")
            assert got.sha256 == expected and got.given == got.bytes == got.size


class ForgettingOraServer(SmallOraServer):
    """Forgets once, when it has confirmed much of an utterance, and breaks the connection."""

    def __init__(self, kept: int) -> None:
        super().__init__(["wav"])
        self._kept: int | None = kept

    def _ack(self, stream: int, said: Any, seen: int, size: int | None = None) -> StreamAck:
        if self._kept is not None and len(said.audio) > 300_000:
            del said.audio[self._kept :]
            self._kept = None
            raise ConnectionClosedError(None, None)
        return super()._ack(stream, said, seen, size)


@pytest.mark.parametrize("kept", [0, 10_000])
async def test_confirmed_bytes_that_oraserver_has_forgotten_are_sent_again(
    js: JetStream, tmp_path: Path, kept: int
) -> None:
    """The audio is read again from its beginning while the link is open."""
    oraserver = ForgettingOraServer(kept)
    async with oraserver.running(), running_node(js.broker.url, oraserver.url, oraserver_protocol="auto"):
        report = await Node(Client(js.broker), OraServer(tmp_path)).say("s", "r", LONG * 2)
        assert report.status == "delivered", report
        assert report.bytes == len(oraserver.arrived["r"].audio)


async def test_what_oraserver_has_forgotten_is_sent_again(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, faults=Faults(forget_after_bytes=200_000, close_connection=0.0)) as to:
        report = await to.say("s", "r", LONG)
        assert report.status == "delivered" and report.retransmitted > 0


async def test_the_report_counts_what_oraserver_has_skipped(js: JetStream, tmp_path: Path) -> None:
    """Its phone plays on over frames that were lost and came again too late."""
    faults = Faults(real_time=True, skip_gaps=True, drop_audio=0.5, ack_delay_ms=700, seed=3)
    async with node(js, tmp_path, faults=faults) as to:
        report = await to.say("s", "r", "오늘은 날씨가 아주 맑습니다. 어제는 비가 왔지만 지금은 하늘이 파랗습니다.")
        got = await to.got("s", "r")
        assert report.status == "delivered" and report.skipped_bytes == got.skipped > 0


class TimedOraServer(SmallOraServer):
    """Keeps the connections, and when the first audio came."""

    def __init__(self) -> None:
        super().__init__(["wav"])
        self.open: list[ServerConnection] = []
        self.first_at = 0.0

    async def _connected(self, connection: ServerConnection) -> None:
        self.open.append(connection)
        await super()._connected(connection)

    def _ack(self, stream: int, said: Arrived, seen: int, size: int | None = None) -> StreamAck:
        self.first_at = self.first_at or time.monotonic()
        return super()._ack(stream, said, seen, size)

    def lead_s(self, request: str) -> float:
        """How much more has arrived than could be played since the first audio."""
        said = self.arrived[request]
        assert said.rate_hz is not None
        return len(said.audio) / (2 * said.rate_hz) - (time.monotonic() - self.first_at)


async def test_after_breaks_the_bridge_is_no_further_ahead_of_the_listener(js: JetStream, tmp_path: Path) -> None:
    """The listener of the session keeps its audio, whatever becomes of its connections."""
    oraserver = TimedOraServer()
    async with (
        oraserver.running(),
        running_node(js.broker.url, oraserver.url, oraserver_protocol="auto", delivery_lead_seconds=2.0),
    ):
        client = Client(js.broker)
        await client.say(LONG * 3, session_id="s", phone_id="p", request_id="r", fire_and_forget=True)

        async def ahead() -> bool:
            return "r" in oraserver.arrived and oraserver.lead_s("r") > 1.0

        for breaks in range(1, 4):
            await until(ahead, "OraServer has the lead", timeout_s=WAIT_S)
            oraserver.open[-1].transport.abort()

            async def again(opens: int = breaks + 1) -> bool:
                return len(oraserver.open) >= opens

            await until(again, "the bridge connects again", timeout_s=WAIT_S)
            await asyncio.sleep(0.5)
            assert oraserver.lead_s("r") < 3.0
        await client.cancel("s")


async def test_a_session_that_began_with_v1_announces_its_cancels_after_oraserver_has_changed(
    js: JetStream,
) -> None:
    """OraServer is replaced by one that speaks v2 while an utterance is spoken."""
    old, new, client = SmallOraServer(()), SmallOraServer(["wav"]), Client(js.broker)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with running_node(js.broker.url, url, oraserver_protocol="auto", tts_engine_rtf=1.0):
        async with old.running(port):
            said = await client.say(SHORT, session_id="other", phone_id="o", request_id="first", fire_and_forget=False)
            assert isinstance(said, Report) and said.status == "delivered", "the bridge knows that it speaks v1"
            await client.say(LONG, session_id="s", phone_id="p", request_id="r", fire_and_forget=True)

            async def begun() -> bool:
                return "r" in old.arrived

            await until(begun, "the utterance has begun over v1", timeout_s=WAIT_S)
        asked = asyncio.Event()

        async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()
            asked.set()

        async with await asyncio.start_server(refuse, "127.0.0.1", port), asyncio.timeout(WAIT_S):
            await asked.wait()  # the bridge has seen that its OraServer is away
        async with new.running(port):

            async def goes_on() -> bool:
                return "r" in new.arrived and new.arrived["r"].protocol == "v2" and bool(new.arrived["r"].audio)

            await until(goes_on, "the utterance goes on over v2", timeout_s=WAIT_S)
            await client.cancel("s")

            async def announced() -> bool:
                return any(isinstance(unpack_from_bridge(frame), CancelUtterances) for frame in new.frames)

            await until(announced, "OraServer has the cancel", timeout_s=WAIT_S)


async def test_a_refused_utterance_fails_at_once(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, terms=StreamTerms(formats=("opus",))) as to:
        report = await to.say("s", "r")
        assert report.error is not None and report.error.code == "oraserver_refused"
        assert "wav" in report.error.message and report.reconnects <= 1


async def test_a_busy_oraserver_is_asked_again(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, faults=Faults(open_error="busy", open_errors=2)) as to:
        report = await to.say("s", "r")
        assert report.status == "delivered" and report.reconnects == 0


async def test_a_stalled_phone_stops_no_other(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, faults=Faults(stall_phone="p"), oraserver_connections=1) as to:
        await to.begin("stalled", "stalled")
        assert (await to.say("other", "r", LONG)).status == "delivered"
        await to.client.cancel("stalled")
        assert (await to.final("stalled", "stalled")).status == "cancelled"


async def test_v1_and_v2_in_one_node(js: JetStream, tmp_path: Path) -> None:
    """Two ws_bridges, each with an OraServer of its own."""
    async with (
        serve(OraServer(tmp_path / "v1", terms=StreamTerms(protocol="v1"))) as old,
        serve(OraServer(tmp_path / "v2")) as new,
        running_node(js.broker.url, old.url, oraserver_protocol="auto"),
        running_node(js.broker.url, new.url, ("ws_bridge",), oraserver_protocol="auto"),
    ):
        to = Node(Client(js.broker), new)
        reports = await asyncio.gather(*(to.say(f"s{i}", f"r{i}") for i in range(24)))
        assert {report.status for report in reports} == {"delivered"}
        listings = [await old.received(), await new.received()]
        assert [listing.violations for listing in listings] == [0, 0]
        files = [[one.sha256 for one in listing.utterances if one.complete] for listing in listings]
        assert len(files[0]) + len(files[1]) == 24 and files[0] and files[1]
        assert {*files[1]} == {sha256(await reference(SHORT))}


async def test_oraserver_learns_nothing_of_an_utterance_without_audio(js: JetStream, tmp_path: Path) -> None:
    """Neither an `open` nor an end: also while its text is written, after another one, and as a plain text."""
    async with node(js, tmp_path) as to:
        assert (await to.say("s", "before")).status == "delivered"
        async with to.client.utterance(session_id="s", phone_id="phone of s", request_id="silent") as u:
            await to.client.say(SHORT, session_id="s", phone_id="phone of s", request_id="after")
            for piece in ("<thi", "nk>음. 어떻게", None, " 하지?</think>", "<tool_call>{}</tool_call>"):
                await u.write(piece)
                await asyncio.sleep(0.05)
            assert [one.request_id for one in (await to.listing("s")).utterances] == ["before"]
        report = await u.wait(WAIT_S)
        assert (report.status, report.total_chunks, report.sent_seconds) == ("delivered", 0, 0.0)
        assert (await to.final("s", "after")).status == "delivered"
        plain = await to.say("s", "plain", "<think>안녕하세요.</think>")
        assert (plain.status, plain.total_chunks) == ("delivered", 0)
        assert [one.request_id for one in (await to.listing("s")).utterances] == ["before", "after"]
        assert await to.client.heard("s", "silent") is None
        with contextlib.suppress(UtteranceEnded):
            async with to.client.utterance(session_id="s", phone_id="phone of s", request_id="cut") as cut:
                await cut.write("<think>음.")
                cancelled = await to.client.cancel("s", wait=True)
        assert (await cut.wait(WAIT_S)).status == "cancelled"
        assert [one.request_id for one in cancelled if one.request_id == "cut"] == ["cut"]
        assert [one.request_id for one in (await to.listing("s")).utterances] == ["before", "after"]


async def test_a_text_stream_with_audio_is_fresh_although_it_is_opened_late(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path) as to:
        async with to.client.utterance(session_id="s", phone_id="p", request_id="r") as u:
            await u.write("<think>음.</think>네, 알겠습니다. 그럼")
            await u.write(" 시작합니다.")
        assert (await u.wait(WAIT_S)).status == "delivered"
        got = await to.got("s", "r")
        assert got.complete and got.opens == 1 and got.texts == ["네, 알겠습니다.", "그럼 시작합니다."]
