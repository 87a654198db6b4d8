"""Checks of what comes over a WebSocket that does not break."""

from __future__ import annotations

from dataclasses import replace

from orastream.cli.checks.oraserver.check import Check, check, kept
from orastream.cli.checks.oraserver.listing import Sent
from orastream.cli.checks.oraserver.outcomes import CheckFailed, Outcome
from orastream.cli.checks.oraserver.server import CHUNK_BYTES, PHONE, ServerUnderTest
from orastream.cli.checks.oraserver.utterances import cut, tone, utterance_in
from orastream.contract.audio import FORMATS
from orastream.delivery.sink import LinkLost

CONFIRM_EVERY = 8
DEFAULT_CHUNK_BYTES, MAX_CHUNK_BYTES = 32_768, 700_000
"""The default and the maximum of WEBSOCKET_CHUNK_SIZE."""
LONGEST_TEXT = "\x01" * 5_000
"""As large in JSON as the default of TTS_MAX_TEXT_CHARS allows. Each frame of an utterance has its text."""
UNUSUAL_IDS = (
    "전화 1",
    "a/b?c=d#e",
    "../../orastream-check",
    "..",
    "%41%2F",
    " a b ",
    '"quoted"\\',
    "a.b*c>",
    "🙂",
    "CON",
    "x" * 256,
    "가" * 85,
)


@check(
    "order",
    tried="40 chunks with a ping after each 8, then `complete`",
    rule="A pong has the payload of its ping. It confirms everything that was sent before the ping.",
    section="Confirmation",
)
async def order(server: ServerUnderTest) -> Outcome:
    said = server.utterance("order", chunks=40)
    async with server.connection(said.session) as line:
        for first in range(0, 40, CONFIRM_EVERY):
            await line.send(said, first, first + CONFIRM_EVERY)
            await line.confirmed()
        await line.send(said, 40, complete=True)
        await line.confirmed()
    return await kept(server, "each ping was answered", Sent(said))


@check(
    "sentences",
    tried="an utterance whose chunks have the texts of their sentences, and whose `complete` has the whole text",
    rule="Of a text stream each chunk has the `text` of its sentence, and `complete` the whole text.",
    section="WebSocket",
)
async def sentences(server: ServerUnderTest) -> Outcome:
    texts = tuple(f"{number}번 문장입니다." for number in range(4))
    said = replace(server.utterance("sentences", chunks=4), sentences=texts, text=" ".join(texts))
    async with server.connection(said.session) as line:
        await line.send(said, complete=True)
        await line.confirmed()
    return await kept(server, "taken", Sent(said))


@check(
    "ids",
    tried=f"{len(UNUSUAL_IDS)} unusual ids: Korean, spaces, slashes, `..`, percent signs, 256 bytes",
    rule="An id is 1 to 256 bytes without control characters. The ids of `init` count, not those of the headers.",
    section="WebSocket",
)
async def ids(server: ServerUnderTest) -> Outcome:
    sent = []
    for number, unusual in enumerate(UNUSUAL_IDS):
        session = unusual if len(unusual.encode()) > 200 else f"{unusual}{server.run}"
        said = replace(server.utterance("ids", chunks=2, request=unusual, phone=unusual), session=session)
        try:
            async with server.connection(said.session, said.phone) as line:
                await line.send(said, complete=True)
                await line.confirmed()
        except LinkLost as exc:
            raise CheckFailed(f"id {number + 1} ({unusual[:30]!r}): {exc}") from None
        if len(unusual.encode()) <= 200:  # of the others an earlier run may have left something
            sent.append(Sent(said))
    return await kept(server, "all were accepted", *sent)


@check(
    "repeats",
    tried="chunks that come a second time, before and after `complete`, and a second `complete`",
    rule="Drop a chunk whose index you have. `complete` may be repeated. Neither ends the connection.",
    section="Duplicates",
)
async def repeats(server: ServerUnderTest) -> Outcome:
    said = server.utterance("repeats")
    async with server.connection(said.session) as line:
        await line.send(said, 0, 7)
        await line.send(said, 3, complete=True)
        await line.confirmed()
        await line.send(said, 8, complete=True)
        await line.confirmed()
    return await kept(server, "the connection goes on", Sent(said))


@check(
    "formats",
    tried="an utterance in each of the seven formats",
    rule="The extension of `fileName` names the format. A request may ask for any of them.",
    section="WebSocket",
)
async def formats(server: ServerUnderTest) -> Outcome:
    session = server.session("formats")
    sent = [utterance_in(fmt, session, PHONE, f"a-{fmt}", CHUNK_BYTES) for fmt in FORMATS]
    async with server.connection(session) as line:
        for said in sent:
            await line.send(said, complete=True)
            try:
                await line.confirmed()
            except LinkLost as exc:
                raise CheckFailed(f"format {said.format}: {exc}") from None
    return await kept(server, "all were taken", *map(Sent, sent))


@check(
    "phones",
    tried="two phones of one session, each with a connection of its own, in turn",
    rule="There is one connection for each session and phone. One of them does not replace the other.",
    section="WebSocket",
)
async def phones(server: ServerUnderTest) -> Outcome:
    sent = [server.utterance("phones", request=f"r{n}", phone=f"{PHONE}-{n % 2}") for n in range(4)]
    session = server.session("phones")
    async with server.connection(session, f"{PHONE}-0") as zero, server.connection(session, f"{PHONE}-1") as one:
        for number, said in enumerate(sent):
            line = one if number % 2 else zero
            await line.send(said, complete=True)
            await line.confirmed()
    return await kept(server, "both connections stay", *map(Sent, sent))


@check(
    "cancel",
    tried="an utterance that stops without `complete`, then the next one",
    rule="A cancelled or failed utterance has no `complete`. It is over when another `requestId` begins.",
    section="After a cancel",
)
async def cancel(server: ServerUnderTest) -> Outcome:
    cancelled, following = server.utterance("cancel"), server.utterance("cancel", request="r2")
    async with server.connection(cancelled.session) as line:
        await line.send(cancelled, 0, 4)
        await line.confirmed()
        await line.send(following, complete=True)
        await line.confirmed()
    left = Sent(cancelled, complete=False, stop=4, optional=True)
    return await kept(server, "the next utterance was taken", left, Sent(following))


@check(
    "burst",
    tried="3 s of speech at 48 kHz at once (288 KB), then a ping",
    rule="A bridge writes up to 3 s of speech before the first pong. The server takes bytes, and answers, within 10 s.",
    section="Confirmation",
)
async def burst(server: ServerUnderTest) -> Outcome:
    said = server.realtime_utterance("burst")
    async with server.connection(said.session) as line:
        await line.send(said, complete=True)
        took_s = await line.confirmed()
    return await kept(server, f"answered {1_000 * took_s:.0f} ms after it was written", Sent(said))


@check(
    "frame",
    tried=f"a frame with a chunk of {DEFAULT_CHUNK_BYTES:,} bytes and a text of 30,000 bytes",
    rule="With the node's default settings a frame has up to 76 692 bytes.",
    section="WebSocket",
)
async def frame(server: ServerUnderTest) -> Outcome:
    try:
        return await _one_frame(server, "frame", DEFAULT_CHUNK_BYTES)
    except LinkLost as exc:
        raise CheckFailed(f"{exc}: raise the limit of a message (docs/guide/oraserver-limits.md)") from None


@check(
    "largest-frame",
    tried=f"a frame with a chunk of {MAX_CHUNK_BYTES:,} bytes",
    rule="With WEBSOCKET_CHUNK_SIZE at its maximum a frame has up to 966 336 bytes.",
    section="WebSocket",
)
async def largest_frame(server: ServerUnderTest) -> Outcome:
    try:
        return await _one_frame(server, "largest-frame", MAX_CHUNK_BYTES)
    except LinkLost as exc:
        return Outcome("risk", f"not taken ({exc}): do not raise WEBSOCKET_CHUNK_SIZE that far")


async def _one_frame(server: ServerUnderTest, name: str, chunk_bytes: int) -> Outcome:
    file = tone(chunk_bytes / 44_100 + 0.1)[:chunk_bytes]
    said = replace(server.utterance(name), parts=cut(file, chunk_bytes), text=LONGEST_TEXT)
    async with server.connection(said.session) as line:
        await line.send(said, complete=True)
        await line.confirmed()
    return await kept(server, "taken", Sent(said))


CHECKS: tuple[Check, ...] = (
    order,
    sentences,
    ids,
    repeats,
    formats,
    phones,
    cancel,
    burst,
    frame,
    largest_frame,
)
