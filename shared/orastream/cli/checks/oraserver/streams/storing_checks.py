"""Checks of `opened`, `ack`, and what is stored of the bytes that come."""

from __future__ import annotations

from itertools import pairwise

from orastream.cli.checks.oraserver.check import Check, check, kept
from orastream.cli.checks.oraserver.listing import Sent
from orastream.cli.checks.oraserver.outcomes import MESSAGES_PAGE, STREAMS_PAGE, CheckFailed, Outcome, ok
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.cli.checks.oraserver.streams.client_stream import FRAME_BYTES
from orastream.cli.checks.oraserver.streams.frame_client import frames, speech
from orastream.cli.checks.oraserver.streams.speech import FILE_BYTES, PART_BYTES
from orastream.contract.oraserver.from_server import MAX_RANGES

SOON_S = 1.5
"""How late an ack may be that is due after 250 ms, or at once."""
IDLE_S = 6.0
"""How late an ack may be that is due after 2 s."""
ACK_BYTES = 64 << 10
MANY_BYTES = 192 << 10
HOLE_BYTES = 20


@check(
    "v2-opened",
    tried="a fresh stream, whose audio comes at once, and one that waits for `opened`",
    rule="Answer each `open` that you accept with `opened`. Of a new utterance `upto` is 0.",
    section="opened",
    page=MESSAGES_PAGE,
)
async def opened(server: ServerUnderTest) -> Outcome:
    fresh, other = await speech(server, "v2-opened"), await speech(server, "v2-opened-other")
    async with frames(server) as client:
        first = client.open(fresh)
        first.send(0, fresh.size)
        first.end()
        await first.accepted()
        await first.delivered()
        second = client.open(other, fresh=False)
        answer = await second.accepted()
        if answer.upto or answer.ranges or answer.size is not None:
            raise CheckFailed(f"`opened` of a new utterance has upto {answer.upto}, ranges or a size")
        await second.send_within_limit(0, other.size)
        second.end()
        await second.delivered()
    return await kept(server, "both were opened", Sent(fresh.said), Sent(other.said))


@check(
    "v2-acks",
    tried="three frames, each sent after the `ack` of the one before",
    rule="250 ms after the last frame it must have its `ack`. `seen` counts all binary frames, `hello` included.",
    section="Acknowledgement",
    page=STREAMS_PAGE,
)
async def acks(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-acks")
    async with frames(server) as client:
        stream = client.open(spoken)
        await stream.accepted()
        for at in range(0, 3 * PART_BYTES, PART_BYTES):
            stream.send(at, at + PART_BYTES)
            ack = await stream.ack_of_all_sent(SOON_S)
            if ack.seen > client.sent:
                raise CheckFailed(f"`seen` is {ack.seen}; {client.sent} frames were sent")
            if ack.upto != at + PART_BYTES:
                raise CheckFailed(f"`upto` is {ack.upto}; {at + PART_BYTES} bytes were sent without a gap")
    return ok("each one had its ack in time")


@check(
    "v2-ack-bytes",
    tried=f"{MANY_BYTES >> 10} KiB at once",
    rule="While data comes, send `ack` after 64 KiB at the latest.",
    section="Acknowledgement",
    page=STREAMS_PAGE,
)
async def ack_bytes(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-ack-bytes", size=MANY_BYTES)
    async with frames(server) as client:
        if client.hello.credit < MANY_BYTES:
            return Outcome("skipped", f"credit is {client.hello.credit} bytes, less than {MANY_BYTES}")
        stream = client.open(spoken)
        await stream.accepted()
        before = client.sent
        await stream.send_within_limit(0, spoken.size)
        await stream.ack_of_all_sent()
        seen = [before, *(ack.seen for ack in stream.acks if ack.seen > before)]
    most = max(past - first for first, past in pairwise(seen)) * FRAME_BYTES
    if most > ACK_BYTES + FRAME_BYTES:
        return Outcome("risk", f"{most >> 10} KiB came between two acks: the bridge learns late what was lost")
    return ok(f"at most {most >> 10} KiB came between two acks")


@check(
    "v2-ack-end",
    tried="all audio, and `end`",
    rule="Send `ack` with `size` at once after `end`. With `upto` equal to `size` the utterance is delivered.",
    section="Acknowledgement",
    page=STREAMS_PAGE,
)
async def ack_end(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-ack-end")
    async with frames(server) as client:
        stream = client.open(spoken)
        await stream.accepted()
        stream.send(0, spoken.size)
        stream.end()
        ack = await stream.ack_of_all_sent(SOON_S)
        if (ack.upto, ack.size) != (spoken.size, spoken.size):
            raise CheckFailed(f"the ack after `end` has upto {ack.upto} and size {ack.size}, not {spoken.size}")
    return await kept(server, "the ack has the size", Sent(spoken.said))


@check(
    "v2-ack-idle",
    tried="a stream on which nothing is sent",
    rule="Send `ack` every 2 s while a stream is unfinished. The bridge breaks it after 10 s without one.",
    section="Acknowledgement",
    page=STREAMS_PAGE,
)
async def ack_idle(server: ServerUnderTest) -> Outcome:
    async with frames(server) as client:
        stream = client.open(await speech(server, "v2-ack-idle"))
        await stream.accepted()
        stream.send(0, PART_BYTES)
        await stream.ack_of_all_sent()
        for _ in range(2):
            known = len(stream.acks)
            await stream.wait(lambda known=known: len(stream.acks) > known or None, "further `ack`", IDLE_S)  # type: ignore[misc]
    return ok("two came while nothing was sent")


@check(
    "v2-gap",
    tried="the frames of an utterance out of order, with a gap that is filled later",
    rule="At a gap `upto` stays, and `ack` comes at once; when the gap is filled, `upto` jumps over it.",
    section="Acknowledgement",
    page=STREAMS_PAGE,
)
async def gap(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-gap")
    async with frames(server) as client:
        stream = client.open(spoken)
        await stream.accepted()
        stream.send(0, 500)
        stream.send(1_500, 2_000)
        stream.send(1_000, 1_500)
        ack = await stream.ack_of_all_sent(SOON_S)
        if ack.upto != 500:
            raise CheckFailed(f"`upto` is {ack.upto}; the bytes from 500 on were not sent")
        keeps = ack.ranges == ((1_000, 2_000),)
        stream.send(500, 1_000)
        ack = await stream.ack_of_all_sent(SOON_S)
        if keeps and ack.upto != 2_000:
            raise CheckFailed(f"`upto` is {ack.upto} after the gap was filled; the ranges said up to 2000")
        stream.send(2_000, spoken.size)
        stream.end()
        await stream.delivered()
    happened = "kept what came above the gap" if keeps else "dropped what came above the gap, and took it again"
    return await kept(server, happened, Sent(spoken.said))


@check(
    "v2-missing",
    tried=f"every other {HOLE_BYTES} bytes, and then only what the acks call missing",
    rule=f"`ranges` says what is stored above `upto`, in at most {MAX_RANGES} ranges: it is not sent again.",
    section="Retransmission",
    page=STREAMS_PAGE,
)
async def missing(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-missing")
    holes = range(0, spoken.size, 2 * HOLE_BYTES)
    async with frames(server) as client:
        stream = client.open(spoken)
        await stream.accepted()
        for at in holes:
            stream.send(at + HOLE_BYTES, at + 2 * HOLE_BYTES)
        ack = await stream.ack_of_all_sent()
        if len(ack.ranges) > MAX_RANGES:
            raise CheckFailed(f"an ack has {len(ack.ranges)} ranges")
        for first, past in ack.ranges:
            if past - first > HOLE_BYTES or first % (2 * HOLE_BYTES) != HOLE_BYTES:
                raise CheckFailed(f"the range from {first} to {past} has bytes that were never sent")
        if ack.upto:
            raise CheckFailed(f"`upto` is {ack.upto}; the first bytes were never sent")
        again = stream.send_missing(ack.upto, ack.ranges)
        stream.end()
        await stream.delivered()
    return await kept(server, f"{again} bytes of {spoken.size} were needed after that", Sent(spoken.said))


@check(
    "v2-damage",
    tried="a frame whose `crc` does not match, and then the right one",
    rule="If `crc` does not match, drop the frame, and send `ack` at once: it is sent again.",
    section="audio",
    page=MESSAGES_PAGE,
)
async def damage(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-damage")
    async with frames(server) as client:
        if not client.hello.crc:
            return Outcome("skipped", "`hello` does not ask for `crc`")
        stream = client.open(spoken)
        await stream.accepted()
        stream.send(0, 500, data=bytes(500), crc=1)
        ack = await stream.ack_of_all_sent(SOON_S)
        if ack.upto or ack.ranges:
            raise CheckFailed("a damaged frame is acknowledged")
        stream.send(0, spoken.size)
        stream.end()
        await stream.delivered()
    return await kept(server, "the damaged frame was dropped", Sent(spoken.said))


@check(
    "v2-duplicates",
    tried="ranges that come again, with parts that are new, and with other bytes",
    rule="What is stored already, drop. Bytes that differ from the stored ones are dropped, too.",
    section="Errors and violations",
    page=STREAMS_PAGE,
)
async def duplicates(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-duplicates")
    async with frames(server) as client:
        stream = client.open(spoken)
        await stream.accepted()
        stream.send(0, 1_000)
        stream.send(0, 1_000)
        stream.send(200, 600, data=bytes(400))
        stream.send(500, FILE_BYTES)
        stream.send(2_000, 2_500)
        stream.end()
        await stream.delivered()
    return await kept(server, "taken", Sent(spoken.said))


CHECKS: tuple[Check, ...] = (opened, acks, ack_bytes, ack_end, ack_idle, gap, missing, damage, duplicates)
