"""Checks of what streams and connections share: credit, many sessions, several connections, and the order."""

from __future__ import annotations

from itertools import pairwise

from orastream.cli.checks.oraserver.check import Check, check, kept
from orastream.cli.checks.oraserver.listing import Sent
from orastream.cli.checks.oraserver.outcomes import MESSAGES_PAGE, STREAMS_PAGE, CheckFailed, Outcome
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.cli.checks.oraserver.streams.frame_client import frames, speech
from orastream.cli.checks.oraserver.streams.speech import PART_BYTES

MAX_CREDIT = 4 << 20
"""Beyond it the checks do not use up the credit."""
MANY_SESSIONS = 50


@check(
    "v2-limit",
    tried="an utterance of twice the credit, as far as `limit` allows",
    rule="`limit` is absolute. It never falls, and rises as the phone takes audio.",
    section="Flow",
    page=STREAMS_PAGE,
)
async def limit(server: ServerUnderTest) -> Outcome:
    async with frames(server) as client:
        credit = client.hello.credit
        if credit > MAX_CREDIT:
            return Outcome("skipped", f"credit is {credit} bytes: it is not used up here")
        spoken = await speech(server, "v2-limit", size=2 * credit, part_bytes=credit)
        stream = client.open(spoken)
        await stream.send_within_limit(0, spoken.size)
        stream.end()
        await stream.delivered()
        answer = await stream.accepted()
    for before, after in pairwise([credit, answer.limit, *(ack.limit for ack in stream.acks)]):
        if after < before:
            raise CheckFailed(f"`limit` fell from {before} to {after}")
    return await kept(server, f"all {spoken.size} bytes were taken", Sent(spoken.said))


@check(
    "v2-stalled",
    tried="a stream that has used up its credit and is not ended, and another one beside it",
    rule="A phone that stalls stops its own stream at the limit. Keep reading the connection: others use it, too.",
    section="Flow",
    page=STREAMS_PAGE,
)
async def stalled(server: ServerUnderTest) -> Outcome:
    async with frames(server) as client:
        credit = client.hello.credit
        if credit > MAX_CREDIT:
            return Outcome("skipped", f"credit is {credit} bytes: it is not used up here")
        if client.hello.streams < 2:
            return Outcome("skipped", "a connection may have one stream")
        full = await speech(server, "v2-stalled", size=credit, part_bytes=credit)
        other = await speech(server, "v2-stalled-other")
        first = client.open(full)
        await first.send_within_limit(0, full.size)
        second = client.open(other)
        second.send(0, other.size)
        second.end()
        await second.delivered()
        first.end()
        await first.delivered()
    return await kept(server, "the other one was delivered meanwhile", Sent(full.said), Sent(other.said))


@check(
    "v2-sessions",
    tried=f"up to {MANY_SESSIONS} sessions on one connection, frame by frame in turn",
    rule="A connection carries many sessions: as many unfinished streams as `streams` of `hello`.",
    section="hello, from OraServer",
    page=MESSAGES_PAGE,
)
async def sessions(server: ServerUnderTest) -> Outcome:
    async with frames(server) as client:
        count = min(client.hello.streams, MANY_SESSIONS)
        spoken = [await speech(server, f"v2-sessions-{number}", size=4 * PART_BYTES) for number in range(count)]
        streams = [client.open(each) for each in spoken]
        for at in range(0, 4 * PART_BYTES, PART_BYTES):
            for stream in streams:
                stream.send(at, at + PART_BYTES)
        for stream in streams:
            stream.end()
        for stream in streams:
            await stream.delivered()
    return await kept(server, f"{count} were delivered", *(Sent(each.said) for each in spoken))


@check(
    "v2-connections",
    tried="two connections whose streams have the same numbers; a session moves from one to the other",
    rule="The number of a stream belongs to its connection. All connections have one common store.",
    section="Negotiation",
    page=STREAMS_PAGE,
)
async def connections(server: ServerUnderTest) -> Outcome:
    one, two = await speech(server, "v2-connections-1"), await speech(server, "v2-connections-2")
    async with frames(server) as left, frames(server) as right:
        first, second = left.open(one), right.open(two)
        for at in range(0, one.size, PART_BYTES):
            first.send(at, at + PART_BYTES)
            second.send(at, at + PART_BYTES)
        for stream in (first, second):
            stream.end()
            await stream.delivered()
        following = await speech(server, "v2-connections-1", request="r2")
        moved = right.open(following)
        moved.send(0, following.size)
        moved.end()
        await moved.delivered()
    return await kept(server, "all were delivered", *(Sent(each.said) for each in (one, two, following)))


@check(
    "v2-order",
    tried="a whole utterance, one that is not ended, and on another connection a third one of the same session",
    rule="When an utterance is opened, all lower ones of its session are final. What is unfinished ends as it is.",
    section="Order",
    page=STREAMS_PAGE,
)
async def order(server: ServerUnderTest) -> Outcome:
    whole, cut, last = [await speech(server, "v2-order", request=f"r{number}") for number in (1, 2, 3)]
    async with frames(server) as client, frames(server) as other:
        first = client.open(whole)
        first.send(0, whole.size)
        first.end()
        await first.delivered()
        second = client.open(cut)
        second.send(0, 4 * PART_BYTES)
        await second.ack_of_all_sent()
        third = other.open(last)  # on another connection: this one may allow a single unfinished stream
        third.send(0, last.size)
        third.end()
        await third.delivered()
    return await kept(
        server, "the third one was taken", Sent(whole.said), Sent(cut.said, complete=False, stop=4), Sent(last.said)
    )


CHECKS: tuple[Check, ...] = (limit, stalled, sessions, connections, order)
