"""Streamed text, from the writer's tokens to OraServer, with and without faults."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator

import nats
import pytest

from orastream import BlockingClient, TextStream, UtteranceEnded
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioChunk
from orastream.contract.messages import Report
from orastream.jetstream.api import JetStream
from tests.support.names import NAMES
from tests.support.processes import until
from tests.support.scenes import Scene, reference
from tests.support.services import REPOSITORY
from tests.support.speech import sha256, utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

FIRST, SECOND, THIRD = "안녕하세요, 반갑습니다. ", "오늘은 3.14 킬로미터를 걸었습니다. ", "The weather was fine!"
TEXT = FIRST + SECOND + THIRD
SENTENCES = [FIRST.strip(), SECOND.strip(), THIRD]


def tokens(text: str, size: int = 3) -> Iterator[str]:
    """The text in pieces of `size` characters, like an LLM's tokens."""
    for offset in range(0, len(text), size):
        yield text[offset : offset + size]


async def write(utterance: TextStream, text: str) -> None:
    for token in tokens(text):
        await utterance.write(token)


def dictation(scene: Scene, request: str, **options: object) -> TextStream:
    return scene.client.utterance(session_id=scene.id("s"), phone_id="phone-1", request_id=scene.id(request), **options)


async def until_chunks(scene: Scene, request: str, chunks: int = 1) -> None:
    async def arrived() -> bool:
        got = utterance_of(await scene.stack.received(), scene.id(request))
        return got is not None and got["chunks"] >= chunks

    await until(arrived, f"{chunks} chunks of {request} at OraServer", timeout_s=30)


async def pcm(scene: Scene, request: str, **options: object) -> tuple[bytes, list[AudioChunk]]:
    """The stored audio of a request: its bytes and its chunks."""
    report = await scene.client.report(scene.id("s"), scene.id(request))
    assert report is not None
    messages = scene.client.audio(scene.id("s"), scene.id(request), report.request_seq)
    chunks = [message async for message in messages if isinstance(message, AudioChunk)]
    return b"".join(chunk.audio for chunk in chunks), chunks


async def test_first_sentence_is_delivered_before_the_last_token_is_written(scene: Scene) -> None:
    async with dictation(scene, "r") as u:
        await write(u, FIRST + SECOND[:2])
        await until_chunks(scene, "r")
        report = await u.report()
        assert report is not None and not report.final
        await write(u, SECOND[2:] + THIRD)
    report = await u.wait(30)
    assert report.status == "delivered" and report.total_chunks == report.delivered_chunks
    got = utterance_of(await scene.stack.received(), scene.id("r"))
    assert got is not None and got["complete"] and got["violations"] == []
    assert (got["text"], got["texts"]) == (TEXT, SENTENCES)
    assert got["sha256"] == sha256(await reference(TEXT)), "the audio is not that of the complete text"


@pytest.mark.parametrize("fmt", ["pcm16", "opus", "flac"])
async def test_streamed_text_has_the_same_samples_as_the_complete_text(scene: Scene, fmt: str) -> None:
    whole = await scene.client.say(
        TEXT, session_id=scene.id("s"), phone_id="p", request_id=scene.id("w"), fire_and_forget=False, format=fmt
    )
    assert isinstance(whole, Report) and whole.status == "delivered"
    async with dictation(scene, "r", format=fmt, text=FIRST[:7]) as u:
        await write(u, TEXT[7:])
    assert (await u.wait(30)).status == "delivered"
    (streamed, chunks), (complete, others) = await pcm(scene, "r"), await pcm(scene, "w")
    assert streamed == complete
    assert {chunk.sentence: chunk.text for chunk in chunks} == dict(enumerate(SENTENCES))
    assert {chunk.text for chunk in others} == {None}


async def test_streamed_text_is_delivered_over_http(scene: Scene) -> None:
    async with dictation(scene, "r", use_websocket=False) as u:
        await write(u, TEXT)
    assert (await u.wait(30)).status == "delivered"
    got = utterance_of(await scene.stack.received(), scene.id("r"))
    assert got is not None and got["complete"] and got["violations"] == []
    assert (got["transport"], got["text"], got["texts"]) == ("http", TEXT, [TEXT])
    assert got["sha256"] == sha256(await reference(TEXT))


async def test_next_request_of_the_session_waits_for_the_end_of_the_streamed_text(scene: Scene) -> None:
    async with dictation(scene, "open") as u:
        await write(u, FIRST + "그")
        await until_chunks(scene, "open")
        await scene.client.say("네.", session_id=scene.id("s"), phone_id="phone-1", request_id=scene.id("behind"))
        await scene.until_stored("s", "behind")
        await write(u, "리고 끝.")
    assert (await u.wait(30)).status == "delivered"
    assert (await scene.client.wait(scene.id("s"), scene.id("behind"), 30)).status == "delivered"
    received = await scene.stack.received(scene.id("s"))
    first, second = received["utterances"]
    assert (first["requestId"], second["requestId"]) == (scene.id("open"), scene.id("behind"))
    assert first["completedAt"] <= second["firstChunkAt"]


async def test_waiting_texts_do_not_block_other_sessions(scene: Scene) -> None:
    """There are more streamed texts than slots; a whole text of another session is still spoken at once."""
    async with asyncio.TaskGroup() as group:
        release = asyncio.Event()

        async def hold(number: int) -> str:
            utterance = scene.client.utterance(
                session_id=scene.id(f"s{number}"), phone_id="p", request_id=scene.id(f"open{number}"), idleSeconds=60
            )
            async with utterance as u:
                await u.write("네.")
                await release.wait()
            return (await u.wait(60)).status

        held = [group.create_task(hold(number)) for number in range(24)]

        async def all_wait() -> bool:
            return sum([await p.metric("orastream_synth_open_texts") for p in scene.stack["synth"]]) >= 24

        await until(all_wait, "synth waits for 24 texts", timeout_s=30)
        report = await scene.client.say(
            "안녕.", session_id=scene.id("s"), phone_id="p", request_id=scene.id("whole"), fire_and_forget=False
        )
        assert isinstance(report, Report) and report.status == "delivered"
        release.set()
    assert {task.result() for task in held} == {"delivered"}


async def test_cancel_ends_a_streamed_text_that_waits_for_text(scene: Scene) -> None:
    """The writer gets an exception and the block ends; a later request is delivered."""
    written = 0
    async with dictation(scene, "old", idleSeconds=60) as u:
        await write(u, FIRST + "그")
        await until_chunks(scene, "old")
        await scene.client.cancel(scene.id("s"))
        assert (await u.wait(30)).status == "cancelled"
        for _ in range(1000):
            await u.write("리고 ")
            written += 1
            await asyncio.sleep(0.01)
    report = await u.wait(1)
    assert report.status == "cancelled" and written < 1000
    new = await scene.client.say(
        "네.", session_id=scene.id("s"), phone_id="phone-1", request_id=scene.id("new"), fire_and_forget=False
    )
    assert isinstance(new, Report) and new.status == "delivered"
    got = utterance_of(await scene.stack.received(), scene.id("old"))
    assert got is not None and not got["complete"]


async def test_cancel_ends_a_streamed_text_in_the_middle_of_a_sentence(slow_scene: Scene) -> None:
    scene = slow_scene
    with pytest.raises(UtteranceEnded) as ended:
        utterance = dictation(scene, "old")
        async with utterance as u:
            await write(u, TEXT * 3)
            await until_chunks(scene, "old")
            await scene.client.cancel(scene.id("s"), scene.id("old"))
            await u.wait(30)
            try:
                await u.write("무엇")
            except UtteranceEnded as exc:
                raise UtteranceEnded(exc.session_id, exc.request_id, exc.status) from exc  # raised by the caller
    assert ended.value.status == "cancelled"
    got = utterance_of(await scene.stack.received(), scene.id("old"))
    assert got is not None and not got["complete"] and got["violations"] == []


async def test_cancel_ends_a_streamed_text_before_its_claim(slow_scene: Scene) -> None:
    scene = slow_scene
    for synth in scene.stack["synth"]:
        synth.freeze()
    try:
        async with dictation(scene, "old") as u:
            await u.write(FIRST)
            await scene.client.cancel(scene.id("s"))
            assert (await u.wait(30)).status == "cancelled"
    finally:
        for synth in scene.stack["synth"]:
            synth.thaw()
    assert utterance_of(await scene.stack.received(), scene.id("old")) is None


async def test_streamed_text_is_cancelled_when_its_writer_raises(scene: Scene) -> None:
    with pytest.raises(RuntimeError, match="the LLM"):
        async with dictation(scene, "r", idleSeconds=60) as u:
            await write(u, FIRST + "그")
            raise RuntimeError("the LLM is gone")
    assert (await u.wait(30)).status == "cancelled"


async def test_streamed_text_fails_after_the_idle_timeout_and_its_text_is_spoken(scene: Scene) -> None:
    """The received text is spoken, also a half sentence. Then it ends, and the session's next request follows."""
    u = await dictation(scene, "r", idleSeconds=1).__aenter__()
    await write(u, FIRST + "그리고")
    await scene.client.say("네.", session_id=scene.id("s"), phone_id="phone-1", request_id=scene.id("behind"))
    report = await u.wait(30)
    assert report.status == "failed" and report.error is not None
    assert (report.error.code, report.error.retryable) == ("text_stalled", True)
    assert "idleSeconds" in report.error.message
    with pytest.raises(UtteranceEnded):
        await u.write("더")
    await u.__aexit__(None, None, None)
    assert (await scene.client.wait(scene.id("s"), scene.id("behind"), 30)).status == "delivered"
    got = utterance_of(await scene.stack.received(), scene.id("r"))
    assert got is not None and not got["complete"] and got["violations"] == []
    assert got["texts"] == [FIRST.strip(), "그리고"] and report.delivered_chunks == got["chunks"]


@pytest.mark.parametrize("websocket", [True, False])
@pytest.mark.parametrize(
    "text", [None, "", " \n", "…!? ", "🙂", "<think>날씨를 물었다.</think>\n<tool_call>{}</tool_call>"]
)
async def test_streamed_text_with_nothing_to_say_is_delivered_without_audio(
    scene: Scene, text: str | None, websocket: bool
) -> None:
    """OraServer gets nothing of it, and the requests before and after it keep their order."""
    ids = {"session_id": scene.id("s"), "phone_id": "phone-1", "use_websocket": websocket}
    await scene.client.say("하나.", request_id=scene.id("before"), **ids)
    async with dictation(scene, "r", use_websocket=websocket) as u:
        await scene.client.say("둘.", request_id=scene.id("after"), **ids)
        for piece in tokens(text or ""):
            await u.write(piece)
    report = await u.wait(30)
    assert (report.status, report.error) == ("delivered", None)
    assert (report.total_chunks, report.delivered_chunks, report.bytes, report.audio_seconds) == (0, 0, 0, 0.0)
    assert report.first_audio_ms is None and report.characters == len(text or "")
    assert (await scene.client.wait(scene.id("s"), scene.id("after"), 30)).status == "delivered"
    received = await scene.stack.received(scene.id("s"))
    assert [one["requestId"] for one in received["utterances"]] == [scene.id("before"), scene.id("after")]
    assert await scene.client.heard(scene.id("s"), scene.id("r")) is None


async def test_streamed_text_with_transport_none_is_only_stored(scene: Scene) -> None:
    async with dictation(scene, "r", transport="none") as u:
        await write(u, TEXT)
        report = await u.report()
        assert report is not None
        audio = scene.client.audio(scene.id("s"), u.request_id, u.acceptance.request_seq)
        first = [message async for message in take(audio, 2)]
    assert len(first) == 2
    assert (await u.wait(30)).status == "delivered"


async def take(messages: AsyncIterator[object], most: int) -> AsyncIterator[object]:
    async for message in messages:
        yield message
        most -= 1
        if not most:
            return


async def test_pieces_are_purged_with_their_request(scene: Scene) -> None:
    async with dictation(scene, "r") as u:
        await write(u, TEXT)
    await u.wait(30)
    js = JetStream(scene.client.broker)

    async def empty() -> bool:
        script = NAMES.script(subjects.token(scene.id("s")), subjects.token(scene.id("r")))
        return await js.after(NAMES.texts_stream, script, 0) is None

    await until(empty, "the pieces are purged")


# ---- writers without our client


async def test_pieces_of_a_plain_nats_client_are_spoken_in_order(scene: Scene) -> None:
    """64 pieces or so, the last one first, every third one repeated with another text; replyTo gets the report."""
    nc = await nats.connect(scene.stack.nats_server.url)
    inbox = nc.new_inbox()
    answers = await nc.subscribe(inbox)
    body = {"sessionId": scene.name, "phoneId": "p1", "requestId": "bare", "textStream": True, "replyTo": inbox}
    await nc.request(f"tts.request.{scene.name}", json.dumps(body).encode(), timeout=10)
    subject = f"tts.text.{scene.name}.bare"
    size = -(-len(TEXT) // 64)
    pieces = list(tokens(TEXT, size))
    for index in reversed(range(len(pieces))):
        last = {"end": True} if index == len(pieces) - 1 else {}
        await nc.request(subject, json.dumps({"index": index, "text": pieces[index], **last}).encode(), timeout=10)
        if index % 3 == 0:
            await nc.publish(subject, json.dumps({"index": index, "text": "아니요"}).encode())
    report = json.loads((await answers.next_msg(timeout=30)).data)
    await nc.close()
    assert report["status"] == "delivered"
    got = utterance_of(await scene.stack.received(), "bare")
    assert got is not None and got["violations"] == [] and got["text"] == TEXT
    assert got["sha256"] == sha256(await reference(TEXT))


async def test_example_of_the_protocol_document_works(scene: Scene) -> None:
    """The example of the protocol document, with another address only."""
    page = (REPOSITORY / "docs" / "reference" / "text-streams.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    assert "textStream" in code
    code = code.replace("nats://127.0.0.1:4222", scene.stack.nats_server.url)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0 and b'"status":"delivered"' in out, out
    got = utterance_of(await scene.stack.received("s1"), "r1")
    assert got is not None and got["texts"] == ["안녕하세요.", "무엇을 도와드릴까요?"]


async def test_speak_answers_with_the_final_report_of_a_streamed_text(scene: Scene) -> None:
    """tts.speak answers with the final report of a streamed text, whose pieces are stored before the request."""
    nc = await nats.connect(scene.stack.nats_server.url)
    for piece in ({"index": 0, "text": FIRST}, {"index": 1, "text": THIRD, "end": True}):
        await nc.request(f"tts.text.{scene.name}.r", json.dumps(piece).encode(), timeout=10)
    body = {"sessionId": scene.name, "phoneId": "p", "requestId": "r", "textStream": True, "fire_and_forget": False}
    answer = json.loads((await nc.request("tts.speak", json.dumps(body).encode(), timeout=30)).data)
    await nc.close()
    assert answer["status"] == "delivered"
    got = utterance_of(await scene.stack.received(scene.name), "r")
    assert got is not None and (got["text"], got["texts"]) == (FIRST + THIRD, [FIRST.strip(), THIRD])


async def test_report_names_the_missing_piece(scene: Scene) -> None:
    nc = await nats.connect(scene.stack.nats_server.url)
    body = {"sessionId": scene.name, "phoneId": "p1", "textStream": True, "idleSeconds": 1, "text": "네. "}
    answer = await nc.request(f"tts.request.{scene.name}", json.dumps(body).encode(), timeout=10)
    request = f"seq-{json.loads(answer.data)['seq']}"
    for index in (0, 2, 3):
        piece = {"index": index, "text": "하나. ", "end": index == 3}
        await nc.publish(f"tts.text.{scene.name}.{request}", json.dumps(piece).encode())
    await nc.flush()
    await nc.close()
    report = await scene.client.wait(scene.name, request, 30)
    assert report.error is not None and report.error.code == "text_stalled"
    assert "piece 1 is missing" in report.error.message
    got = utterance_of(await scene.stack.received(), request)
    assert got is not None and got["texts"] == ["네.", "하나."]


@pytest.mark.parametrize(
    "piece",
    [
        b"\xff\xfe",
        b"[]",
        b"[" * 5000,
        b'{"text":"x"}',
        b'{"index":0}',
        b'{"index":-1}',
    ],
)
async def test_invalid_piece_ends_the_streamed_text(scene: Scene, piece: bytes) -> None:
    """The report names the error; the next request is spoken, so no worker stopped."""
    async with dictation(scene, "r") as u:
        nc = await nats.connect(scene.stack.nats_server.url)
        await nc.publish(NAMES.text(subjects.token(scene.id("s")), subjects.token(u.request_id)), piece)
        await nc.flush()
        await nc.close()
        report = await u.wait(30)
    assert report.status == "failed" and report.error is not None
    assert report.error.code == "invalid_request" and report.error.message.startswith("text: a piece ")
    new = await scene.client.say(
        "네.", session_id=scene.id("s"), phone_id="phone-1", request_id=scene.id("new"), fire_and_forget=False
    )
    assert isinstance(new, Report) and new.status == "delivered"


async def test_blocking_client_streams_a_text(scene: Scene) -> None:
    def dictate() -> tuple[object, object]:
        with BlockingClient(scene.stack.nats_server.url) as client:
            ids = {"session_id": scene.id("s"), "phone_id": "p"}
            forgotten = client.utterance(tokens(TEXT), request_id=scene.id("f"), **ids)
            return forgotten, client.utterance(tokens(TEXT), request_id=scene.id("r"), fire_and_forget=False, **ids)

    accepted, report = await asyncio.to_thread(dictate)
    assert isinstance(report, Report) and report.status == "delivered"
    assert getattr(accepted, "status", None) == "queued"
    got = utterance_of(await scene.stack.received(), scene.id("r"))
    assert got is not None and got["sha256"] == sha256(await reference(TEXT))


async def test_blocking_client_cancels_the_request_when_the_iterator_raises(scene: Scene) -> None:
    def failing() -> Iterator[str]:
        yield FIRST
        raise LookupError("no more")

    def dictate() -> None:
        with BlockingClient(scene.stack.nats_server.url) as client:
            client.utterance(
                failing(), session_id=scene.id("s"), phone_id="p", request_id=scene.id("r"), idleSeconds=60
            )

    with pytest.raises(LookupError):
        await asyncio.to_thread(dictate)
    assert (await scene.client.wait(scene.id("s"), scene.id("r"), 30)).status == "cancelled"


SKIPPED = (
    "<think>3명이라고? 날씨를 물었다. 3명.</think>\n\n3명이 왔어요. <tool_call>3명</tool_call>그리고 3명이 갔어요."
)


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_what_stands_in_skipped_tags_is_not_spoken(scene: Scene, size: int) -> None:
    """Sentences and words have their places in the text as it was written, and the audio is that of the rest."""
    async with dictation(scene, "r") as u:
        for piece in tokens(SKIPPED, size):
            await u.write(piece)
    assert (await u.wait(30)).status == "delivered"
    audio, chunks = await pcm(scene, "r")
    starts = [start for chunk in chunks for start in chunk.sentences]
    assert [start.text for start in starts] == ["3명이 왔어요.", "그리고 3명이 갔어요."]
    assert [SKIPPED[start.first : start.end] for start in starts] == [start.text for start in starts]
    words = [SKIPPED[word.first : word.end] for chunk in chunks for word in chunk.words]
    assert words == ["3명이", "왔어요", "그리고", "3명이", "갔어요"]
    assert all(SKIPPED.index("\n\n") < word.first for chunk in chunks for word in chunk.words)
    plain = await scene.client.say(
        "3명이 왔어요. 그리고 3명이 갔어요.", session_id=scene.id("s"), phone_id="p", request_id=scene.id("w")
    )
    assert not isinstance(plain, Report)
    assert (await scene.client.wait(scene.id("s"), scene.id("w"), 30)).status == "delivered"
    assert (await pcm(scene, "w"))[0] == audio
    got = utterance_of(await scene.stack.received(), scene.id("r"))
    assert got is not None and got["complete"] and got["violations"] == []
    assert (got["text"], got["texts"]) == (SKIPPED, ["3명이 왔어요.", "그리고 3명이 갔어요."])

    async def heard() -> bool:
        record = await scene.client.heard(scene.id("s"), scene.id("r"))
        return record is not None and record.heard_text == "3명이 왔어요. 그리고 3명이 갔어요."

    await until(heard, "the record of what was heard", timeout_s=15)


async def test_a_sentence_before_a_tag_is_spoken_while_the_llm_writes_the_tag(scene: Scene) -> None:
    async with dictation(scene, "r") as u:
        await write(u, "찾아볼게요.<tool_call>")
        await until_chunks(scene, "r")
        await write(u, '{"name": "weather"}')
        report = await u.report()
        assert report is not None and not report.final
        await write(u, "</tool_call>")
    assert (await u.wait(30)).status == "delivered"


async def test_a_text_with_nothing_to_say_can_be_delivered_again_and_read(scene: Scene) -> None:
    for transport in ("websocket", "http", "none"):
        async with dictation(scene, transport, transport=transport) as u:
            await write(u, "<think>아무 말도 하지 않는다.</think>")
        assert (await u.wait(30)).status == "delivered"
        audio, chunks = await pcm(scene, transport)
        assert (audio, chunks) == (b"", [])
        fields = {"sessionId": scene.id("s"), "phoneId": "p", "requestId": scene.id(f"{transport}-again")}
        await scene.client.submit({**fields, "redeliverOf": scene.id(transport), "transport": transport})
        again = await scene.client.wait(scene.id("s"), scene.id(f"{transport}-again"), 30)
        assert (again.status, again.total_chunks, again.audio_seconds) == ("delivered", 0, 0.0)
    assert (await scene.stack.received(scene.id("s")))["utterances"] == []


@pytest.mark.parametrize("fmt", ["wav", "pcm16", "mulaw", "opus"])
@pytest.mark.parametrize("websocket", [True, False])
async def test_a_plain_text_that_is_skipped_is_delivered_without_audio(scene: Scene, fmt: str, websocket: bool) -> None:
    report = await scene.client.say(
        "<think>아무 말도 하지 않는다.</think> 🙂",
        session_id=scene.id("s"),
        phone_id="p",
        request_id=scene.id("r"),
        format=fmt,
        use_websocket=websocket,
        fire_and_forget=False,
    )
    assert isinstance(report, Report)
    assert (report.status, report.total_chunks, report.audio_seconds) == ("delivered", 0, 0.0)
    assert (await scene.stack.received(scene.id("s")))["utterances"] == []
