"""Checks of barge-in."""

from __future__ import annotations

from orastream.base.foreign_text import cleaned
from orastream.cli.checks.oraserver.check import Check, check, kept
from orastream.cli.checks.oraserver.listing import Sent
from orastream.cli.checks.oraserver.outcomes import MESSAGES_PAGE, STREAMS_PAGE, CheckFailed, Outcome, ok
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.cli.checks.oraserver.streams.frame_client import FrameClient, frames, speech
from orastream.cli.checks.oraserver.streams.speech import StreamSpeech


async def _deliver(client: FrameClient, spoken: StreamSpeech) -> None:
    stream = client.open(spoken)
    stream.send(0, spoken.size)
    stream.end()
    await stream.delivered()


@check(
    "v2-cancel",
    tried="a cancel of all lower sequences, and one of a sequence, both in mid-utterance; then the next utterance",
    rule="`cleared` comes within 10 s, repeats `before` or `seq`, and names the utterances that were ended.",
    section="cleared",
    page=MESSAGES_PAGE,
)
async def cancel(server: ServerUnderTest) -> Outcome:
    first, second, third = [await speech(server, "v2-cancel", request=f"r{number}") for number in (1, 2, 3)]
    session = first.said.session
    async with frames(server) as client:
        for spoken, given in ((first, {"before": first.seq + 1}), (second, {"seq": second.seq})):
            stream = client.open(spoken)
            stream.send(0, 2_000)
            await stream.ack_of_all_sent()
            cleared = await client.cancel(session, **given)
            ended = {(request, seq) for request, seq, _ in cleared.utterances}
            if (spoken.said.request, spoken.seq) not in ended:
                raise CheckFailed(
                    f"`cleared` does not name the utterance that the cancel has ended: {cleaned(str(sorted(ended)))}"
                )
        await _deliver(client, third)
    return await kept(server, "both were cleared, and the next utterance was taken", Sent(third.said))


@check(
    "v2-cancel-unknown",
    tried="cancels of a session that the server does not know",
    rule="Answer `cleared` also if you know none of the utterances: the bridge repeats the `cancel` until then.",
    section="Barge-in",
    page=STREAMS_PAGE,
)
async def cancel_unknown(server: ServerUnderTest) -> Outcome:
    session = server.session("v2-cancel-unknown")
    async with frames(server) as client:
        for cleared in (
            await client.cancel(session, before=next(server.numbers)),
            await client.cancel(session, seq=next(server.numbers)),
        ):
            if cleared.utterances:
                raise CheckFailed(f"`cleared` names {len(cleared.utterances)} utterances of a new session")
    return ok("cleared")


@check(
    "v2-cancel-delivered",
    tried="a cancel of an utterance that is delivered, twice, from another connection",
    rule="A cancel also ends what is stored and not yet played, whichever bridge has sent it.",
    section="cancel",
    page=MESSAGES_PAGE,
)
async def cancel_delivered(server: ServerUnderTest) -> Outcome:
    spoken = await speech(server, "v2-cancel-delivered")
    async with frames(server) as client, frames(server) as other:
        await _deliver(client, spoken)
        for _ in range(2):
            await other.cancel(spoken.said.session, before=spoken.seq + 1)
            await other.cancel(spoken.said.session, seq=spoken.seq)
    return ok("cleared, also when it was repeated")


@check(
    "v2-cancelled",
    tried="`open` of utterances that a cancel covers: known and unknown ones; then one that it does not cover",
    rule="Refuse later `open`s that a cancel covers with `cancelled`. A higher sequence is not covered.",
    section="Barge-in",
    page=STREAMS_PAGE,
)
async def cancelled(server: ServerUnderTest) -> Outcome:
    spoken = [await speech(server, "v2-cancelled", request=f"r{number}") for number in range(4)]
    known, unknown, alone, following = spoken
    session = known.said.session
    async with frames(server) as client, frames(server) as other:
        stream = client.open(known)
        stream.send(0, 1_000)
        await stream.ack_of_all_sent()
        await client.cancel(session, before=alone.seq)
        await client.cancel(session, seq=alone.seq)
        for each in (other, client):
            for covered in (known, unknown, alone):
                await each.open(covered, fresh=covered is not known).refused("cancelled")
        await _deliver(other, following)
    return await kept(server, "refused; the higher sequence was taken", Sent(following.said))


CHECKS: tuple[Check, ...] = (cancel, cancel_unknown, cancel_delivered, cancelled)
