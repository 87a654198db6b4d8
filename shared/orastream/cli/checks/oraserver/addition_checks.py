"""Checks over WebSocket of the additions that the node's operator may switch on."""

from __future__ import annotations

from dataclasses import replace

from orastream.cli.checks.oraserver.check import Check, check, kept
from orastream.cli.checks.oraserver.listing import Sent
from orastream.cli.checks.oraserver.outcomes import Outcome
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.delivery.sink import LinkLost, SpeechEnd


@check(
    "sample-rate",
    tried="an utterance whose metadata have `sampleRate`",
    rule="With WEBSOCKET_METADATA=rate the metadata have a seventh key. Ignore keys that you do not know.",
    section="Sample rate",
)
async def sample_rate(server: ServerUnderTest) -> Outcome:
    said = replace(server.utterance("sample-rate"), with_rate=True)
    try:
        async with server.connection(said.session) as line:
            await line.send(said, complete=True)
            await line.confirmed()
    except LinkLost as exc:
        return Outcome("risk", f"not taken ({exc}): leave WEBSOCKET_METADATA=plain")
    return await kept(server, "taken: WEBSOCKET_METADATA=rate may be set", Sent(said))


@check(
    "end-frames",
    tried="`cancelled` for an utterance without chunks, in mid-utterance, and after `complete`",
    rule="With WEBSOCKET_END_FRAMES=on a frame says that an utterance has ended. Ignore frames that you do not know.",
    section="End frames",
)
async def end_frames(server: ServerUnderTest) -> Outcome:
    unknown, cut, whole = (server.utterance("end-frames", request=name) for name in ("r0", "r1", "r2"))
    try:
        async with server.connection(cut.session) as line:
            line.link.ended(SpeechEnd(unknown.speech, unknown.start, "cancelled"))
            await line.send(cut, 0, 4)
            line.link.ended(SpeechEnd(cut.speech, cut.start, "cancelled"))
            await line.confirmed()
            await line.send(whole, complete=True)
            await line.confirmed()
            line.link.ended(SpeechEnd(whole.speech, whole.start, "cancelled"))
            await line.confirmed()
    except LinkLost as exc:
        return Outcome("risk", f"not taken ({exc}): leave WEBSOCKET_END_FRAMES=off")
    return await kept(server, "taken: WEBSOCKET_END_FRAMES=on may be set", Sent(whole))


CHECKS: tuple[Check, ...] = (sample_rate, end_frames)
