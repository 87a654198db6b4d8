"""Checks of what messages contain: ids, formats, sentences, sizes, and keys that a server does not know."""

from __future__ import annotations

from dataclasses import replace

from orastream.cli.checks.oraserver.check import Check, check, kept
from orastream.cli.checks.oraserver.listing import KeptSentence, Sent
from orastream.cli.checks.oraserver.outcomes import MESSAGES_PAGE, STREAMS_PAGE, CheckFailed, Outcome
from orastream.cli.checks.oraserver.server import PHONE, ServerUnderTest
from orastream.cli.checks.oraserver.streams.frame_client import FrameClient, frames, speech
from orastream.cli.checks.oraserver.streams.speech import StreamSpeech
from orastream.cli.checks.oraserver.utterances import utterance_in
from orastream.cli.checks.oraserver.websocket_checks import UNUSUAL_IDS
from orastream.contract.audio import FORMATS
from orastream.contract.oraserver.from_bridge import SentenceText
from orastream.contract.oraserver.wire import pack_value
from orastream.delivery.sink import LinkLost

FRAME_BYTES, TEXT_CHARS = 32_768, 80_000
"""The default of WEBSOCKET_CHUNK_SIZE; Korean characters of three bytes, which fill most of 256 KiB."""
LEAST_BYTES = 1_000
HELLO, WORDS = "네, 9월이에요.", ((0, 1, 0, 20), (3, 2, 20, 25), (3, 2, 25, 30), (5, 3, 30, 38))
"""Two of its words are said for one number."""


async def _deliver(client: FrameClient, spoken: StreamSpeech) -> None:
    stream = client.open(spoken)
    await stream.send_within_limit(0, spoken.size)
    stream.end()
    await stream.delivered()


@check(
    "v2-ids",
    tried=f"{len(UNUSUAL_IDS)} unusual ids: Korean, spaces, slashes, `..`, percent signs, 256 bytes",
    rule="An id is 1 to 256 bytes of UTF-8 without control characters. It is not encoded in any way.",
    section="open",
    page=MESSAGES_PAGE,
)
async def ids(server: ServerUnderTest) -> Outcome:
    sent = []
    async with frames(server) as client:
        for number, unusual in enumerate(UNUSUAL_IDS):
            spoken = await speech(server, "v2-ids", size=LEAST_BYTES)
            short = len(unusual.encode()) <= 200
            session = f"{unusual}{server.run}-v2" if short else unusual
            said = replace(spoken.said, session=session, phone=unusual, request=unusual)
            try:
                await _deliver(client, StreamSpeech(said, spoken.seq))
            except (CheckFailed, LinkLost) as exc:
                raise CheckFailed(f"id {number + 1} ({unusual[:30]!r}): {exc}") from None
            if short:  # of the others an earlier run may have left something
                sent.append(Sent(said))
    return await kept(server, "all were accepted", *sent)


@check(
    "v2-formats",
    tried="an utterance in each format of `hello`",
    rule="`formats` lists the formats that you can use. An utterance of another one fails.",
    section="hello, from OraServer",
    page=MESSAGES_PAGE,
)
async def formats(server: ServerUnderTest) -> Outcome:
    sent = []
    async with frames(server) as client:
        given = [fmt for fmt in FORMATS if fmt in client.hello.formats]
        if not given:
            return Outcome("skipped", "`hello` has none of the formats")
        for fmt in given:
            said = utterance_in(fmt, server.session("v2-formats"), PHONE, f"a-{fmt}", LEAST_BYTES)
            try:
                await _deliver(client, StreamSpeech(said, next(server.numbers)))
            except (CheckFailed, LinkLost) as exc:
                raise CheckFailed(f"format {fmt}: {exc}") from None
            sent.append(Sent(said))
    return await kept(server, f"taken: {', '.join(given)}", *sent)


@check(
    "v2-text",
    tried="sentences with and without a range, words that come later and come twice, a sentence that begins again",
    rule="A sentence comes again with further words, and is one all the same. Add the words that you do not have.",
    section="Words of a sentence",
    page=MESSAGES_PAGE,
)
async def text(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-text")
    async with frames(server) as client:
        stream = client.open(spoken)
        number = stream.number
        client.send(SentenceText(number, 0, 0, HELLO, 0, 9, (WORDS[0],)))
        stream.send(0, 500)
        client.send(SentenceText(number, 0, 0, HELLO, 0, 9, WORDS[1:3]))
        client.send(SentenceText(number, 0, 0, HELLO, 0, 9, WORDS[2:]))
        client.send(SentenceText(number, 1, 40, "Second.", None, None, ((10, 6, 40, 50),)))
        stream.send(500, spoken.size // 2)
        client.send(SentenceText(number, 1, 60, "Second.", None, None, ((10, 6, 60, 80),)))
        stream.send(spoken.size // 2, spoken.size)
        stream.end()
        await stream.delivered()
    hello = KeptSentence(0, 0, HELLO, [list(word) for word in WORDS])
    second = KeptSentence(1, 60, "Second.", [[10, 6, 60, 80]])
    return await kept(server, "taken", Sent(spoken.said, sentences=(hello, second)))


@check(
    "v2-frame",
    tried=f"`audio` with {FRAME_BYTES} bytes, or with the credit if that is less, and `text` with 240 000 bytes",
    rule="An `audio` has up to WEBSOCKET_CHUNK_SIZE + 1 KiB, any other frame up to 256 KiB.",
    section="Limits",
    page=STREAMS_PAGE,
)
async def frame(server: ServerUnderTest) -> Outcome:
    async with frames(server) as client:
        size = min(client.hello.credit, FRAME_BYTES)
        spoken = await speech(server, "v2-frame", size=size, part_bytes=size)
        stream = client.open(spoken)
        client.send(SentenceText(stream.number, 0, 0, "가" * TEXT_CHARS))
        stream.send(0, size)
        stream.end()
        await stream.delivered()
    return await kept(server, "taken", Sent(spoken.said))


@check(
    "v2-unknown",
    tried="a message of an unknown type, unknown keys in known ones, and nil for keys that are optional",
    rule="Ignore unknown types and unknown keys. nil means the same as a missing key.",
    section="OraServer, protocol v2: messages",
    page=MESSAGES_PAGE,
)
async def unknown(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-unknown")
    async with frames(server, check=[1, {"a": None}]) as client:
        stream = client.open(spoken, check=1.5)
        await stream.accepted()
        client.send_payload(pack_value({"t": "check", "s": stream.number, "more": b"\x00"}))
        client.send(SentenceText(stream.number, 0, 0, "a", None, None), words=None, to=None)
        stream.send(0, spoken.size)
        stream.end()
        await stream.delivered()
        await client.read_all("v2-unknown")
    return await kept(server, "ignored", Sent(spoken.said))


CHECKS: tuple[Check, ...] = (ids, formats, text, frame, unknown)
