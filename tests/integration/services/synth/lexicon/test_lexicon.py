"""A real synth with a lexicon: what it says, SIGHUP, another synth that goes on, and words of a request."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from orastream import Acceptance, BlockingClient, Client, Report
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from tests.support.processes import until
from tests.support.services import ServiceProcess, Stack
from tests.support.speech import files

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SEQUEL = "ko:\n  SQL: 시퀄\n"
SPELLED = "ko:\n  SQL: 에스큐엘\n"
FADE_BYTES = 2 * (22_050 * 5 // 1000)
IDS: dict[str, Any] = {"session_id": "s", "phone_id": "p", "transport": "none", "format": "pcm16"}


class Said:
    """The stored audio of a request."""

    def __init__(self) -> None:
        self.starts: list[AudioStart] = []
        self.chunks: list[AudioChunk] = []
        self.end: AudioEnd | None = None

    @property
    def pcm(self) -> bytes:
        return b"".join(chunk.audio for chunk in self.chunks)

    @property
    def version(self) -> str | None:
        return self.starts[-1].engine_version


async def said(client: Client, text: str, **options: Any) -> Said:
    """The audio of a new request."""
    accepted = await client.say(text, **{**IDS, **options})
    assert isinstance(accepted, Acceptance)
    return await stored(client, accepted)


async def stored(client: Client, accepted: Acceptance) -> Said:
    found = Said()
    async for message in client.audio(accepted.session_id, accepted.request_id, accepted.request_seq):
        if isinstance(message, AudioStart):
            found.starts.append(message)
        elif isinstance(message, AudioChunk):
            found.chunks.append(message)
        elif isinstance(message, AudioEnd):
            found.end = message
    assert found.end is not None and found.end.status == "complete", found.end
    return found


async def hung_up(synth: ServiceProcess, line: str) -> None:
    """Send SIGHUP, and return when the log has that line once more."""
    before = synth.text().count(line)
    synth.signal(signal.SIGHUP)

    async def logged() -> bool:
        return synth.text().count(line) > before

    await until(logged, f"synth logs {line!r}", timeout_s=20)


async def test_lexicon_is_read_at_the_start_and_on_sighup(client: Client, stack: Stack, tmp_path: Path) -> None:
    """The phrase cache is on, and the engine slow enough to use it."""
    file = tmp_path / "lexicon.yaml"
    file.write_text(SEQUEL)
    (synth,) = await stack.start("synth", SYNTH_SLOTS=1, TTS_LEXICON=file, TTS_ENGINE_RTF=0.05, TTS_PHRASE_CACHE=True)
    sequel, spelled = await said(client, "시퀄은 3개."), await said(client, "에스큐엘은 3개.")
    first = await said(client, "SQL은 3개.")
    assert first.pcm == sequel.pcm != spelled.pcm
    assert re.fullmatch(r".+\+lexicon\.[0-9a-f]{8}", first.version or "")

    file.write_text(SPELLED)
    await hung_up(synth, "lexicon read anew")
    second = await said(client, "SQL은 3개.")
    assert second.pcm == spelled.pcm
    assert second.version != first.version and "+lexicon." in (second.version or "")

    file.write_text("ko:\n  SQL: 에스큐엘\n  Redis:\n")
    await hung_up(synth, "the lexicon is wrong; the old one stays")
    assert "lexicon.yaml:3: ko.Redis: the reading is empty" in synth.text()
    assert await synth.metric("orastream_synth_lexicon_reload_failures_total") == 1
    assert await synth.metric("orastream_synth_lexicon_words") == 1
    third = await said(client, "SQL은 3개.")
    assert (third.pcm, third.version) == (second.pcm, second.version)

    file.unlink()
    await hung_up(synth, "the lexicon is wrong; the old one stays")
    file.write_text(SEQUEL)
    for _ in range(20):
        synth.signal(signal.SIGHUP)
    await hung_up(synth, "lexicon read anew")
    assert (await said(client, "SQL은 3개.")).pcm == sequel.pcm
    assert await synth.metric("orastream_synth_phrase_lookups_total", result="hit") > 0
    voices = await client.voices()
    assert voices and all("lexicon" not in voice.version for voice in voices)


async def test_synth_without_a_lexicon_survives_sighup(client: Client, stack: Stack) -> None:
    (synth,) = await stack.start("synth", SYNTH_SLOTS=1)
    await hung_up(synth, "there is no lexicon to read anew")
    assert "lexicon" not in ((await said(client, "SQL은 3개.")).version or "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "TTS_LEXICON: lexicon.yaml: there is no such file"),
        ("ko:\n  SQL:\n", "TTS_LEXICON: lexicon.yaml:2: ko.SQL: the reading is empty; write the words to be said"),
    ],
)
async def test_synth_ends_with_2_at_a_wrong_lexicon(
    stack: Stack, tmp_path: Path, text: str | None, problem: str
) -> None:
    if text is not None:
        (tmp_path / "lexicon.yaml").write_text(text)
    synth = stack.add("synth", SYNTH_SLOTS=1, TTS_LEXICON=tmp_path / "lexicon.yaml")
    synth.launch()
    assert await synth.ended(60) == 2
    assert problem in synth.text() and "Traceback" not in synth.text()


@pytest.mark.parametrize("same", [True, False], ids=["same words", "other words"])
async def test_another_synth_begins_the_sentence_again_only_with_other_words(
    client: Client, stack: Stack, tmp_path: Path, same: bool
) -> None:
    text = "SQL은 데이터베이스에 묻는 말이고, 여러 사람이 오래전부터 함께 써 왔습니다."
    (tmp_path / "one.yaml").write_text(SEQUEL)
    (tmp_path / "two.yaml").write_text(SEQUEL if same else SPELLED)
    slow = {"SYNTH_SLOTS": 1, "TTS_ENGINE_RTF": 0.5, "TTS_PHRASE_CACHE": False, "WEBSOCKET_CHUNK_SIZE": 8192}
    (dying,) = await stack.start("synth", TTS_LEXICON=tmp_path / "one.yaml", **slow)
    whole = await said(client, text, session_id="whole")
    accepted = await client.say(text, **IDS)
    assert isinstance(accepted, Acceptance)
    size = 0
    async with asyncio.timeout(20):
        async for message in client.audio("s", accepted.request_id, accepted.request_seq):
            if isinstance(message, AudioChunk) and (size := size + len(message.audio)) > len(whole.pcm) // 4:
                break
    dying.kill()
    await stack.start("synth", TTS_LEXICON=tmp_path / "two.yaml", **slow)
    found = await stored(client, accepted)
    assert len(found.starts) == 2 and (found.starts[0].engine_version == found.starts[1].engine_version) is same
    if same:
        assert found.pcm == whole.pcm
        return
    other = await said(client, text, session_id="other")
    assert other.pcm != whole.pcm
    assert found.pcm.endswith(other.pcm), "the sentence was not said from its beginning"
    before = found.pcm[: len(found.pcm) - len(other.pcm)]
    # Up to 5 ms of it may lead from the last stored sample to silence.
    assert len(before) >= size and whole.pcm.startswith(before[:-FADE_BYTES])


async def test_words_of_a_request_in_every_way_to_send_one(client: Client, stack: Stack) -> None:
    (synth,) = await stack.start("synth", SYNTH_SLOTS=1)
    words = {"SQL": "시퀄"}
    plain, expected = await said(client, "SQL은 3개."), await said(client, "시퀄은 3개.")
    assert plain.pcm != expected.pcm
    assert (await said(client, "SQL은 3개.", pronunciations=words)).pcm == expected.pcm
    assert (await said(client, "<speak>SQL은 3개.</speak>", ssml=True, pronunciations=words)).pcm == expected.pcm
    async with client.utterance(**IDS, request_id="stream", pronunciations=words) as utterance:
        for part in ("S", "QL은", " 3개."):
            await utterance.write(part)
    streamed = await stored(client, utterance.acceptance)
    assert streamed.pcm == expected.pcm
    assert streamed.end is not None and streamed.end.text == "SQL은 3개."
    assert (await said(client, "SQL은 3개.")).pcm == plain.pcm
    assert "SQL" not in synth.text() and "시퀄" not in synth.text() and "\\uc2dc\\ud004" not in synth.text()


async def test_words_over_http_and_from_the_blocking_client(client: Client, stack: Stack) -> None:
    await stack.start("synth", "gateway", SYNTH_SLOTS=1)
    expected = (await said(client, "시퀄은 3개.")).pcm
    fields = {"text": "SQL은 3개.", "sessionId": "h", "phoneId": "p", "transport": "none", "format": "pcm16"}
    words = {"SQL": "시퀄"}
    async with aiohttp.ClientSession() as http:
        url = f"{stack.only('gateway').url}/api/convert-tts/"
        async with http.post(url, json=fields | {"requestId": "r", "pronunciations": words}) as answer:
            accepted = await answer.json()
            assert answer.status == 202, accepted
        async with http.post(url, json=fields | {"requestId": "x", "pronunciations": {"SQL": 1}}) as answer:
            assert answer.status == 422 and "pronunciations: SQL: the reading has the wrong type" in await answer.text()
    assert await pcm_of(client, "h", "r", accepted["requestSeq"]) == expected

    def block() -> Acceptance | Report:
        with BlockingClient(stack.nats_server.url) as blocking:
            return blocking.say("SQL은 3개.", **{**IDS, "session_id": "b"}, pronunciations=words)

    asked = await asyncio.to_thread(block)
    assert isinstance(asked, Acceptance)
    assert (await stored(client, asked)).pcm == expected


async def pcm_of(client: Client, session: str, request: str, sequence: int) -> bytes:
    """The audio of a request."""
    messages = client.audio(session, request, sequence)
    return b"".join([message.audio async for message in messages if isinstance(message, AudioChunk)])


async def test_words_of_a_request_count_before_those_of_the_node(client: Client, stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "lexicon.yaml").write_text("ko:\n  SQL: 에스큐엘\n  Redis: 레디스\n")
    await stack.start("synth", SYNTH_SLOTS=1, TTS_LEXICON=tmp_path / "lexicon.yaml", TTS_TEXT_NORMALIZATION=False)
    found = await said(client, "SQL과 Redis는", pronunciations={"SQL": "시퀄"})
    assert found.pcm == (await said(client, "시퀄과 레디스는")).pcm


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_both_transports_deliver_the_words_of_a_request(client: Client, stack: Stack, transport: str) -> None:
    await stack.start("oraserver", "synth", "ws_bridge", "http_bridge", SYNTH_SLOTS=1)
    options: dict[str, Any] = {"phone_id": "p", "transport": transport, "fire_and_forget": False}
    pronounced = await client.say("SQL은 3개.", session_id="a", pronunciations={"SQL": "시퀄"}, **options)
    written = await client.say("시퀄은 3개.", session_id="b", **options)
    plain = await client.say("SQL은 3개.", session_id="c", **options)
    assert [report.status for report in (pronounced, written, plain) if not isinstance(report, Acceptance)] == [
        "delivered"
    ] * 3
    heard = [files(await stack.received(session))[0].read_bytes() for session in "abc"]
    assert heard[0] == heard[1] != heard[2]


async def test_word_times_refer_to_the_written_words(client: Client, stack: Stack) -> None:
    await stack.start("synth", SYNTH_SLOTS=1)
    text = "자, SQL은 3개 있다. Nguyen은 없다."
    found = await said(client, text, pronunciations={"SQL": "시퀄 라이트", "Nguyen": "[[w'In]]"})
    words = [word for chunk in found.chunks for word in chunk.words]
    places = [text[word.first : word.end] for word in words]
    assert places == ["자", "SQL", "SQL은", "3개", "3개", "있다", "Nguyen", "은", "없다"]
    assert all(one.end_ms <= other.begin_ms for one, other in zip(words, words[1:], strict=False))
    starts = [start.text for chunk in found.chunks for start in chunk.sentences]
    assert starts == ["자, SQL은 3개 있다.", "Nguyen은 없다."]


async def test_only_a_reading_is_phonemes(client: Client, stack: Stack) -> None:
    await stack.start("synth", SYNTH_SLOTS=1)
    win = await said(client, "Hello win there.", language="en-US")
    phonemes = {"Nguyen": "[[w'In]]"}
    assert (await said(client, "Hello Nguyen there.", language="en-US", pronunciations=phonemes)).pcm == win.pcm
    brackets = await said(client, "Hello [[w'In]] there.", language="en-US")
    assert brackets.pcm != win.pcm
    # Ordinary text beside phonemes is no phonemes either.
    beside = await said(client, "Nguyen [[w'In]] there.", language="en-US", pronunciations=phonemes)
    parted = await said(client, "Nguyen [ w'In]] there.", language="en-US", pronunciations=phonemes)
    assert beside.pcm == parted.pcm
    marks = await said(client, "Hello \ufdd0\ufdd0w'In\ufdd1\ufdd1 there.", language="en-US")
    assert marks.pcm == (await said(client, "Hello   w'In   there.", language="en-US")).pcm
