"""Checks over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from orastream.cli.checks.oraserver.check import Check, check, kept
from orastream.cli.checks.oraserver.connection_checks import judged_refusals, wrong_tokens
from orastream.cli.checks.oraserver.listing import Sent
from orastream.cli.checks.oraserver.outcomes import CheckFailed, Outcome
from orastream.cli.checks.oraserver.server import CHUNK_BYTES, PHONE, ServerUnderTest, filled
from orastream.cli.checks.oraserver.utterances import Utterance, cut, tone, utterance_in
from orastream.cli.checks.oraserver.websocket_checks import UNUSUAL_IDS
from orastream.contract.audio import FORMATS, PcmSpec, wav_header
from orastream.delivery.post.body import Body
from orastream.delivery.post.end_reasons import CONTENT_TOO_LARGE
from orastream.delivery.sink import LinkLost

MINUTE_S, LONGEST_S = 60, 723
"""A minute of speech, and what a Korean text of TTS_MAX_TEXT_CHARS (5 000) takes."""
BEFORE_END_S = 1.0
"""How long a server has all of a POST but its last byte, before the connection is reset."""
TRIES = 3
LIMITS = "raise the limit of your server and of its proxy (docs/guide/oraserver-limits.md has their settings)"


@check(
    "post",
    tried="one utterance",
    rule="Answer 2xx after the file is stored.",
    section="HTTP",
)
async def post(server: ServerUnderTest) -> Outcome:
    said = server.utterance("post")
    await server.post(said)
    late = server.received_url is not None and await server.difference(Sent(said)) is not None
    outcome = await kept(server, "answered with 2xx", Sent(said))
    if late:
        return Outcome(
            "risk", "answered with 2xx before it was stored: if the process dies meanwhile, the file is lost"
        )
    return outcome


@check(
    "post-token",
    tried="POSTs with a wrong token, and without a token",
    rule="A server with a token answers a wrong one with 401, or another 4xx: the bridge then does not try again.",
    section="HTTP",
)
async def post_token(server: ServerUnderTest) -> Outcome:
    if server.token is None:
        return Outcome("skipped", "there is no token (--token or ORASERVER_TOKEN)")
    said = server.utterance("post-token")
    answers = [await _answer(server, said, wrong) for wrong in wrong_tokens(server) for _ in range(TRIES)]
    lost = [answer for answer in answers if isinstance(answer, LinkLost)]
    statuses = [answer for answer in answers if not isinstance(answer, LinkLost)]
    if lost and not statuses:
        raise CheckFailed(str(lost[0]))
    if lost:
        fix = "read the body before you answer, else TCP can lose the answer"
        return Outcome("risk", f"{len(lost)} of {len(answers)} refusals were lost ({lost[0]}): {fix}")
    return judged_refusals(statuses[::TRIES])


async def _answer(server: ServerUnderTest, said: Utterance, wrong: str) -> LinkLost | int | None:
    """The status with which a POST with this token is refused, None if it is taken, LinkLost without an answer."""
    try:
        await server.post(said, token=wrong)
    except LinkLost as exc:
        return exc if exc.status is None else exc.status
    return None


@check(
    "post-repeat",
    tried="the same POST a second time",
    rule="If an answer is lost, the POST is sent again. Drop what you have, and answer 2xx.",
    section="HTTP",
)
async def post_repeat(server: ServerUnderTest) -> Outcome:
    said = server.utterance("post-repeat")
    await server.post(said)
    try:
        await server.post(said)
    except LinkLost as exc:
        meaning = "the request then fails, although you have its audio" if exc.refused else "the bridge tries again"
        raise CheckFailed(f"{exc}: {meaning}") from None
    return await kept(server, "answered with 2xx again", Sent(said))


@check(
    "post-ids",
    tried="unusual ids of sessions, phones and requests: Korean, spaces, slashes, `..`, percent signs",
    rule="An id is 1 to 256 bytes of UTF-8 without control characters.",
    section="HTTP",
)
async def post_ids(server: ServerUnderTest) -> Outcome:
    sent = [
        replace(server.utterance("ids", chunks=2, request=unusual, phone=unusual), session=session)
        for unusual in UNUSUAL_IDS
        if len((session := f"{unusual}{server.run}-post").encode()) <= 256
    ]
    for number, said in enumerate(sent):
        try:
            await server.post(said)
        except LinkLost as exc:
            raise CheckFailed(f"id {number + 1} ({said.request[:30]!r}): {exc}") from None
    return await kept(server, "all were accepted", *map(Sent, sent))


@check(
    "post-formats",
    tried="an utterance in each of the seven formats",
    rule="The extension of `fileName` names the format. A WAV has its true sizes.",
    section="HTTP",
)
async def post_formats(server: ServerUnderTest) -> Outcome:
    session = server.session("post-formats")
    sent = [utterance_in(fmt, session, PHONE, f"a-{fmt}", CHUNK_BYTES) for fmt in FORMATS]
    for said in sent:
        try:
            await server.post(said)
        except LinkLost as exc:
            raise CheckFailed(f"format {said.format}: {exc}") from None
    return await kept(server, "all were taken", *map(Sent, sent))


@check(
    "post-reset",
    tried="a POST that is reset before its last byte, then the whole POST",
    rule="Do not use a POST whose connection was reset before you answered. It was cancelled, or it comes again.",
    section="HTTP",
)
async def post_reset(server: ServerUnderTest) -> Outcome:
    said = server.utterance("post-reset")
    async with server.poster() as sink:
        link = await filled(sink, said)
        running = asyncio.ensure_future(link.confirm(_never))
        await asyncio.wait({running}, timeout=BEFORE_END_S)
        link.abandon()
        try:
            await running
        except LinkLost as exc:
            if exc.status is not None:
                raise CheckFailed(f"answered by HTTP {exc.status} before the last byte of the body was sent") from None
    if server.received_url is not None and await server.stored(said.session):
        raise CheckFailed("the utterance of a POST that was reset is in the listing")
    await server.post(said)
    return await kept(server, "the whole POST was taken", Sent(said))


def _never() -> bool:
    """Do not allow the last byte."""
    return False


@check(
    "post-minute",
    tried=f"a WAV of {MINUTE_S} s",
    rule="The server takes a minute of speech in one POST.",
    section="HTTP",
)
async def post_minute(server: ServerUnderTest) -> Outcome:
    said = _wav(server, "post-minute", MINUTE_S)
    try:
        await server.post(said)
    except LinkLost as exc:
        raise CheckFailed(_too_large(exc)) from None
    return await kept(server, f"{_size(said):,} bytes were taken", Sent(said))


@check(
    "post-longest",
    tried=f"a WAV of {LONGEST_S} s",
    rule="A text of TTS_MAX_TEXT_CHARS (5 000) characters makes up to about 723 s of Korean speech: one POST.",
    section="HTTP",
)
async def post_longest(server: ServerUnderTest) -> Outcome:
    said = _wav(server, "post-longest", LONGEST_S)
    try:
        await server.post(said)
    except LinkLost as exc:
        return Outcome("risk", f"{_too_large(exc)}; or lower TTS_MAX_TEXT_CHARS, or ask for a coded format")
    return await kept(server, f"{_size(said):,} bytes were taken", Sent(said))


def _too_large(exc: LinkLost) -> str:
    """What to say of a large POST that failed. A connection that breaks during the body may be a refusal, too."""
    too_large = exc.status == CONTENT_TOO_LARGE or (exc.status is None and " bytes" in str(exc))
    return f"{exc}: {LIMITS}" if too_large else str(exc)


def _wav(server: ServerUnderTest, name: str, seconds: int) -> Utterance:
    file = wav_header(PcmSpec(22_050)) + tone(seconds)
    return replace(server.utterance(name), format="wav", parts=cut(file, 1 << 16))


def _size(said: Utterance) -> int:
    """The size of the POST's body."""
    body = Body(said.speech, said.start)
    for chunk in said.chunks():
        body.add(chunk)
    body.finish()
    return body.content_length


CHECKS: tuple[Check, ...] = (
    post,
    post_token,
    post_repeat,
    post_ids,
    post_formats,
    post_reset,
    post_minute,
    post_longest,
)
