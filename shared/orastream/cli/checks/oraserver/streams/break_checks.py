"""Checks of what comes after a break: where a stream goes on, and whose frames count."""

from __future__ import annotations

from orastream.base.foreign_text import cleaned
from orastream.cli.checks.oraserver.check import Check, check, kept
from orastream.cli.checks.oraserver.listing import Sent
from orastream.cli.checks.oraserver.outcomes import STREAMS_PAGE, CheckFailed, Outcome, ok
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.cli.checks.oraserver.streams.frame_client import frames, speech
from orastream.contract.oraserver.from_bridge import CancelUtterances
from orastream.contract.oraserver.from_server import ServerError

KEPT_MS = 5_000
"""A server with a lower `keep_ms` may have forgotten the utterance before the check has connected again."""


@check(
    "v2-resume",
    tried="a connection that is reset in mid-utterance; the rest comes over another one",
    rule="`opened` says what is stored: the bridge goes on there. Keep it for `keep_ms` after a break.",
    section="States",
    page=STREAMS_PAGE,
)
async def resume(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-resume")
    async with frames(server) as client:
        stream = client.open(spoken)
        stream.send(0, 1_000)
        stream.send(1_500, 2_000)
        acked = await stream.ack_of_all_sent()
        client.cut()
    async with frames(server) as client:
        stream = client.open(spoken, fresh=False)
        answer = await stream.accepted()
        if answer.upto > 1_000 or any(past > 2_000 or first < 1_500 for first, past in answer.ranges):
            raise CheckFailed(f"`opened` has upto {answer.upto} and {answer.ranges}: bytes that were never sent")
        if answer.upto < acked.upto and client.hello.keep_ms >= KEPT_MS:
            raise CheckFailed(f"`opened` has upto {answer.upto}; {acked.upto} was acknowledged before the break")
        stream.send_missing(answer.upto, answer.ranges)
        stream.end()
        await stream.delivered()
    if answer.upto < acked.upto:
        await kept(server, "", Sent(spoken.said))
        return Outcome("risk", f"forgotten at a break (keep_ms {client.hello.keep_ms}): all of it is sent again")
    return await kept(server, f"it went on at byte {answer.upto}", Sent(spoken.said))


@check(
    "v2-delivered",
    tried="an utterance that is whole, opened again on the same connection and on another one",
    rule="A *whole* utterance that is opened again: answer `opened`, then `ack`, both with `size`.",
    section="States",
    page=STREAMS_PAGE,
)
async def delivered(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-delivered")
    async with frames(server) as client, frames(server) as other:
        stream = client.open(spoken)
        stream.send(0, spoken.size)
        stream.end()
        await stream.delivered()
        for each in (client, other):
            again = each.open(spoken, fresh=False)
            answer = await again.accepted()
            if (answer.upto, answer.size) != (spoken.size, spoken.size):
                raise CheckFailed(f"`opened` has upto {answer.upto} and size {answer.size}, not {spoken.size}")
            ack = await again.wait(lambda again=again: again.acks[0] if again.acks else None, "`ack`")  # type: ignore[misc]
            if (ack.upto, ack.size) != (spoken.size, spoken.size):
                raise CheckFailed(f"`ack` has upto {ack.upto} and size {ack.size}, not {spoken.size}")
    return await kept(server, "both times it was known", Sent(spoken.said))


@check(
    "v2-fence",
    tried="`open` with an equal and a lower `try`, and with a lower `epoch`; `cancel` with a lower `epoch`",
    rule="An `open` must have a higher (`epoch`, `try`) than all before. Refuse others with `stale_epoch`.",
    section="The fence",
    page=STREAMS_PAGE,
)
async def fence(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-fence")
    session, epoch = spoken.said.session, next(server.numbers)
    async with frames(server) as client, frames(server) as other:
        await client.open(spoken, epoch=epoch, attempt=5).accepted()
        for each in (client, other):
            for stale in ((epoch, 5), (epoch, 4), (epoch - 1, 9)):
                try:
                    await each.open(spoken, fresh=False, epoch=stale[0], attempt=stale[1]).refused("stale_epoch")
                except CheckFailed as exc:
                    fences = f"epoch {stale[0]}, try {stale[1]} after epoch {epoch}, try 5"
                    raise CheckFailed(f"{fences}: {exc}") from None
        other.send(CancelUtterances(session, epoch - 1, before=spoken.seq + 1))
        error = await other.wait(
            lambda: next((e for e in other.received if isinstance(e, ServerError) and e.session == session), None),
            "`error` with the session for a `cancel` of a lower epoch",
        )
        if error.code != "stale_epoch":
            raise CheckFailed(f"a `cancel` of a lower epoch was answered with the code {cleaned(error.code)}")
        await other.open(spoken, fresh=False, epoch=epoch, attempt=6).accepted()
        await client.open(spoken, fresh=False, epoch=epoch + 1, attempt=1).accepted()
    return ok("what was stale was refused, and a higher epoch was taken")


@check(
    "v2-supersede",
    tried="an utterance that goes on over a second connection, while the first one still brings frames of it",
    rule="An `open` supersedes every earlier stream of the session: drop all further frames of those streams.",
    section="The fence",
    page=STREAMS_PAGE,
)
async def supersede(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-supersede")
    async with frames(server) as client, frames(server) as other:
        earlier = client.open(spoken)
        earlier.send(0, 1_000)
        await earlier.ack_of_all_sent()
        later = other.open(spoken, fresh=False)
        answer = await later.accepted()
        earlier.send(1_000, 2_000, data=bytes(1_000))
        earlier.end(size=2_000)
        await client.read_all("v2-supersede")
        later.send(2_500, 3_000)
        ack = await later.ack_of_all_sent()
        if ack.upto > max(answer.upto, 1_000) or any(first < 2_500 for first, _ in ack.ranges):
            raise CheckFailed(f"late frames of the earlier stream count: `ack` has upto {ack.upto}, {ack.ranges}")
        later.send_missing(ack.upto, ack.ranges)
        later.end()
        await later.delivered()
    return await kept(server, "the late frames were dropped", Sent(spoken.said))


CHECKS: tuple[Check, ...] = (resume, delivered, fence, supersede)
