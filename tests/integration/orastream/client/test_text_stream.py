"""A streamed text through a real nats-server: the pieces the writer stores, and the lines synth reads from them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from orastream import BlockingClient, Client, InvalidRequest, UtteranceEnded
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioWaiting, unpack
from orastream.contract.errors import NodeUnavailable, StreamFull
from orastream.contract.messages import Cancel
from orastream.contract.text_pieces import STALLED, TextPiece
from orastream.jetstream import topology
from orastream.jetstream.api import JetStream
from services.synth.job.attempt import Attempt
from services.synth.job.audio_reader import AudioReader
from services.synth.settings import SynthSettings
from services.synth.text.streamed_text import StreamedText
from tests.support.ending import end, stored_request
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = pytest.mark.integration

IDS = {"session_id": "s 1", "phone_id": "p1"}
SESSION = subjects.token("s 1")


async def stored(js: JetStream, stream: str, subject: str) -> list[bytes]:
    """All messages of a subject, in the order of the stream."""
    after, found = 0, []
    while (message := await js.after(stream, subject, after)) is not None:
        after = message.sequence
        found.append(message.data)
    return found


async def pieces(js: JetStream, request_id: str) -> list[TextPiece | None]:
    found = await stored(js, NAMES.texts_stream, NAMES.script(SESSION, request_id))
    return [TextPiece.decode(data) for data in found]


async def cancels(js: JetStream) -> list[Cancel]:
    return [Cancel.decode(data) for data in await stored(js, NAMES.sessions_stream, NAMES.session_cancel(SESSION))]


# ---- the writer


async def test_utterance_stores_the_request_and_its_pieces(js: JetStream, client: Client) -> None:
    async with client.utterance(**IDS, text="So ", request_id="r", idleSeconds=5, voice="ko") as u:
        for token in ("안녕", "", "하세요. "):
            await u.write(token)
        request = (await stored_request(js, "s 1")).request
        assert request is not None and request.text_stream and (request.text, request.voice) == ("So ", "ko")
        assert request.idle_seconds == 5 and request.fire_and_forget is True and not u.waits
        report = await u.report()
        assert report is not None and report.status == "queued"
    with pytest.raises(RuntimeError, match="the text is complete"):
        await u.write("더")
    assert await pieces(js, "r") == [
        TextPiece(0, "안녕"),
        TextPiece(1, ""),
        TextPiece(2, "하세요. "),
        TextPiece(3, end=True),
    ]
    assert await cancels(js) == []


async def test_utterance_stores_hundreds_of_tokens(js: JetStream, client: Client) -> None:
    tokens = [f"{number} " for number in range(300)]
    async with client.utterance(**IDS) as u:
        for token in tokens:
            await u.write(token)
    found = [piece for piece in await pieces(js, u.request_id) if piece is not None]
    assert [piece.text for piece in sorted(found, key=lambda piece: piece.index)] == [*tokens, ""]


async def test_write_refuses_a_piece_that_makes_the_text_too_long(js: JetStream) -> None:
    client = Client(js.broker, max_text_chars=10)
    with pytest.raises(InvalidRequest, match=r"^text: .*11 characters|^text: has 11"):
        async with client.utterance(**IDS, text="a" * 11):
            pass
    async with client.utterance(**IDS, text="aa", request_id="r") as u:
        await u.write("b" * 8)
        with pytest.raises(InvalidRequest, match="^text: would have more than 10"):
            await u.write("c")
    assert await pieces(js, "r") == [TextPiece(0, "b" * 8), TextPiece(1, end=True)]


async def test_utterance_cancels_its_request_when_the_block_raises(js: JetStream, client: Client) -> None:
    with pytest.raises(ZeroDivisionError):
        async with client.utterance(**IDS, request_id="r") as u:
            await u.write("One. ")
            raise ZeroDivisionError
    assert await cancels(js) == [Cancel("r")]
    assert [piece and piece.end for piece in await pieces(js, "r")] == [False]


async def test_a_caller_may_go_on_after_a_piece_that_is_no_text(js: JetStream, client: Client) -> None:
    async with client.utterance(**IDS, request_id="r") as u:
        for token in ("안녕", 7, b"!", "하세요."):
            try:
                await u.write(token)  # type: ignore[arg-type]
            except TypeError as exc:
                assert str(exc).startswith("write: text must be str or None, got ")
                assert not isinstance(token, str)
    assert [piece and piece.text for piece in await pieces(js, "r")] == ["안녕", "하세요.", ""]
    assert await cancels(js) == []


async def test_a_token_that_is_no_str_cancels_the_utterance_of_a_blocking_client(
    js: JetStream, nats_server: NatsServer
) -> None:
    with BlockingClient(nats_server.url) as blocking:
        with pytest.raises(TypeError, match="^write: text must be str or None, got int; "):
            await asyncio.to_thread(
                lambda: blocking.utterance(["안녕", 7], **IDS, request_id="r")  # type: ignore[list-item]
            )
        await asyncio.to_thread(blocking.close)
    assert await cancels(js) == [Cancel("r")]


async def test_a_blocking_client_takes_tokens_that_are_none(js: JetStream, nats_server: NatsServer) -> None:
    with BlockingClient(nats_server.url) as blocking:
        await asyncio.to_thread(lambda: blocking.utterance(["안녕", None, "."], **IDS, request_id="r"))
        await asyncio.to_thread(blocking.close)
    assert [piece and piece.text for piece in await pieces(js, "r")] == ["안녕", "", ".", ""]
    assert await cancels(js) == []


async def test_utterance_cancels_its_request_when_its_task_is_cancelled(js: JetStream, client: Client) -> None:
    begun = asyncio.Event()

    async def write() -> None:
        async with client.utterance(**IDS, request_id="r") as u:
            await u.write("One. ")
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await cancels(js) == [Cancel("r")]


async def test_write_leaves_the_block_after_a_final_report(js: JetStream, client: Client) -> None:
    """`write` leaves the block, nothing is cancelled, and `wait` after the block returns the outcome."""
    async with client.utterance(**IDS, request_id="r") as u:
        await u.write("One. ")
        await end(js, await stored_request(js, "s 1"), "cancelled")
        while True:
            await u.write("more ")
            await asyncio.sleep(0.01)
    assert (await u.wait(0.1)).status == "cancelled" == (await u.report()).status  # type: ignore[union-attr]
    assert await cancels(js) == []
    with pytest.raises(UtteranceEnded) as ended:
        await u.write("more")
    assert (ended.value.session_id, ended.value.request_id, ended.value.status) == ("s 1", "r", "cancelled")


async def test_utterance_raises_nothing_when_the_final_report_comes_after_the_last_token(
    js: JetStream, client: Client
) -> None:
    async with client.utterance(**IDS, request_id="r") as u:
        await u.write("One. ")
        await end(js, await stored_request(js, "s 1"), "delivered")
    assert (await u.wait(5)).status == "delivered"


async def test_stream_limits_the_messages_of_a_text(js: JetStream) -> None:
    """The stream refuses further pieces of the text, but accepts pieces of other texts."""
    config = next(c for c in topology.stream_configs(NAMES, topology.StreamLimits()) if c["name"] == NAMES.texts_stream)
    await topology.ensure_stream(js, config | {"max_msgs_per_subject": 2}, change=True)
    for index in range(2):
        await js.store(NAMES.text("s", "r"), TextPiece(index, "a").encode())
    with pytest.raises(StreamFull):
        await js.store(NAMES.text("s", "r"), TextPiece(2, "a").encode())
    await js.store(NAMES.text("s", "other"), TextPiece(0, "a").encode())


# ---- synth's reader


class Listener:
    """Reads a StreamedText to its end."""

    def __init__(self, js: JetStream, request_id: str, **settings: object) -> None:
        self._js, self._request_id = js, request_id
        self._settings = SynthSettings.model_validate({"synth_stall_seconds": 1.0, **settings})
        self.lines: list[str] = []
        self.waited: list[bool] = []
        self.streamed_text: StreamedText | None = None

    async def run(self) -> StreamedText:
        request = await stored_request(self._js, "s 1", self._request_id)
        attempt = Attempt(self._js, request, AudioReader(self._js, request), 7, 600.0)
        async with StreamedText(
            self._js, request, attempt.show_waiting, self._settings, self.waited.append
        ) as self.streamed_text:
            async with aclosing(self.streamed_text.lines()) as lines:
                async for line in lines:
                    self.lines.append(line.text)
        return self.streamed_text


async def begin(js: JetStream, client: Client, **options: object) -> Listener:
    fields = {"sessionId": "s 1", "phoneId": "p", "requestId": "r", "textStream": True, **options}
    await client.submit(fields)
    return Listener(js, "r")


async def put(js: JetStream, *texts: str, first: int = 0, end: bool = False) -> None:
    for index, text in enumerate(texts, first):
        piece = TextPiece(index, text, end and index == first + len(texts) - 1)
        await js.store(NAMES.text(SESSION, "r"), piece.encode())


async def test_line_is_yielded_when_its_end_is_certain(js: JetStream, client: Client) -> None:
    listener = await begin(js, client, text="하나, ")
    running = asyncio.create_task(listener.run())

    async def until_lines(*lines: str) -> None:
        async def so_far() -> bool:
            return listener.lines == list(lines)

        await until(so_far, f"the lines {lines}")

    await put(js, "둘. 셋")
    await until_lines("하나, 둘.")
    await put(js, "! ", "넷", first=1)
    await until_lines("하나, 둘.", "셋!")
    await put(js, "", first=3, end=True)
    streamed_text = await running
    assert listener.lines == ["하나, 둘.", "셋!", "넷"] == streamed_text.said
    assert streamed_text.text == "하나, 둘. 셋! 넷" and streamed_text.problem is None
    assert listener.waited[:2] == [True, False] and listener.waited[-1] is False


async def test_reader_does_not_wait_when_the_text_is_already_stored(js: JetStream, client: Client) -> None:
    """As for a second synth after the first one died: the reader waits only for the first read."""
    listener = await begin(js, client)
    await put(js, *(f"Here is number {number} again. " for number in range(100)), end=True)
    await listener.run()
    assert listener.lines == [f"Here is number {number} again." for number in range(100)]
    assert len(listener.waited) <= 20


async def test_text_is_stalled_for_every_reader_after_the_idle_timeout(js: JetStream, client: Client) -> None:
    """The `stalled` mark is stored in the stream: pieces after it are ignored, also by later readers."""
    first = await begin(js, client, idleSeconds=1)
    await put(js, "One. Two", first=0)
    streamed_text = await first.run()
    assert first.lines == ["One.", "Two"]
    assert streamed_text.problem is not None and streamed_text.problem.code == "text_stalled"
    assert (await pieces(js, "r"))[-1] is None
    await put(js, " three. Four.", first=1, end=True)
    again = Listener(js, "r")
    other = await again.run()
    assert (again.lines, other.problem, other.text) == (first.lines, streamed_text.problem, streamed_text.text)


async def test_text_is_not_stalled_while_pieces_arrive_in_time(js: JetStream, client: Client) -> None:
    """Each piece comes within idleSeconds, but no sentence ends for longer. Readers of the audio get `waiting`."""
    listener = await begin(js, client, idleSeconds=2)
    running = asyncio.create_task(listener.run())
    for index in range(8):
        await put(js, f"word{index} ", first=index)
        await asyncio.sleep(0.5)
    assert not running.done()
    await put(js, "end.", first=8, end=True)
    streamed_text = await running
    assert streamed_text.problem is None and len(listener.lines) == 1
    signs = await stored(js, NAMES.audio_stream, NAMES.audio(SESSION, "r"))
    assert len(signs) >= 4 and {unpack(sign) for sign in signs} == {AudioWaiting(7)}


async def test_an_llm_that_thinks_for_long_is_not_idle_and_readers_learn_that_synth_waits(
    js: JetStream, client: Client
) -> None:
    """Pieces of what is skipped restart the idle timeout, and `waiting` messages come while nothing is spoken."""
    listener = await begin(js, client, idleSeconds=1)
    running = asyncio.create_task(listener.run())
    await put(js, "<think>")
    for index in range(1, 60):
        await put(js, "음. ", first=index)
        await asyncio.sleep(0.04)
    assert listener.lines == []
    signs = await stored(js, NAMES.audio_stream, NAMES.audio(SESSION, "r"))
    assert len(signs) >= 6 and {unpack(sign) for sign in signs} == {AudioWaiting(7)}, "one for each 0.25 s"
    await put(js, "</think>", "네.", first=60, end=True)
    assert (await running).problem is None and listener.lines == ["네."]


async def test_a_setting_changes_what_is_skipped(js: JetStream, client: Client) -> None:
    await begin(js, client, text="<plan>하나.</plan> <think>둘.</think> 셋.")
    await put(js, "", end=True)
    for value, spoken in (("plan", ("둘", "셋")), ("off", ("하나", "둘", "셋")), ("plan,think", ("셋",))):
        listener = Listener(js, "r", tts_skip_tags=value)
        await listener.run()
        text = " ".join(listener.lines)
        assert tuple(word for word in ("하나", "둘", "셋") if word in text) == spoken


async def test_stalled_mark_has_no_effect_when_a_piece_was_stored_first(js: JetStream, client: Client) -> None:
    listener = await begin(js, client, idleSeconds=1)
    running = asyncio.create_task(listener.run())

    async def waits() -> bool:
        return listener.waited[-1:] == [True]

    await until(waits, "the reader waits for text")
    await asyncio.sleep(0.9)  # the mark or the piece may be first
    await put(js, "One. ", "Two.", end=True)
    streamed_text = await running
    assert listener.lines in (["One.", "Two."], [])
    assert (streamed_text.problem is None) == bool(listener.lines)
    assert (await pieces(js, "r")).count(None) == (0 if listener.lines else 1)


async def test_text_ends_as_stalled_when_the_stream_refuses_the_mark(js: JetStream, client: Client) -> None:
    listener = await begin(js, client, idleSeconds=1)
    config = next(c for c in topology.stream_configs(NAMES, topology.StreamLimits()) if c["name"] == NAMES.texts_stream)
    await topology.ensure_stream(js, config | {"max_msgs_per_subject": 2}, change=True)
    await put(js, "One. ", "Two")
    streamed_text = await listener.run()
    assert listener.lines == ["One.", "Two"]
    assert streamed_text.problem is not None and streamed_text.problem.code == "text_stalled"


async def test_text_ends_when_the_stream_was_purged(js: JetStream, client: Client) -> None:
    """A bridge has ended the request, and the writer has stopped, so no end of the text will come."""
    listener = await begin(js, client, idleSeconds=1)
    running = asyncio.create_task(listener.run())
    await put(js, "One. ", "Two")

    async def received() -> bool:
        return listener.streamed_text is not None and listener.streamed_text.text == "One. Two"

    await until(received, "the reader has received the text")
    await end(js, await stored_request(js, "s 1"), "failed")
    assert await pieces(js, "r") == []
    streamed_text = await asyncio.wait_for(running, 20)
    assert streamed_text.problem is not None


async def test_reader_ignores_messages_that_the_stream_has_not_stored(js: JetStream, client: Client) -> None:
    """Only pieces that the stream has stored and republished count."""
    listener = await begin(js, client, idleSeconds=1)
    running = asyncio.create_task(listener.run())
    await js.broker.publish(NAMES.script(SESSION, "r"), TextPiece(0, "Not this.", True).encode())
    await put(js, "This. ", end=True)
    await running
    assert listener.lines == ["This."]


async def test_stalled_mark_has_its_documented_wire_form() -> None:
    assert STALLED == b'{"stalled":true}'


async def test_pieces_as_llms_emit_them(js: JetStream, client: Client) -> None:
    """None counts as an empty piece, and halves of a character are joined over pieces, from the beginning on."""
    async with client.utterance(**IDS, request_id="r", text="Hi \ud83d") as u:
        for piece in ("\ude00", None, "a\ud83d", "", "\ude00b", "\ud83d", "c", "\ude00", "d\ud83d"):
            await u.write(piece)
        request = (await stored_request(js, "s 1")).request
    assert request is not None and request.text == "Hi "
    texts = [piece.text for piece in await pieces(js, "r") if piece is not None]
    assert texts == ["😀", "", "a", "", "😀b", "", "\ufffdc", "\ufffd", "d", "\ufffd"]


async def test_half_of_a_character_counts_for_the_limit(js: JetStream) -> None:
    client = Client(js.broker, max_text_chars=3)
    async with client.utterance(**IDS, request_id="r") as u:
        await u.write("ab\ud83d")
        with pytest.raises(InvalidRequest, match="^text: would have more than 3"):
            await u.write("c")
    texts = [piece.text for piece in await pieces(js, "r") if piece is not None]
    assert texts == ["ab", "\ufffd"]


async def test_both_halves_of_a_character_are_one_for_the_limit(js: JetStream) -> None:
    client = Client(js.broker, max_text_chars=3)
    async with client.utterance(**IDS, request_id="r") as u:
        for piece in ("ab\ud83d", "\ude00"):
            await u.write(piece)
    texts = [piece.text for piece in await pieces(js, "r") if piece is not None]
    assert texts == ["ab", "😀", ""]


async def test_half_of_a_character_still_waits_after_a_piece_that_was_not_sent(js: JetStream) -> None:
    client = Client(js.broker, max_text_chars=100_000_000)
    async with client.utterance(**IDS, request_id="r") as u:
        await u.write("a\ud83d")
        with pytest.raises(NodeUnavailable):
            await u.write("\ude00" + "b" * js.broker.max_payload)
        await u.write("\ude00b")
    texts = [piece.text for piece in await pieces(js, "r") if piece is not None]
    assert texts == ["a", "😀b", ""]
